package trace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
)

const nonce = "n0nce"

// world is a namespace in memory, and the rules by which a request finds a pod in it.
type world struct {
	state   kube.State
	listens map[string]int32             // pod → the port that its process listens on
	env     map[string]map[string]string // pod → its environment
	names   map[string]bool              // further names that resolve
	blocked map[string]bool              // "host:port" from where nothing comes back
	served  error                        // nobody serves load balancers
	mu      sync.Mutex
	asked   []string // who was asked from
}

func newWorld() *world {
	w := &world{listens: map[string]int32{}, env: map[string]map[string]string{}, names: map[string]bool{}, blocked: map[string]bool{}}
	for i, name := range []string{"control-plane", "worker", "worker2"} {
		w.state.Nodes = append(w.state.Nodes, corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("172.18.0.%d", i+2)}}},
		})
	}
	w.pod("frontend", "frontend-0", "worker", 8080)
	w.pod("backend", "backend-0", "worker", 8080)
	w.pod("backend", "backend-1", "worker2", 8080)
	w.pod("db", "db-0", "worker2", 5432)
	w.service("frontend", 80, 8080)
	w.service("backend", 80, 8080)
	w.service("db", 5432, 5432)
	return w
}

func (w *world) pod(tier, name, node string, port int32) {
	w.listens[name] = port
	w.state.Pods = append(w.state.Pods, corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": tier, "pod-template-hash": "x"}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name: tier, Image: "labctl/" + tier + ":v1", Ports: []corev1.ContainerPort{{Name: "main", ContainerPort: port}},
			ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(port)}}},
		}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.244.0.%d", len(w.state.Pods)+10),
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	})
}

func (w *world) service(name string, port, target int32) {
	w.state.Services = append(w.state.Services, corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: fmt.Sprintf("10.96.0.%d", len(w.state.Services)+10),
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Port: port, TargetPort: intstr.FromInt32(target)}},
		},
	})
}

func (w *world) svc(name string) *corev1.Service { return serviceOf(&w.state, name) }

func (w *world) onNodePort(name string) *corev1.Service {
	svc := w.svc(name)
	svc.Spec.Type, svc.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, 30080
	return svc
}

func (w *world) onBalancer(name string) *corev1.Service {
	svc := w.onNodePort(name)
	svc.Spec.Type = corev1.ServiceTypeLoadBalancer
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "172.18.0.9"}}
	return svc
}

// unready makes all pods of a tier so.
func (w *world) unready(tier string) {
	for i := range w.state.Pods {
		if w.state.Pods[i].Labels["app"] == tier {
			w.state.Pods[i].Status.Conditions[0].Status = corev1.ConditionFalse
		}
	}
}

// target is the port that a Service's port leads to in a pod, or 0.
func target(sp corev1.ServicePort, p corev1.Pod) int32 {
	if sp.TargetPort.Type == intstr.Int {
		return sp.TargetPort.IntVal
	}
	for _, cp := range p.Spec.Containers[0].Ports {
		if cp.Name == sp.TargetPort.StrVal {
			return cp.ContainerPort
		}
	}
	return 0
}

// slices makes the endpoints as the cluster's controller does.
func (w *world) slices() {
	w.state.Slices = nil
	for _, svc := range w.state.Services {
		for _, p := range w.state.Pods {
			if !grader.Selects(&svc, p) {
				continue
			}
			isReady := ready(p)
			slice := discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: svc.Name}},
				Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{p.Status.PodIP}, NodeName: &p.Spec.NodeName, Conditions: discoveryv1.EndpointConditions{Ready: &isReady}}},
			}
			for _, sp := range svc.Spec.Ports {
				if port := target(sp, p); port != 0 {
					slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &sp.Name, Port: &port})
				}
			}
			w.state.Slices = append(w.state.Slices, slice)
		}
	}
}

func (w *world) Env(_ context.Context, _ string, p *corev1.Pod, _ string) (map[string]string, error) {
	env := map[string]string{"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": "secret"}
	for k, v := range w.env[p.Name] {
		env[k] = v
	}
	return env, nil
}

func (w *world) Logs(context.Context, string, string, string, int64) (string, error) {
	return "", errors.New("no test reads logs")
}

func (w *world) Restart(context.Context, string, string, string) error {
	return errors.New("a trace restarts nothing")
}

func (w *world) DeletePod(context.Context, string, string) error {
	return errors.New("a trace deletes nothing")
}

// vantage is a place in the world: a pod's name, or "" for outside.
type vantage struct {
	w   *world
	pod string
}

func (v vantage) Name() string { return "pod/" + v.pod }

func (v vantage) Run(_ context.Context, plan probe.Plan) (probe.Results, error) {
	v.w.mu.Lock()
	v.w.asked = append(v.w.asked, v.pod)
	v.w.mu.Unlock()
	var rs probe.Results
	for _, p := range plan.Probes {
		at := v.attempt(p)
		at.Duration = 2 * time.Millisecond
		rs.Results = append(rs.Results, probe.Result{ID: p.ID, Attempts: []probe.Attempt{at}})
	}
	return rs, nil
}

