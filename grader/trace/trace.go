// Package trace follows one identified request along every path that a Service has, and
// says at which hop a path breaks and why. What the objects say is never enough for "it
// works", and what a request met is never explained without looking at the objects.
package trace

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
)

// Schema is the format of a trace as JSON.
const Schema = "labctl.dev/trace/v1"

// Trace is what the requests to one Service met.
type Trace struct {
	Schema    string     `json:"schema"`
	Namespace string     `json:"namespace"`
	Service   string     `json:"service"`
	Type      string     `json:"type,omitempty"`
	Selector  string     `json:"selector,omitempty"`
	Endpoints []Endpoint `json:"endpoints"`
	Paths     []Path     `json:"paths"`
	Notes     []string   `json:"notes,omitempty"`
}

// OK tells whether every path was answered.
func (t *Trace) OK() bool {
	return len(t.Paths) > 0 && !slices.ContainsFunc(t.Paths, func(p Path) bool { return !p.OK })
}

// Via is the kind of a path.
type Via string

// The paths that a Service can have.
const (
	ViaClusterIP    Via = "clusterIP"    // a pod → the virtual IP
	ViaNodePort     Via = "nodePort"     // outside → a node's address
	ViaLoadBalancer Via = "loadBalancer" // outside → the external address
	ViaHeadless     Via = "headless"     // a pod → the pods that the name stands for
	ViaAlias        Via = "externalName" // a pod → what the name is an alias of
	ViaConfigured   Via = "configured"   // as an application's environment names the Service
)

// Path is one way to the Service, and the request that was sent along it.
type Path struct {
	Via      Via     `json:"via"`
	Port     int32   `json:"port,omitempty"` // the Service's
	Node     string  `json:"node,omitempty"` // with nodePort
	Hops     []Hop   `json:"hops"`
	OK       bool    `json:"ok"`
	Answered string  `json:"answered,omitempty"` // "pod/backend-7c9"; "" where who answered does not say
	Seconds  float64 `json:"seconds,omitempty"`
	Class    string  `json:"class,omitempty"` // TIMEOUT, REFUSED, DNS, RESET or OTHER
	Got      string  `json:"got,omitempty"`   // what came back, where it was not an answer
	Break    *Break  `json:"break,omitempty"`
}

// Kind is what a hop is.
type Kind string

// The hops.
const (
	KindClient       Kind = "client"
	KindName         Kind = "name" // the cluster's DNS
	KindLoadBalancer Kind = "loadBalancer"
	KindNode         Kind = "node"
	KindService      Kind = "service"
	KindPod          Kind = "pod"
)

// Hop is one station of a path.
type Hop struct {
	Kind    Kind   `json:"kind"`
	Name    string `json:"name"`              // "pod/frontend-7c9", "outside", "node/labctl-worker"
	Address string `json:"address,omitempty"` // "10.96.3.4:80"
	Node    string `json:"node,omitempty"`    // that a pod runs on
}

// Break is where a path ends, and why.
type Break struct {
	Hop   int      `json:"hop"` // index into the path's Hops; those after it were not reached
	Why   string   `json:"why"`
	Facts []string `json:"facts,omitempty"` // what was seen that shows it
	Hint  string   `json:"hint,omitempty"`  // what to look at or to change
}

// Endpoint is a pod that the Service leads to, and whether it answers by itself.
type Endpoint struct {
	Pod     string `json:"pod"`
	Node    string `json:"node,omitempty"`
	Address string `json:"address"` // with the port, where the Service has one for it
	Ready   bool   `json:"ready"`
	Direct  string `json:"direct,omitempty"` // what a direct request met: "answers", or the class of the failure
}

// Tracer traces the Services of one namespace.
type Tracer struct {
	Namespace string
	State     *kube.State
	Cluster   grader.Cluster
	Places    grader.Places
	Tiers     []lab.Tier // what is known of the applications: who speaks what
	Nonce     string
	Timeout   time.Duration // of one attempt; 0 means 2 s
}

