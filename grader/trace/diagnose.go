package trace

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
)

// diagnose says what the objects show that keeps a port of the Service from answering, or
// nil where nothing does.
func (t *Tracer) diagnose(r *route) *cause {
	if slices.ContainsFunc(r.places, func(p *place) bool { return p.Ready && p.port != 0 }) {
		return nil
	}
	if len(r.svc.Spec.Selector) == 0 {
		return &cause{
			at: KindService, why: fmt.Sprintf("Service %s has no endpoints: it has no selector, and nobody wrote an EndpointSlice for it", r.svc.Name),
			hint: "give it spec.selector with the labels of the pods",
		}
	}
	var matching []corev1.Pod
	for _, p := range t.State.Pods {
		if grader.Selects(r.svc, p) && p.DeletionTimestamp == nil {
			matching = append(matching, p)
		}
	}
	switch {
	case len(matching) == 0:
		return t.unmatched(r.svc)
	case r.port.TargetPort.Type == intstr.String && !slices.ContainsFunc(matching, func(p corev1.Pod) bool { return named(p, r.port.TargetPort.StrVal) }):
		return unnamed(r, matching)
	case !slices.ContainsFunc(matching, ready):
		return t.unready(r.svc, matching)
	}
	return &cause{
		at: KindService, why: fmt.Sprintf("Service %s has no ready endpoints yet, though a pod that it selects is ready", r.svc.Name),
		hint: "the endpoints follow within a second: trace again",
	}
}

// unmatched is a selector that no pod has.
func (t *Tracer) unmatched(svc *corev1.Service) *cause {
	return &cause{
		at:    KindService,
		why:   fmt.Sprintf("Service %s has no endpoints: its selector (%s) matches no pod", svc.Name, pairs(svc.Spec.Selector)),
		facts: t.nearest(svc.Spec.Selector),
		hint:  "make spec.selector of the Service equal to the labels in the pods' template",
	}
}

// near is a group of pods with the same labels, and how these differ from a selector.
type near struct {
	pod   string
	text  string
	count int // of labels that differ
	typo  bool
}

// nearest names the pods whose labels differ least from the selector, and in what.
func (t *Tracer) nearest(selector map[string]string) []string {
	var groups []near
	for _, p := range t.State.Pods {
		if p.DeletionTimestamp != nil {
			continue
		}
		n := compare(selector, p)
		if !slices.ContainsFunc(groups, func(g near) bool { return g.text == n.text }) {
			groups = append(groups, n)
		}
	}
	if len(groups) == 0 {
		return []string{"there is no pod in the namespace"}
	}
	slices.SortStableFunc(groups, func(a, b near) int {
		if a.count != b.count {
			return a.count - b.count
		}
		return order(a.typo) - order(b.typo)
	})
	var facts []string
	for _, g := range groups {
		if len(facts) < 3 && g.count == groups[0].count && (g.typo || !groups[0].typo) {
			facts = append(facts, "nearest: "+g.pod+" "+g.text)
		}
	}
	return facts
}

// compare says in which labels a pod differs from the selector.
func compare(selector map[string]string, p corev1.Pod) near {
	n := near{pod: "pod/" + p.Name}
	var differences []string
	for _, k := range slices.Sorted(keys(selector)) {
		want := selector[k]
		switch has, ok := p.Labels[k]; {
		case ok && has == want:
			continue
		case ok:
			n.typo = n.typo || lab.Suggest(want, []string{has}) != ""
			differences = append(differences, fmt.Sprintf("has %s=%s, the selector wants %s=%s", k, has, k, want))
		default:
			own := labelsOf(p)
			n.typo = n.typo || lab.Suggest(k, own) != "" || slices.Contains(values(p), want)
			differences = append(differences, fmt.Sprintf("has no label %s (it has %s)", k, list(own)))
		}
		n.count++
	}
	n.text = strings.Join(differences, "; ")
	return n
}

// labelsOf are a pod's labels, without those that controllers add.
func labelsOf(p corev1.Pod) []string {
	own := map[string]string{}
	for k, v := range p.Labels {
		if !strings.Contains(k, "pod-template-hash") && !strings.Contains(k, "kubernetes.io/") {
			own[k] = v
		}
	}
	return strings.Split(pairs(own), ",")
}

