package submission

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// pod looks at a pod's spec, which is at the field.
func (r *rules) pod(at string, s *corev1.PodSpec) {
	r.host(at+".hostNetwork", s.HostNetwork)
	r.host(at+".hostPID", s.HostPID)
	r.host(at+".hostIPC", s.HostIPC)
	if account := s.ServiceAccountName; account != "" && account != "default" {
		r.refuse(at+".serviceAccountName", "no-rights", "%q is an identity in the cluster; leave it out, no lab needs one", account)
	}
	if s.AutomountServiceAccountToken != nil && *s.AutomountServiceAccountToken {
		r.refuse(at+".automountServiceAccountToken", "no-rights", "puts a token for the API into the pod; leave it out")
	}
	if s.PriorityClassName != "" {
		r.refuse(at+".priorityClassName", "no-priority", "pushes other pods aside; leave it out")
	}
	if grace := s.TerminationGracePeriodSeconds; grace != nil && *grace > maxGrace {
		r.refuse(at+".terminationGracePeriodSeconds", "bounded", "is %d; at most %d seconds are allowed", *grace, maxGrace)
	}
	if len(s.ResourceClaims) > 0 {
		r.refuse(at+".resourceClaims", "no-host", "claims a device; leave it out")
	}
	if s.RuntimeClassName != nil {
		r.refuse(at+".runtimeClassName", "no-runtime", "chooses another runtime; leave it out")
	}
	if c := s.SecurityContext; c != nil {
		r.profiles(at+".securityContext", c.SeccompProfile, c.AppArmorProfile, c.WindowsOptions)
		if len(c.Sysctls) > 0 {
			r.refuse(at+".securityContext.sysctls", "no-host", "changes the kernel's settings; leave it out")
		}
	}
	for i, v := range s.Volumes {
		r.volume(fmt.Sprintf("%s.volumes[%d]", at, i), &v)
	}
	for i := range s.InitContainers {
		r.container(fmt.Sprintf("%s.initContainers[%d]", at, i), &s.InitContainers[i])
	}
	for i := range s.Containers {
		r.container(fmt.Sprintf("%s.containers[%d]", at, i), &s.Containers[i])
	}
	if len(s.EphemeralContainers) > 0 {
		r.refuse(at+".ephemeralContainers", "no-debugging", "is what the grader looks through; leave it out")
	}
}

func (r *rules) host(field string, set bool) {
	if set {
		r.refuse(field, "no-host", "gives the pod a part of the node itself; leave it out")
	}
}

// volume allows only what lives and dies with the namespace.
func (r *rules) volume(at string, v *corev1.Volume) {
	s := v.VolumeSource
	switch {
	case s.EmptyDir != nil:
		if s.EmptyDir.Medium == corev1.StorageMediumMemory || s.EmptyDir.Medium == corev1.StorageMediumHugePages {
			r.refuse(at+".emptyDir.medium", "bounded", "takes the node's memory; leave it out")
		}
	case s.ConfigMap != nil, s.Secret != nil, s.PersistentVolumeClaim != nil, s.DownwardAPI != nil:
	case s.Projected != nil:
		for i, source := range s.Projected.Sources {
			if source.ServiceAccountToken != nil || source.ClusterTrustBundle != nil {
				r.refuse(fmt.Sprintf("%s.projected.sources[%d]", at, i), "no-rights", "puts a token or trust of the cluster into the pod; leave it out")
			}
		}
	case s.Ephemeral != nil && s.Ephemeral.VolumeClaimTemplate != nil:
		r.claim(at+".ephemeral.volumeClaimTemplate.spec", &s.Ephemeral.VolumeClaimTemplate.Spec)
	case s.HostPath != nil:
		r.refuse(at+".hostPath", "no-host", "reads the node's own files; use emptyDir, or a PersistentVolumeClaim")
	default:
		r.refuse(at, "own-storage-only", "is of a kind that leads out of the lab; use emptyDir, configMap, secret or a persistentVolumeClaim")
	}
}

func (r *rules) container(at string, c *corev1.Container) {
	if !r.allowedImage(c.Image) {
		r.refuse(at+".image", "lab-images-only", "%q is not an image of this lab; use %s", c.Image, strings.Join(r.limits.Images, ", "))
	}
	if strings.HasPrefix(c.Name, reservedName) {
		r.refuse(at+".name", "reserved-name", "%q begins with %s, as the grader's own containers do; choose another name", c.Name, reservedName)
	}
	r.handlers(at, c)
	for i, p := range c.Ports {
		if p.HostPort != 0 || p.HostIP != "" {
			r.refuse(fmt.Sprintf("%s.ports[%d].hostPort", at, i), "no-host", "takes a port of the node itself; use a Service of type NodePort")
		}
	}
	if len(c.VolumeDevices) > 0 {
		r.refuse(at+".volumeDevices", "no-host", "uses a raw device; leave it out")
	}
	r.bounded(at+".resources.requests", c.Resources.Requests)
	r.bounded(at+".resources.limits", c.Resources.Limits)
	if s := c.SecurityContext; s != nil {
		r.security(at+".securityContext", s)
	}
}