// Trace follows the paths of the Service, or only those of one of its ports where port is
// not 0. An error is ours: a path that breaks is none.
func (t *Tracer) Trace(ctx context.Context, service string, port int) (*Trace, error) {
	out := &Trace{Schema: Schema, Namespace: t.Namespace, Service: service, Endpoints: []Endpoint{}}
	svc := serviceOf(t.State, service)
	if svc == nil {
		out.Paths = []Path{t.missing(service)}
		return out, nil
	}
	out.Type, out.Selector = string(svc.Spec.Type), pairs(svc.Spec.Selector)
	configured, err := t.configured(ctx, svc)
	if err != nil {
		return nil, err
	}
	clients := t.clients(svc)
	b := &batch{timeout: t.Timeout}
	var finish []func(*Trace)
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		finish = append(finish, t.alias(b, svc, clients))
	case port != 0 && portNumbered(svc, port) == nil && len(svc.Spec.Ports) > 0:
		out.Paths = []Path{t.noSuchPort(svc, port)}
	default:
		ports := t.ports(svc)
		for i := range ports {
			if p := &ports[i]; port == 0 || int(p.Port) == port {
				f, err := t.port(ctx, b, svc, p, clients)
				if err != nil {
					return nil, err
				}
				finish = append(finish, f)
			}
		}
	}
	if err := b.run(ctx, t.Places, clients); err != nil {
		return nil, err
	}
	for _, f := range finish {
		f(out)
	}
	out.Paths = append(out.Paths, configured...)
	return out, nil
}

// ports returns the Service's ports. A headless one need not have any: its clients call what
// the pods listen on.
func (t *Tracer) ports(svc *corev1.Service) []corev1.ServicePort {
	if len(svc.Spec.Ports) > 0 || svc.Spec.ClusterIP != corev1.ClusterIPNone {
		return svc.Spec.Ports
	}
	for i := range t.State.Pods {
		if p := &t.State.Pods[i]; grader.Selects(svc, *p) && len(declared(p)) > 0 {
			port := declared(p)[0]
			return []corev1.ServicePort{{Port: port, TargetPort: intstr.FromInt32(port)}}
		}
	}
	return []corev1.ServicePort{{}}
}

// missing is the only path of a Service that is not there.
func (t *Tracer) missing(service string) Path {
	var names []string
	for _, s := range t.State.Services {
		names = append(names, s.Name)
	}
	there := "there is no Service at all"
	if len(names) > 0 {
		there = "the Services there are: " + list(names)
	}
	return Path{
		Via:  ViaClusterIP,
		Hops: []Hop{t.clientHop(nil), {Kind: KindService, Name: "service/" + service}},
		Break: &Break{
			Hop:   1,
			Why:   fmt.Sprintf("there is no Service %s in namespace %s%s", service, t.Namespace, lab.Suggest(service, names)),
			Facts: []string{there}, Hint: "create it, or correct its metadata.name",
		},
	}
}

// noSuchPort is the path to a port that the Service does not have.
func (t *Tracer) noSuchPort(svc *corev1.Service, port int) Path {
	return Path{
		Via: ViaClusterIP, Port: int32(port),
		Hops: []Hop{t.clientHop(nil), {Kind: KindService, Name: "service/" + svc.Name, Address: join(svc.Spec.ClusterIP, int32(port))}},
		Break: &Break{
			Hop: 1, Why: fmt.Sprintf("Service %s has no port %d", svc.Name, port),
			Facts: []string{"its ports: " + portsOf(svc)},
			Hint:  "clients use spec.ports[].port, whatever the container listens on: ask at one of these ports, or change spec.ports[].port",
		},
	}
}

func serviceOf(st *kube.State, name string) *corev1.Service {
	i := slices.IndexFunc(st.Services, func(s corev1.Service) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &st.Services[i]
}

func portNumbered(svc *corev1.Service, port int) *corev1.ServicePort {
	for i := range svc.Spec.Ports {
		if int(svc.Spec.Ports[i].Port) == port {
			return &svc.Spec.Ports[i]
		}
	}
	return nil
}
