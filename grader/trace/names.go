package trace

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
)

// tellHeadless writes down the path to a Service whose name stands for its pods.
func (t *Tracer) tellHeadless(out *Trace, r *route) {
	r.list(out)
	target := r.target()
	if target != r.port.Port {
		out.Notes = append(out.Notes, fmt.Sprintf("headless: the name leads straight to the pods, so clients call their port %d; the Service's port %d is mapped by nobody", target, r.port.Port))
	}
	p := Path{
		Via: ViaHeadless, Port: r.port.Port,
		Hops: []Hop{
			t.clientHop(r.clients),
			{Kind: KindService, Name: "service/" + r.svc.Name + " (headless)"},
			{Kind: KindName, Name: "name " + r.svc.Name, Address: strings.Join(r.name.records, ", ")},
			r.podHop(),
		},
	}
	out.Paths = append(out.Paths, r.finish(p, r.virtual, func() cause {
		if !r.name.ok {
			return cause{at: KindName, why: fmt.Sprintf("the name %s does not resolve", r.svc.Name), hint: "names take some seconds after a change: trace again"}
		}
		return cause{at: KindName, why: fmt.Sprintf("the pods answer directly, but not at what the name %s stands for", r.svc.Name), hint: "names take some seconds after a change: trace again"}
	}))
}

// alias prepares the requests to an ExternalName Service: its name is an alias of another.
func (t *Tracer) alias(b *batch, svc *corev1.Service, clients []corev1.Pod) func(*Trace) {
	target := strings.TrimSuffix(svc.Spec.ExternalName, ".")
	own := b.fromPod(probe.Probe{Kind: probe.Lookup, Target: svc.Name}, resolved)
	theirs := b.fromPod(probe.Probe{Kind: probe.Lookup, Target: target + "."}, resolved)
	inner, inCluster := t.inNamespace(target)
	port := aliasPort(svc, serviceOf(t.State, inner))
	var call *shot
	if port != 0 {
		call = b.fromPod(probe.Probe{Kind: probe.TCP, Target: join(svc.Name, port)}, connected)
	}
	return func(out *Trace) {
		r := &route{svc: svc, clients: clients}
		p := Path{
			Via: ViaAlias, Port: port,
			Hops: []Hop{
				t.clientHop(clients),
				{Kind: KindService, Name: "service/" + svc.Name + " (alias)"},
				{Kind: KindName, Name: target, Address: join(strings.Join(own.records, ", "), port)},
			},
		}
		switch {
		case !own.sent:
			p = r.broken(p, own, cause{at: KindClient, why: "no pod runs in the namespace from which to ask", hint: "deploy the application first"})
		case !theirs.ok:
			p = r.broken(p, theirs, t.unknownTarget(svc, target, inner, inCluster))
		case !own.ok:
			p = r.broken(p, own, cause{at: KindService, why: fmt.Sprintf("the name %s does not resolve, though %s does", svc.Name, target), hint: "names take some seconds after a change: trace again"})
		case call == nil:
			p.OK, p.Seconds = true, own.took.Seconds()
			out.Notes = append(out.Notes, fmt.Sprintf("the name resolves; no request was sent, for Service %s names no port", svc.Name))
		case !call.ok:
			p = r.broken(p, call, cause{
				at: KindName, why: fmt.Sprintf("the name leads to %s, which does not answer at port %d: %s", target, port, call.failure()),
				hint: "an alias maps no port: clients call the target's own" + traceOther(inner, inCluster),
			})
		default:
			p.OK, p.Seconds = true, call.took.Seconds()
		}
		out.Paths = append(out.Paths, p)
	}
}

// inNamespace returns the Service of the tracer's namespace that a full name means.
func (t *Tracer) inNamespace(target string) (service string, ok bool) {
	service, rest, found := strings.Cut(target, ".")
	return service, found && slices.Contains([]string{t.Namespace + ".svc.cluster.local", t.Namespace + ".svc"}, rest)
}

// aliasPort is where clients of an alias can be expected to call.
func aliasPort(svc, target *corev1.Service) int32 {
	switch {
	case len(svc.Spec.Ports) > 0:
		return svc.Spec.Ports[0].Port
	case target != nil && len(target.Spec.Ports) > 0:
		return target.Spec.Ports[0].Port
	}
	return 0
}

func (t *Tracer) unknownTarget(svc *corev1.Service, target, inner string, inCluster bool) cause {
	c := cause{
		at: KindName, why: fmt.Sprintf("the alias leads to %s, and that name does not resolve", target),
		hint: fmt.Sprintf("correct spec.externalName of Service %s: a full name, such as db.NAMESPACE.svc.cluster.local", svc.Name),
	}
	if inCluster && serviceOf(t.State, inner) == nil {
		var names []string
		for _, s := range t.State.Services {
			names = append(names, s.Name)
		}
		c.facts = []string{fmt.Sprintf("there is no Service %s in namespace %s%s", inner, t.Namespace, lab.Suggest(inner, names))}
	}
	return c
}

func traceOther(service string, inCluster bool) string {
	if !inCluster {
		return ""
	}
	return "; labctl trace " + service + " follows it from there"
}
