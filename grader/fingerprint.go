package grader

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
)

// Fingerprints returns, by check, a digest of all that the check's verdict can depend on: the
// parts of the state that it looks at, the answer to its question, and the same of the
// checks that it depends on. While it stays the same, the verdict holds. What changes without
// meaning (status, heartbeats, the probes that labctl adds to pods) is not in it.
func (s *Session) Fingerprints(st *kube.State) map[string]string {
	prints := map[string]string{}
	for _, c := range s.Lab.Checks { // dependencies are listed earlier
		d := digester{session: s, state: st}
		d.check(c)
		for _, dep := range c.DependsOn {
			d.add("depends", prints[dep])
		}
		sum := sha256.Sum256([]byte(d.text.String()))
		prints[c.ID] = hex.EncodeToString(sum[:8])
	}
	return prints
}

// digester collects what a check looks at.
type digester struct {
	session *Session
	state   *kube.State
	text    strings.Builder
}

func (d *digester) add(kind string, values ...any) {
	data, err := json.Marshal(values)
	if err != nil {
		return // values of the API's own types marshal
	}
	d.text.WriteString(kind)
	d.text.Write(data)
	d.text.WriteByte('\n')
}

func (d *digester) check(c lab.Check) {
	switch {
	case disturbs(c):
		// It changes pods itself, and must not set itself off by that.
		d.specs()
	case c.Reach != nil:
		d.tiers(c.Reach.Tier, c.Reach.From)
		d.services(func(svc *corev1.Service) bool { return svc.Name == c.Reach.Service })
		if slices.Contains(c.Reach.Via, lab.ViaNodePort) {
			d.nodes()
		}
	case c.App != nil: // which Services the application calls is its own matter
		d.tiers(c.App.Tier, c.App.Answered)
		d.services(all)
	case c.Internal != nil: // any Service can lead to the pods
		d.tiers(c.Internal.Tiers...)
		d.services(all)
		d.nodes()
	case c.Resolve != nil:
		d.tiers(c.Resolve.From, c.Resolve.Tier)
		d.services(func(svc *corev1.Service) bool {
			return svc.Name == c.Resolve.Service || svc.Name == c.Resolve.Target
		})
	case c.Question != nil:
		d.add("answer", d.session.Answers[c.ID])
		if c.Question.Predict != nil {
			d.everything()
		}
	default:
		d.everything()
	}
}

func all(*corev1.Service) bool { return true }

func (d *digester) everything() {
	for _, t := range d.session.Lab.Tiers {
		d.tiers(t.Name)
	}
	d.services(all)
	d.nodes()
}

// tiers adds the workloads and pods of the tiers; "" is none.
func (d *digester) tiers(names ...string) {
	for _, name := range names {
		t, ok := d.session.Lab.Tier(name)
		if !ok {
			continue
		}
		for _, w := range d.session.workloadSpecs(d.state, t) {
			d.add("workload", w.name, w.replicas, w.template, w.settled)
		}
		for _, p := range d.state.Pods {
			if runs(p.Spec, t.Image) || strings.HasPrefix(p.Name, t.Name+"-") {
				d.pod(p)
			}
		}
	}
}

// pod adds what matters of a pod. Why one that is not ready is not ready changes by the
// second; that it never will be does not.
func (d *digester) pod(p corev1.Pod) {
	d.add("pod", p.Name, p.UID, labels(p.Labels), p.Spec.NodeName, p.Status.PodIP, isReady(p), p.DeletionTimestamp != nil, p.Status.Phase)
	for _, c := range p.Spec.Containers {
		d.add("container", c.Name, c.Image, c.Ports)
	}
	for _, cs := range p.Status.ContainerStatuses {
		_, final := Stuck(p)
		d.add("runs", cs.Name, cs.ImageID, final || cs.RestartCount >= 2)
	}
}

func (d *digester) services(which func(*corev1.Service) bool) {
	for i := range d.state.Services {
		svc := &d.state.Services[i]
		if !which(svc) {
			continue
		}
		d.add("service", svc.Name, svc.Spec, svc.Status.LoadBalancer.Ingress, svc.DeletionTimestamp != nil)
		var endpoints []string
		for _, sl := range d.state.Slices {
			if sl.Labels[discoveryv1.LabelServiceName] != svc.Name {
				continue
			}
			for _, e := range sl.Endpoints {
				data, err := json.Marshal([]any{e.Addresses, valueOr(e.Conditions.Ready, true), e.NodeName, sl.Ports})
				if err == nil {
					endpoints = append(endpoints, string(data))
				}
			}
		}
		slices.Sort(endpoints)
		d.add("endpoints", endpoints)
	}
}

func (d *digester) nodes() {
	names, ips := Nodes(d.state)
	d.add("nodes", names, ips)
}

// specs adds what somebody wrote, and nothing that follows from it.
func (d *digester) specs() {
	for _, svc := range d.state.Services {
		d.add("service", svc.Name, svc.Spec)
	}
	for _, t := range d.session.Lab.Tiers {
		for _, w := range d.session.workloadSpecs(d.state, t) {
			w.template.Annotations = nil // a restart is written down there
			d.add("workload", w.name, w.replicas, w.template)
		}
	}
}

// workloadSpec is what a workload asks for.
type workloadSpec struct {
	name     string
	replicas int32
	template corev1.PodTemplateSpec
	settled  bool // what it asks for is there
}

// workloadSpecs are those of the workloads that run the tier, or have its name.
func (s *Session) workloadSpecs(st *kube.State, t lab.Tier) []workloadSpec {
	var all []workloadSpec
	of := func(name string, template corev1.PodTemplateSpec) bool {
		return name == t.Name || runs(template.Spec, t.Image)
	}
	for _, d := range st.Deployments {
		if of(d.Name, d.Spec.Template) {
			want := valueOr(d.Spec.Replicas, 1)
			all = append(all, workloadSpec{"deployment/" + d.Name, want, d.Spec.Template,
				d.Status.ObservedGeneration >= d.Generation && d.Status.ReadyReplicas == want && d.Status.UpdatedReplicas == want && d.Status.Replicas == want})
		}
	}
	for _, d := range st.StatefulSets {
		if of(d.Name, d.Spec.Template) {
			want := valueOr(d.Spec.Replicas, 1)
			all = append(all, workloadSpec{"statefulset/" + d.Name, want, d.Spec.Template, d.Status.ObservedGeneration >= d.Generation && d.Status.ReadyReplicas == want})
		}
	}
	for _, d := range st.ReplicaSets {
		if len(d.OwnerReferences) == 0 && of(d.Name, d.Spec.Template) {
			want := valueOr(d.Spec.Replicas, 1)
			all = append(all, workloadSpec{"replicaset/" + d.Name, want, d.Spec.Template, d.Status.ReadyReplicas == want})
		}
	}
	return all
}