func (v vantage) attempt(p probe.Probe) probe.Attempt {
	if p.Kind == probe.Lookup {
		return v.w.lookup(p.Target)
	}
	u, err := url.Parse(p.Target)
	if p.Kind == probe.TCP || err != nil {
		u = &url.URL{Host: p.Target}
	}
	number, _ := strconv.Atoi(u.Port())
	pod, class := v.reach(u.Hostname(), int32(number))
	switch {
	case class != "":
		return probe.Attempt{Class: class}
	case p.Kind == probe.TCP:
		return probe.Attempt{}
	case p.Kind == probe.PostgreSQL:
		return probe.Attempt{Body: pod.Status.PodIP + " " + p.Arguments[0]}
	}
	return probe.Attempt{Status: 200, Who: &probe.Identity{Pod: pod.Name, Address: pod.Status.PodIP, Nonce: u.Query().Get("nonce")}}
}

func (w *world) lookup(name string) probe.Attempt {
	name = strings.TrimSuffix(name, ".")
	svc := w.svc(strings.TrimSuffix(name, ".shop.svc.cluster.local"))
	switch {
	case w.names[name]:
		return probe.Attempt{Records: []string{"192.0.2.1"}}
	case svc == nil:
		return probe.Attempt{Class: probe.DNS}
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		return w.lookup(svc.Spec.ExternalName)
	case svc.Spec.ClusterIP != corev1.ClusterIPNone:
		return probe.Attempt{Records: []string{svc.Spec.ClusterIP}}
	}
	var records []string
	for _, p := range w.behind(svc) {
		records = append(records, p.Status.PodIP)
	}
	if len(records) == 0 {
		return probe.Attempt{Class: probe.DNS}
	}
	return probe.Attempt{Records: records}
}

func (w *world) behind(svc *corev1.Service) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(w.state.Pods), func(p corev1.Pod) bool { return !grader.Selects(svc, p) || !ready(p) })
}

// reach returns the pod that answers at an address, seen from here, or the class of failure.
func (v vantage) reach(host string, port int32) (*corev1.Pod, probe.Class) {
	w := v.w
	if w.blocked[net.JoinHostPort(host, strconv.Itoa(int(port)))] {
		return nil, probe.Timeout
	}
	for i := range w.state.Services {
		svc := &w.state.Services[i]
		for _, sp := range svc.Spec.Ports {
			node := slices.IndexFunc(w.state.Nodes, func(n corev1.Node) bool { return n.Status.Addresses[0].Address == host })
			switch {
			case v.pod != "" && host == svc.Spec.ClusterIP && port == sp.Port, host == grader.Ingress(svc) && host != "" && port == sp.Port:
				return w.through(svc, sp, "")
			case node >= 0 && port == sp.NodePort && port != 0 && svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal:
				return w.through(svc, sp, w.state.Nodes[node].Name)
			case node >= 0 && port == sp.NodePort && port != 0:
				return w.through(svc, sp, "")
			}
		}
		if v.pod != "" && host == svc.Name && svc.Spec.Type == corev1.ServiceTypeExternalName {
			name, _, _ := strings.Cut(svc.Spec.ExternalName, ".")
			if other := w.svc(name); other != nil {
				return v.reach(other.Spec.ClusterIP, port)
			}
		}
		if v.pod != "" && host == svc.Name && svc.Spec.ClusterIP == corev1.ClusterIPNone && len(w.behind(svc)) > 0 {
			return v.reach(w.behind(svc)[0].Status.PodIP, port)
		}
	}
	for i := range w.state.Pods {
		if p := &w.state.Pods[i]; v.pod != "" && p.Status.PodIP == host {
			if w.listens[p.Name] != port {
				return nil, probe.Refused
			}
			return p, ""
		}
	}
	return nil, probe.Timeout
}

// through follows a Service's rules to a pod; node limits them to those on it.
func (w *world) through(svc *corev1.Service, sp corev1.ServicePort, node string) (*corev1.Pod, probe.Class) {
	pods := w.behind(svc)
	if node != "" {
		pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.Spec.NodeName != node })
		if len(pods) == 0 {
			return nil, probe.Timeout
		}
	}
	if len(pods) == 0 || target(sp, pods[0]) != w.listens[pods[0].Name] {
		return nil, probe.Refused
	}
	return &pods[0], ""
}

// trace traces a Service of the world.
func (w *world) trace(t *testing.T, service string, port int) *Trace {
	t.Helper()
	w.slices()
	tracer := &Tracer{
		Namespace: "shop", State: &w.state, Cluster: w, Nonce: nonce,
		Places: grader.Places{
			Pod:      func(name string) probe.Vantage { return vantage{w: w, pod: name} },
			Outside:  vantage{w: w},
			Balanced: func(context.Context) error { return w.served },
		},
		Tiers: []lab.Tier{
			{Name: "frontend", Image: "labctl/frontend:v1", Port: 8080}, {Name: "backend", Image: "labctl/backend:v1", Port: 8080},
			{Name: "db", Image: "labctl/db:v1", Port: 5432, Protocol: "postgresql"},
		},
	}
	got, err := tracer.Trace(t.Context(), service, port)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