func values(p corev1.Pod) []string {
	var all []string
	for _, v := range p.Labels {
		all = append(all, v)
	}
	return all
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func named(p corev1.Pod, port string) bool {
	for _, c := range p.Spec.Containers {
		for _, cp := range c.Ports {
			if cp.Name == port {
				return true
			}
		}
	}
	return false
}

// unnamed is a named targetPort that the pods do not have.
func unnamed(r *route, pods []corev1.Pod) *cause {
	var names []string
	for _, c := range pods[0].Spec.Containers {
		for _, p := range c.Ports {
			names = append(names, strings.TrimSpace(fmt.Sprintf("%d %s", p.ContainerPort, p.Name)))
		}
	}
	return &cause{
		at:    KindPod,
		why:   fmt.Sprintf("targetPort of Service %s is the name %q, and no container of the pods has a port of that name", r.svc.Name, r.port.TargetPort.StrVal),
		facts: []string{fmt.Sprintf("pod/%s declares the ports: %s", pods[0].Name, list(names))},
		hint:  fmt.Sprintf("name the container's port %s (spec.containers[].ports[].name), or set targetPort to its number", r.port.TargetPort.StrVal),
	}
}

// unready is pods that the Service selects and that do not get ready.
func (t *Tracer) unready(svc *corev1.Service, pods []corev1.Pod) *cause {
	p := pods[0]
	c := &cause{
		at:   KindPod,
		why:  fmt.Sprintf("none of the %d pods behind Service %s is ready, so it has no ready endpoints", len(pods), svc.Name),
		hint: "a pod is an endpoint only while it is ready: kubectl describe pod " + p.Name,
	}
	if len(pods) == 1 {
		c.why = fmt.Sprintf("the only pod behind Service %s is not ready, so it has no ready endpoints", svc.Name)
	}
	if why, _ := grader.Stuck(p); why != "" {
		c.facts = append(c.facts, "pod/"+p.Name+": "+why)
	}
	for _, container := range p.Spec.Containers {
		if container.ReadinessProbe != nil {
			c.facts = append(c.facts, "readiness probe of container "+container.Name+": "+probeOf(container.ReadinessProbe))
		}
	}
	if events := grader.Warnings(t.State.Events, p.Name); len(events) > 0 {
		c.facts = append(c.facts, "last event: "+events[len(events)-1].Got)
	}
	return c
}

// probeOf says what a readiness probe does.
func probeOf(p *corev1.Probe) string {
	switch {
	case p.HTTPGet != nil:
		return fmt.Sprintf("HTTP GET %s at port %s", p.HTTPGet.Path, p.HTTPGet.Port.String())
	case p.TCPSocket != nil:
		return "connect to port " + p.TCPSocket.Port.String()
	case p.Exec != nil:
		return "run " + strings.Join(p.Exec.Command, " ")
	case p.GRPC != nil:
		return fmt.Sprintf("gRPC at port %d", p.GRPC.Port)
	}
	return "none"
}

// unserved says why a Service of type LoadBalancer has no address.
func (t *Tracer) unserved(ctx context.Context, svc *corev1.Service) *cause {
	c := &cause{at: KindLoadBalancer, why: fmt.Sprintf("Service %s has no external address yet (EXTERNAL-IP is <pending>)", svc.Name)}
	for _, e := range grader.Warnings(t.State.Events, svc.Name) {
		c.facts = append(c.facts, "event: "+e.Got)
	}
	if why := grader.OptsOut(svc); why != "" {
		c.facts = append([]string{"it will get none: " + why}, c.facts...)
		c.hint = "remove that field from the Service"
		return c
	}
	if err := t.Places.Balanced(ctx); err != nil {
		c.facts = append(c.facts, "nobody serves load balancers: "+err.Error())
		c.hint = fault.RemedyOf(err)
		return c
	}
	c.hint = "an address is assigned within some seconds, at most half a minute: trace again"
	return c
}
