package submission

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"labctl.dev/labctl/internal/result"
)

// The bounds on what one object may ask for. A lab needs a fraction of each.
const (
	maxReplicas = 10
	maxCPU      = "2"
	maxMemory   = "1Gi"
	maxStorage  = "1Gi"
	maxGrace    = 120 // seconds

	maxEndpoints = 20 // of one EndpointSlice

	// reservedName is how the names of the grader's own containers begin.
	reservedName = "labctl-"
)

// rules holds one object's fields against the policy, and gathers every finding.
type rules struct {
	object   Object
	limits   Limits
	findings []result.Finding
}

// breaches returns what is forbidden in an object of an allowed kind.
func breaches(o Object, limits Limits) []result.Finding {
	r := &rules{object: o, limits: limits}
	r.metadata()
	switch o.Object.GetKind() {
	case "Pod":
		check(r, func(p *corev1.Pod) { r.pod("spec", &p.Spec) })
	case "Deployment":
		check(r, func(d *appsv1.Deployment) {
			r.count("spec.replicas", d.Spec.Replicas)
			r.pod("spec.template.spec", &d.Spec.Template.Spec)
		})
	case "ReplicaSet":
		check(r, func(d *appsv1.ReplicaSet) {
			r.count("spec.replicas", d.Spec.Replicas)
			r.pod("spec.template.spec", &d.Spec.Template.Spec)
		})
	case "StatefulSet":
		check(r, func(d *appsv1.StatefulSet) {
			r.count("spec.replicas", d.Spec.Replicas)
			r.pod("spec.template.spec", &d.Spec.Template.Spec)
			for i, c := range d.Spec.VolumeClaimTemplates {
				at := fmt.Sprintf("spec.volumeClaimTemplates[%d]", i)
				r.ownership(at+".metadata", len(c.Finalizers), len(c.OwnerReferences))
				r.claim(at+".spec", &c.Spec)
			}
		})
	case "Job":
		check(r, func(j *batchv1.Job) {
			r.count("spec.parallelism", j.Spec.Parallelism)
			r.count("spec.completions", j.Spec.Completions)
			r.pod("spec.template.spec", &j.Spec.Template.Spec)
		})
	case "Service":
		check(r, r.service)
	case "EndpointSlice":
		check(r, r.endpoints)
	case "Secret":
		check(r, r.secret)
	case "PersistentVolumeClaim":
		check(r, func(c *corev1.PersistentVolumeClaim) { r.claim("spec", &c.Spec) })
	}
	return r.findings
}

// check hands the object on in its own type. One that does not fit is refused here: what
// cannot be read cannot be found harmless. Fields that the type does not have are left to
// the API server, which knows its own version.
func check[T any](r *rules, look func(*T)) {
	typed := new(T)
	data, err := json.Marshal(r.object.Object.Object)
	if err == nil {
		err = json.Unmarshal(data, typed)
	}
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mismatch):
		r.refuse(mismatch.Field, "malformed", "is a %s where a %s has %s", mismatch.Value, r.object.Object.GetKind(), mismatch.Type)
	case err != nil:
		r.refuse("", "malformed", "is no %s: %v", r.object.Object.GetKind(), err)
	default:
		look(typed)
	}
}

// refuse adds a finding: the field, the rule that it breaks, and why there is such a rule.
func (r *rules) refuse(field, rule, format string, args ...any) {
	r.findings = append(r.findings, result.Finding{
		File: r.object.File, Document: r.object.Document, Field: field, Rule: rule, Message: fmt.Sprintf(format, args...),
	})
}

func (r *rules) metadata() {
	meta := r.object.Object
	r.ownership("metadata", len(meta.GetFinalizers()), len(meta.GetOwnerReferences()))
}

func (r *rules) ownership(at string, finalizers, owners int) {
	if finalizers > 0 {
		r.refuse(at+".finalizers", "no-finalizers", "keeps the object from being removed; leave it out")
	}
	if owners > 0 {
		r.refuse(at+".ownerReferences", "no-owners", "ties the object to one that is not in the submission; leave it out")
	}
}

func (r *rules) count(field string, n *int32) {
	if n != nil && *n > maxReplicas {
		r.refuse(field, "bounded", "asks for %d pods; at most %d are allowed", *n, maxReplicas)
	}
}

func (r *rules) secret(s *corev1.Secret) {
	if s.Type == corev1.SecretTypeServiceAccountToken || strings.HasPrefix(string(s.Type), "bootstrap.kubernetes.io/") {
		r.refuse("type", "no-rights", "%q asks the cluster for a token; leave it out", s.Type)
	}
}

func (r *rules) service(s *corev1.Service) {
	if len(s.Spec.ExternalIPs) > 0 {
		r.refuse("spec.externalIPs", "no-external-ips", "catches other people's traffic (CVE-2020-8554); leave it out, no lab needs it")
	}
	if s.Spec.LoadBalancerIP != "" { //nolint:staticcheck // deprecated, and still obeyed
		r.refuse("spec.loadBalancerIP", "no-chosen-address", "takes an address of the instructor's network; leave it out, the load balancer chooses one")
	}
	if s.Spec.ExternalName != "" && !r.own(s.Spec.ExternalName) {
		r.refuse("spec.externalName", "own-names-only", "%q leads out of the lab; an alias may name a Service of the lab's namespace only: NAME.%s.svc.cluster.local",
			s.Spec.ExternalName, orElse(r.limits.Namespace, "LAB"))
	}
}

// endpoints may be any pods: who they are shows in the answers. What is no pod's address would
// make the cluster's Services a way to other networks.
func (r *rules) endpoints(s *discoveryv1.EndpointSlice) {
	if len(s.Endpoints) > maxEndpoints {
		r.refuse("endpoints", "bounded", "has %d endpoints; at most %d are allowed", len(s.Endpoints), maxEndpoints)
	}
	for i, e := range s.Endpoints {
		for j, address := range e.Addresses {
			at := fmt.Sprintf("endpoints[%d].addresses[%d]", i, j)
			if ip, err := netip.ParseAddr(address); err != nil || !r.limits.Pods.Contains(ip) {
				r.refuse(at, "pods-only", "%q is no pod's address; those are in %s", address, r.limits.Pods)
			}
		}
	}
}

// own tells whether a name is that of a Service in the lab's own namespace. One without a
// dot leads nowhere at all: a beginner's mistake, which is for the grade to show.
func (r *rules) own(name string) bool {
	if !strings.Contains(name, ".") {
		return true
	}
	service, rest, found := strings.Cut(strings.TrimSuffix(name, "."), ".")
	return found && service != "" && rest == r.limits.Namespace+".svc.cluster.local"
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (r *rules) claim(at string, c *corev1.PersistentVolumeClaimSpec) {
	if size := c.Resources.Requests[corev1.ResourceStorage]; size.Cmp(resource.MustParse(maxStorage)) > 0 {
		r.refuse(at+".resources.requests.storage", "bounded", "asks for %s; at most %s is allowed", size.String(), maxStorage)
	}
	if c.VolumeName != "" {
		r.refuse(at+".volumeName", "own-storage-only", "takes a particular volume, perhaps somebody else's; leave it out")
	}
	if c.DataSource != nil || c.DataSourceRef != nil {
		r.refuse(at+".dataSource", "own-storage-only", "copies another volume; leave it out")
	}
}
