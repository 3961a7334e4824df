package trace

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/fault"
)

const (
	maxDirect = 8 // endpoints that are asked directly
	maxOthers = 3 // further ports of a pod that are asked
)

// route is one port of a Service, where it leads, and the requests about it.
type route struct {
	svc     *corev1.Service
	port    *corev1.ServicePort
	clients []corev1.Pod
	places  []*place
	cause   *cause // what the objects say keeps it from answering

	name, virtual *shot
	nodes         []nodeShot
	balanced      *shot
	pending       *cause // why there is no external address
}

// place is an endpoint.
type place struct {
	Endpoint
	pod    *corev1.Pod
	port   int32 // 0 where the pod has none for the Service's targetPort
	direct *shot
	others map[int32]*shot // other ports that its containers declare
}

type nodeShot struct {
	name, ip string
	shot     *shot
}

// cause is why a path breaks at a kind of hop.
type cause struct {
	at    Kind
	why   string
	facts []string
	hint  string
}

// asking makes the requests that ask who is at an address.
type asking struct {
	identifier *grader.Identifier
}

func (a asking) at(host string, port int32) (probe.Probe, func(probe.Attempt) answer) {
	if a.identifier == nil {
		return probe.Probe{Kind: probe.TCP, Target: join(host, port)}, connected
	}
	return a.identifier.Probe("", host, int(port)), identified(a.identifier)
}

// route finds where a port of the Service leads.
func (t *Tracer) route(svc *corev1.Service, port *corev1.ServicePort, clients []corev1.Pod) *route {
	r := &route{svc: svc, port: port, clients: clients}
	for _, sl := range t.State.Slices {
		if sl.Labels[discoveryv1.LabelServiceName] != svc.Name {
			continue
		}
		target := portIn(sl, port)
		for _, e := range sl.Endpoints {
			if len(e.Addresses) > 0 {
				r.places = append(r.places, t.place(e, target))
			}
		}
	}
	slices.SortStableFunc(r.places, func(a, b *place) int { return order(a.Ready) - order(b.Ready) })
	r.cause = t.diagnose(r)
	return r
}

func order(ready bool) int {
	if ready {
		return 0
	}
	return 1
}

// portIn returns the port that a slice has for the Service's port, or 0.
func portIn(sl discoveryv1.EndpointSlice, port *corev1.ServicePort) int32 {
	for _, p := range sl.Ports {
		name := ""
		if p.Name != nil {
			name = *p.Name
		}
		if name == port.Name && p.Port != nil {
			return *p.Port
		}
	}
	if len(sl.Ports) == 0 && port.TargetPort.Type == intstr.Int {
		return port.TargetPort.IntVal // a headless Service without ports
	}
	return 0
}

func (t *Tracer) place(e discoveryv1.Endpoint, port int32) *place {
	p := &place{port: port, others: map[int32]*shot{}}
	p.Address, p.Ready = join(e.Addresses[0], port), e.Conditions.Ready == nil || *e.Conditions.Ready
	if e.NodeName != nil {
		p.Node = *e.NodeName
	}
	for i := range t.State.Pods {
		if pod := &t.State.Pods[i]; pod.Status.PodIP == e.Addresses[0] && !pod.Spec.HostNetwork {
			p.pod, p.Pod, p.Node = pod, "pod/"+pod.Name, pod.Spec.NodeName
		}
	}
	return p
}

// asking prepares to ask the route's pods who they are; where they are none of a tier's,
// a connection has to do.
func (t *Tracer) asking(ctx context.Context, r *route) (asking, error) {
	var pods []corev1.Pod
	tier := -1
	for _, p := range r.places {
		if p.pod == nil {
			continue
		}
		pods = append(pods, *p.pod)
		if tier < 0 {
			tier = t.tierOf(*p.pod)
		}
	}
	if tier < 0 {
		return asking{}, nil
	}
	i, err := grader.Identify(ctx, t.Cluster, t.Namespace, t.Tiers[tier], t.Nonce, pods)
	if err != nil && fault.KindOf(err) == fault.Input {
		return asking{}, nil // a Secret is missing: nobody can log in
	}
	if err != nil {
		return asking{}, fmt.Errorf("find out how to ask %s: %w", t.Tiers[tier].Name, err)
	}
	return asking{identifier: i}, nil
}

// port prepares the requests along all paths of one port; the function that is returned
// reads what came of them.
func (t *Tracer) port(ctx context.Context, b *batch, svc *corev1.Service, port *corev1.ServicePort, clients []corev1.Pod) (func(*Trace), error) {
	if port.Protocol != "" && port.Protocol != corev1.ProtocolTCP {
		return func(out *Trace) {
			out.Notes = append(out.Notes, fmt.Sprintf("port %d is %s: labctl traces TCP only", port.Port, port.Protocol))
		}, nil
	}
	r := t.route(svc, port, clients)
	ask, err := t.asking(ctx, r)
	if err != nil {
		return nil, err
	}
	r.aimDirect(b, ask)
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		r.name = b.fromPod(probe.Probe{Kind: probe.Lookup, Target: svc.Name}, resolved)
		r.virtual = b.fromPod(ask.at(svc.Name, r.target()))
		return func(out *Trace) { t.tellHeadless(out, r) }, nil
	}
	r.name = b.fromPod(probe.Probe{Kind: probe.Lookup, Target: svc.Name}, resolved)
	r.virtual = b.fromPod(ask.at(svc.Spec.ClusterIP, port.Port))
	if port.NodePort != 0 {
		names, ips := grader.Nodes(t.State)
		for i, ip := range ips {
			r.nodes = append(r.nodes, nodeShot{name: names[i], ip: ip, shot: b.fromOutside(ask.at(ip, port.NodePort))})
		}
	}
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		if address := grader.Ingress(svc); address != "" {
			r.balanced = b.fromOutside(ask.at(address, port.Port))
		} else {
			r.pending = t.unserved(ctx, svc)
		}
	}
	return func(out *Trace) { t.tell(out, r) }, nil
}

// aimDirect asks the endpoints themselves, also at what else their containers declare.
func (r *route) aimDirect(b *batch, ask asking) {
	for i, p := range r.places {
		if p.pod == nil || i >= maxDirect {
			continue
		}
		if p.port != 0 {
			p.direct = b.fromPod(ask.at(p.pod.Status.PodIP, p.port))
		}
		for _, other := range declared(p.pod) {
			if other != p.port && len(p.others) < maxOthers {
				p.others[other] = b.fromPod(ask.at(p.pod.Status.PodIP, other))
			}
		}
	}
}

// target is the port that the pods are called at, as far as it is known.
func (r *route) target() int32 {
	for _, p := range r.places {
		if p.port != 0 {
			return p.port
		}
	}
	if r.port.TargetPort.Type == intstr.Int && r.port.TargetPort.IntVal != 0 {
		return r.port.TargetPort.IntVal
	}
	return r.port.Port
}

// declared returns the TCP ports that the pod's containers declare.
func declared(p *corev1.Pod) []int32 {
	var ports []int32
	for _, c := range p.Spec.Containers {
		for _, cp := range c.Ports {
			if cp.Protocol == "" || cp.Protocol == corev1.ProtocolTCP {
				ports = append(ports, cp.ContainerPort)
			}
		}
	}
	return ports
}
