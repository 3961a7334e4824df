package trace

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/grader/probe"
)

// tell writes down what the requests along all paths of a port met.
func (t *Tracer) tell(out *Trace, r *route) {
	r.list(out)
	out.Paths = append(out.Paths, r.inside(t))
	for _, n := range r.nodes {
		out.Paths = append(out.Paths, r.byNode(n))
	}
	if r.svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		out.Paths = append(out.Paths, r.byBalancer())
	}
}

// list adds the endpoints, and notes those that do not answer by themselves.
func (r *route) list(out *Trace) {
	for _, p := range r.places {
		e := p.Endpoint
		if p.direct != nil && p.direct.sent {
			e.Direct = "answers"
			if !p.direct.ok {
				e.Direct = p.direct.failure()
			}
		}
		if !slices.Contains(out.Endpoints, e) {
			out.Endpoints = append(out.Endpoints, e)
		}
	}
}

// inside is the path from a pod to the ClusterIP.
func (r *route) inside(t *Tracer) Path {
	p := Path{
		Via: ViaClusterIP, Port: r.port.Port,
		Hops: []Hop{t.clientHop(r.clients), r.serviceHop(), r.podHop()},
	}
	if r.virtual.ok && r.name.sent && !r.name.ok {
		p.Hops = slices.Insert(p.Hops, 1, Hop{Kind: KindName, Name: r.svc.Name})
		return r.broken(p, r.name, cause{
			at: KindName, why: fmt.Sprintf("the name %s does not resolve in %s, though %s answers", r.svc.Name, p.Hops[0].Name, r.svc.Spec.ClusterIP),
			hint: "look at the pod's dnsPolicy and dnsConfig",
		})
	}
	return r.finish(p, r.virtual, func() cause { return r.afterService(p) })
}

// afterService explains why the ClusterIP does not answer where a pod itself does.
func (r *route) afterService(p Path) cause {
	c := cause{at: KindService, why: fmt.Sprintf("the pods answer directly, but not through the ClusterIP %s", p.Hops[1].Address), hint: "rules take a moment to reach the nodes: trace again"}
	node := p.Hops[0].Node
	local := r.svc.Spec.InternalTrafficPolicy
	if local != nil && *local == corev1.ServiceInternalTrafficPolicyLocal && !r.on(node) {
		c.why = fmt.Sprintf("internalTrafficPolicy of Service %s is Local, and no ready pod of it runs on node %s, where the client is", r.svc.Name, node)
		c.hint = "leave internalTrafficPolicy at Cluster"
	}
	return c
}

// byNode is the path from outside to a node's port.
func (r *route) byNode(n nodeShot) Path {
	p := Path{
		Via: ViaNodePort, Port: r.port.Port, Node: n.name,
		Hops: []Hop{
			{Kind: KindClient, Name: "outside"},
			{Kind: KindNode, Name: "node/" + n.name, Address: join(n.ip, r.port.NodePort)},
			r.serviceHop(), r.podHop(),
		},
	}
	return r.finish(p, n.shot, func() cause {
		if r.svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal && !r.on(n.name) {
			return cause{
				at:    KindNode,
				why:   fmt.Sprintf("externalTrafficPolicy of Service %s is Local, and no ready pod of it runs on node %s: the node drops the request", r.svc.Name, n.name),
				facts: []string{"its ready pods run on: " + list(r.nodesOfPods())},
				hint:  "run a pod on every node that clients use, or set externalTrafficPolicy: Cluster",
			}
		}
		return cause{at: KindNode, why: fmt.Sprintf("node %s does not hand the request on from %s", n.name, p.Hops[1].Address), hint: "rules take a moment to reach the nodes: trace again"}
	})
}

// byBalancer is the path from outside to the external address.
func (r *route) byBalancer() Path {
	node := Hop{Kind: KindNode, Name: "a node"}
	if r.port.NodePort != 0 {
		node.Address = fmt.Sprintf(":%d", r.port.NodePort)
	}
	p := Path{
		Via: ViaLoadBalancer, Port: r.port.Port,
		Hops: []Hop{
			{Kind: KindClient, Name: "outside"},
			{Kind: KindLoadBalancer, Name: "load balancer", Address: join(grader.Ingress(r.svc), r.port.Port)},
			node, r.serviceHop(), r.podHop(),
		},
	}
	if r.pending != nil {
		return r.broken(p, &shot{}, *r.pending)
	}
	return r.finish(p, r.balanced, func() cause {
		c := cause{at: KindLoadBalancer, why: "the load balancer does not hand the request on", hint: "it needs some seconds after a change: trace again"}
		if slices.ContainsFunc(r.nodes, func(n nodeShot) bool { return n.shot.ok }) {
			c.facts = append(c.facts, fmt.Sprintf("the node port %d answers", r.port.NodePort))
		}
		if ranges := r.svc.Spec.LoadBalancerSourceRanges; len(ranges) > 0 {
			c.facts = append(c.facts, "loadBalancerSourceRanges lets in only: "+list(ranges))
		}
		return c
	})
}