// handlers refuses probes and hooks that name a host: the node itself would connect to it.
func (r *rules) handlers(at string, c *corev1.Container) {
	refuse := func(at string, http *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction) {
		if http != nil && http.Host != "" {
			r.refuse(at+".httpGet.host", "no-host", "makes the node itself connect elsewhere; leave it out, the pod is meant")
		}
		if tcp != nil && tcp.Host != "" {
			r.refuse(at+".tcpSocket.host", "no-host", "makes the node itself connect elsewhere; leave it out, the pod is meant")
		}
	}
	for field, p := range map[string]*corev1.Probe{"livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe, "startupProbe": c.StartupProbe} {
		if p != nil {
			refuse(at+"."+field, p.HTTPGet, p.TCPSocket)
		}
	}
	if c.Lifecycle == nil {
		return
	}
	for field, h := range map[string]*corev1.LifecycleHandler{"postStart": c.Lifecycle.PostStart, "preStop": c.Lifecycle.PreStop} {
		if h != nil {
			refuse(at+".lifecycle."+field, h.HTTPGet, h.TCPSocket)
		}
	}
}

func (r *rules) security(at string, s *corev1.SecurityContext) {
	if s.Privileged != nil && *s.Privileged {
		r.refuse(at+".privileged", "no-privileges", "makes the container root on the node; leave it out")
	}
	if s.Capabilities != nil && len(s.Capabilities.Add) > 0 {
		r.refuse(at+".capabilities.add", "no-privileges", "adds powers that no lab needs; leave it out")
	}
	if s.ProcMount != nil && *s.ProcMount != corev1.DefaultProcMount {
		r.refuse(at+".procMount", "no-privileges", "uncovers the node's processes; leave it out")
	}
	r.profiles(at, s.SeccompProfile, s.AppArmorProfile, s.WindowsOptions)
}

func (r *rules) profiles(at string, seccomp *corev1.SeccompProfile, apparmor *corev1.AppArmorProfile, windows *corev1.WindowsSecurityContextOptions) {
	if seccomp != nil && seccomp.Type == corev1.SeccompProfileTypeUnconfined {
		r.refuse(at+".seccompProfile", "no-privileges", "is Unconfined; leave it out")
	}
	if apparmor != nil && apparmor.Type == corev1.AppArmorProfileTypeUnconfined {
		r.refuse(at+".appArmorProfile", "no-privileges", "is Unconfined; leave it out")
	}
	if windows != nil && windows.HostProcess != nil && *windows.HostProcess {
		r.refuse(at+".windowsOptions.hostProcess", "no-host", "runs on the node itself; leave it out")
	}
}

func (r *rules) bounded(at string, list corev1.ResourceList) {
	most := map[corev1.ResourceName]string{
		corev1.ResourceCPU: maxCPU, corev1.ResourceMemory: maxMemory, corev1.ResourceEphemeralStorage: maxStorage,
	}
	for _, kind := range slices.Sorted(maps.Keys(list)) {
		limit, known := most[kind]
		switch q := list[kind]; {
		case !known:
			r.refuse(at+"."+string(kind), "bounded", "asks for a device or for huge pages; leave it out")
		case q.Cmp(resource.MustParse(limit)) > 0:
			r.refuse(at+"."+string(kind), "bounded", "is %s; at most %s is allowed", q.String(), limit)
		}
	}
}

// allowedImage compares repositories: that a tag does not exist is for the student to see
// in the grades. No list allows every image.
func (r *rules) allowedImage(image string) bool {
	if len(r.limits.Images) == 0 {
		return true
	}
	return slices.ContainsFunc(r.limits.Images, func(allowed string) bool { return SameRepository(image, allowed) })
}

// SameRepository tells whether two names of images are of one repository, in whatever tags.
func SameRepository(a, b string) bool {
	one, err := name.ParseReference(a)
	other, errOther := name.ParseReference(b)
	return err == nil && errOther == nil && path.Clean(one.Context().Name()) == path.Clean(other.Context().Name())
}