// finish writes down what the request met. Where it was not answered, what the objects show
// comes first, then what the pods themselves answer, then the path's own reason.
func (r *route) finish(p Path, s *shot, own func() cause) Path {
	switch {
	case s.ok:
		return r.answered(p, s)
	case r.cause != nil:
		return r.broken(p, s, *r.cause)
	case !s.sent:
		return r.broken(p, s, cause{at: KindClient, why: "no pod runs in the namespace from which to ask", hint: "deploy the application first"})
	case s.stranger:
		return r.broken(p, s, cause{at: KindPod, why: "somebody answered who is no pod of Service " + r.svc.Name + ": " + s.why})
	}
	if c := r.silent(); c != nil {
		return r.broken(p, s, *c)
	}
	return r.broken(p, s, own())
}

func (r *route) answered(p Path, s *shot) Path {
	p.OK, p.Seconds = true, s.took.Seconds()
	if s.pod == "" {
		return p
	}
	p.Answered = "pod/" + s.pod
	for _, at := range r.places {
		if at.Pod == p.Answered {
			p.Hops[len(p.Hops)-1] = at.hop()
		}
	}
	return p
}

// broken ends the path at the last hop of the cause's kind.
func (r *route) broken(p Path, s *shot, c cause) Path {
	p.Class, p.Seconds = string(s.class), s.took.Seconds()
	if s.sent {
		p.Got = s.failure()
	}
	p.Break = &Break{Why: c.why, Facts: c.facts, Hint: c.hint}
	for i, h := range p.Hops {
		if h.Kind == c.at {
			p.Break.Hop = i
		}
	}
	return p
}

// silent explains pods that do not answer even when they are asked directly; nil where one
// does, or none could be asked.
func (r *route) silent() *cause {
	var first *place
	for _, p := range r.places {
		if p.direct == nil || !p.direct.sent || !p.Ready {
			continue
		}
		if p.direct.ok {
			return nil
		}
		if first == nil {
			first = p
		}
	}
	if first == nil {
		return nil
	}
	if first.direct.class != probe.Refused {
		return &cause{
			at: KindPod, why: fmt.Sprintf("%s itself does not answer at %s: %s", first.Pod, first.Address, first.direct.failure()),
			hint: "look at its log, and for a NetworkPolicy: kubectl logs " + strings.TrimPrefix(first.Pod, "pod/"),
		}
	}
	return deaf(r, first)
}

// deaf is a targetPort that nothing listens on.
func deaf(r *route, p *place) *cause {
	c := &cause{
		at:   KindPod,
		why:  fmt.Sprintf("nothing listens on port %d in %s, where targetPort of Service %s leads", p.port, p.Pod, r.svc.Name),
		hint: "set targetPort to the port that the container listens on",
	}
	for _, port := range declared(p.pod) {
		fact := fmt.Sprintf("its container declares port %d", port)
		if s := p.others[port]; s != nil && s.ok {
			fact += ", and answers there"
			c.hint = fmt.Sprintf("set targetPort of the Service to %d", port)
		}
		c.facts = append(c.facts, fact)
	}
	return c
}

func (r *route) serviceHop() Hop {
	return Hop{Kind: KindService, Name: "service/" + r.svc.Name, Address: join(r.svc.Spec.ClusterIP, r.port.Port)}
}

// podHop is the last hop before it is known who answers.
func (r *route) podHop() Hop {
	if len(r.places) > 0 && r.places[0].pod != nil {
		return r.places[0].hop()
	}
	return Hop{Kind: KindPod, Name: "a pod"}
}

func (p *place) hop() Hop {
	return Hop{Kind: KindPod, Name: p.Pod, Address: p.Address, Node: p.Node}
}

// on tells whether a ready endpoint is on the node.
func (r *route) on(node string) bool { return slices.Contains(r.nodesOfPods(), node) }

func (r *route) nodesOfPods() []string {
	var names []string
	for _, p := range r.places {
		if p.Ready && !slices.Contains(names, p.Node) {
			names = append(names, p.Node)
		}
	}
	slices.Sort(names)
	return names
}
