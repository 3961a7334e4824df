package grader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
)

// world is a small cluster in memory: pods that answer, Services that lead to them, and
// the rules by which an address is reached from inside and from outside.
type world struct {
	mu       sync.Mutex
	state    kube.State
	messages []string
	nonce    string

	// What goes wrong.
	probeErr    error             // every probe fails, which is ours
	strangers   map[string]string // address → the pod that answers there instead
	slowness    time.Duration     // what an answer takes, on a machine that is too busy
	noNonce     bool              // answers do not repeat the nonce
	backendURL  map[string]string // frontend pod → where its backend is; default http://backend
	databaseOf  map[string]string // backend pod → host of its database; default db
	deaf        map[string]bool   // addresses that do not answer
	lossSilence bool              // nothing answers after a pod was deleted
	unreplaced  bool              // a deleted pod does not come back
	deleted     []string
	onlyNodes   map[string]bool // nodes that answer on node ports; nil means all
	forgetful   bool            // the database keeps its messages in its pod
	sticky      bool            // one client is answered by one pod
	outage      bool            // requests fail while a rollout is under way
	busy        bool            // nothing comes back in time while a rollout is under way
	unfinished  bool            // a rollout leaves pods of before
	restarted   []string
	rolling     int               // rounds of requests that a rollout still disturbs
	saysNode    map[string]string // pod → the node that it names
	records     map[string][]string
	answers     map[string][]string
}

const testNonce = "n0nce"

func newWorld() *world {
	w := &world{nonce: testNonce}
	for i, name := range []string{"control-plane", "worker", "worker2"} {
		w.state.Nodes = append(w.state.Nodes, corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("172.18.0.%d", i+2)}}},
		})
	}
	w.pods("frontend", 2)
	w.pods("backend", 2)
	w.pods("db", 1)
	w.service("frontend", corev1.ServiceTypeClusterIP, 80, 0)
	w.service("backend", corev1.ServiceTypeClusterIP, 80, 0)
	w.service("db", corev1.ServiceTypeClusterIP, 5432, 0)
	return w
}

func image(tier string) string { return "labctl/" + tier + ":v1" }

func (w *world) pods(tier string, n int) {
	for i := range n {
		port := int32(8080)
		if tier == "db" {
			port = 5432
		}
		name := fmt.Sprintf("%s-%d", tier, len(w.state.Pods))
		w.state.Pods = append(w.state.Pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{"app": tier}},
			Spec: corev1.PodSpec{NodeName: fmt.Sprintf("worker%d", i), Containers: []corev1.Container{{
				Name: tier, Image: image(tier), Ports: []corev1.ContainerPort{{ContainerPort: port}},
			}}},
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.244.0.%d", len(w.state.Pods)+10),
				Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: tier, ImageID: "sha256:" + tier}},
			},
		})
	}
}

func (w *world) service(name string, kind corev1.ServiceType, port, nodePort int32) *corev1.Service {
	w.state.Services = append(w.state.Services, corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Type: kind, ClusterIP: fmt.Sprintf("10.96.0.%d", len(w.state.Services)+10), Selector: map[string]string{"app": name},
			Ports: []corev1.ServicePort{{Port: port, NodePort: nodePort}},
		},
	})
	w.slices()
	return &w.state.Services[len(w.state.Services)-1]
}

// slices makes the endpoints that the selectors say.
func (w *world) slices() {
	w.state.Slices = nil
	for _, svc := range w.state.Services {
		slice := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: svc.Name}}}
		for _, p := range w.state.Pods {
			if p.Labels["app"] == svc.Spec.Selector["app"] {
				ready := isReady(p)
				slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{p.Status.PodIP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
			}
		}
		w.state.Slices = append(w.state.Slices, slice)
	}
}

func (w *world) svc(name string) *corev1.Service { return find(&w.state, name) }

// State and Await are the Watcher; a condition that does not hold never will.
func (w *world) State() *kube.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	return &s
}

func (w *world) Await(ctx context.Context, cond func(*kube.State) (bool, string)) (*kube.State, error) {
	st := w.State()
	if done, why := cond(st); !done {
		<-ctx.Done()
		return st, &kube.AwaitError{Why: why, Err: ctx.Err()}
	}
	return st, nil
}

func (w *world) Env(context.Context, string, *corev1.Pod, string) (map[string]string, error) {
	return map[string]string{"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": "secret", "POSTGRES_DB": "shop"}, nil
}

func (w *world) Logs(context.Context, string, string, string, int64) (string, error) {
	return "panic: no database", nil
}

func (w *world) DeletePod(_ context.Context, _, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deleted = append(w.deleted, name)
	i := slices.IndexFunc(w.state.Pods, func(p corev1.Pod) bool { return p.Name == name })
	lost := w.state.Pods[i]
	if w.forgetful {
		w.messages = nil
	}
	w.state.Pods = slices.Delete(slices.Clone(w.state.Pods), i, i+1)
	if !w.unreplaced {
		lost.Name, lost.UID, lost.Status.PodIP = name+"-new", types.UID(name+"-new"), "10.244.0.99"
		w.state.Pods = append(w.state.Pods, lost)
	}
	w.slices()
	return nil
}

// vantage is a place in the world: a pod's name, or "" for outside.
type vantage struct {
	w   *world
	pod string
}

func (v vantage) Name() string {
	if v.pod == "" {
		return "outside"
	}
	return "pod/" + v.pod
}

func (v vantage) Run(ctx context.Context, plan probe.Plan) (probe.Results, error) {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	if err := cmp.Or(v.w.probeErr, ctx.Err()); err != nil {
		return probe.Results{}, err
	}
	var rs probe.Results
	start := time.Now()
	failing, late := v.w.outage && v.w.rolling > 0, v.w.busy && v.w.rolling > 0
	if v.w.rolling > 0 {
		v.w.rolling--
	}
	for _, p := range plan.Probes {
		r := probe.Result{ID: p.ID}
		for i := range max(1, p.Attempts) {
			at := v.attempt(p, i)
			switch {
			case failing:
				at = probe.Attempt{Class: probe.Refused, Error: "refused"}
			case late || p.Timeout < v.w.slowness:
				at = probe.Attempt{Class: probe.Timeout, Error: "timeout"}
			}
			at.Start, at.Duration = start.Add(time.Duration(i)*p.Interval), time.Millisecond
			r.Attempts = append(r.Attempts, at)
		}
		rs.Results = append(rs.Results, r)
	}
	if v.w.slowness > 0 {
		rs.Pressure, rs.Load = 95, 65
	}
	return rs, nil
}

func (v vantage) attempt(p probe.Probe, i int) probe.Attempt {
	if p.Kind == probe.Lookup {
		return v.w.lookUp(p.Target)
	}
	u, err := url.Parse(p.Target)
	if p.Kind == probe.TCP || err != nil {
		u = &url.URL{Host: p.Target}
	}
	port, _ := strconv.Atoi(orElse(u.Port(), "80"))
	if v.w.lossSilence && p.Serial && i > 0 {
		return probe.Attempt{Class: probe.Timeout}
	}
	pods, class := v.route(u.Hostname(), port)
	if class != "" {
		return probe.Attempt{Class: class, Error: string(class)}
	}
	if len(pods) == 0 || v.w.deaf[u.Host] {
		return probe.Attempt{Class: probe.Refused, Error: "refused"}
	}
	pod := pods[i%len(pods)]
	if v.w.sticky {
		pod = pods[0]
	}
	switch p.Kind {
	case probe.TCP:
		return probe.Attempt{}
	case probe.PostgreSQL:
		return v.w.query(p, pod)
	}
	return v.w.http(u, p, pod)
}

// route says which pods answer at an address, seen from here.
func (v vantage) route(host string, port int) ([]corev1.Pod, probe.Class) {
	w := v.w
	if name, ok := w.strangers[net.JoinHostPort(host, strconv.Itoa(port))]; ok {
		return []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{PodIP: "10.244.9.9"}}}, ""
	}
	if _, ips := Nodes(&w.state); port == controlPort && slices.Contains(ips, host) {
		return nil, "" // refused: there is no kube-proxy here
	}
	if host == "127.0.0.1" {
		return w.where(func(p corev1.Pod) bool { return p.Name == v.pod }), ""
	}
	for _, svc := range w.state.Services {
		for _, sp := range svc.Spec.Ports {
			inside := v.pod != "" && (host == svc.Name || host == svc.Spec.ClusterIP) && int(sp.Port) == port
			node := sp.NodePort != 0 && int(sp.NodePort) == port && w.isNode(host)
			balanced := host == Ingress(&svc) && host != "" && int(sp.Port) == port
			if inside || node || balanced {
				return w.where(func(p corev1.Pod) bool { return p.Labels["app"] == svc.Spec.Selector["app"] && isReady(p) }), ""
			}
		}
	}
	if v.pod != "" {
		if pods := w.where(func(p corev1.Pod) bool { return p.Status.PodIP == host }); len(pods) > 0 {
			return pods, ""
		}
		if net.ParseIP(host) == nil && w.svc(host) == nil {
			return nil, probe.DNS
		}
	}
	if w.isNode(host) || w.svc(host) != nil {
		return nil, ""
	}
	if net.ParseIP(host) == nil {
		return nil, probe.DNS // outside, no name of the cluster is known
	}
	return nil, probe.Timeout
}

func (w *world) isNode(host string) bool {
	names, ips := Nodes(&w.state)
	i := slices.Index(ips, host)
	return i >= 0 && (w.onlyNodes == nil || w.onlyNodes[names[i]])
}

func (w *world) where(match func(corev1.Pod) bool) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(w.state.Pods), func(p corev1.Pod) bool { return !match(p) })
}

func (w *world) query(p probe.Probe, pod corev1.Pod) probe.Attempt {
	if strings.Contains(p.Statement, "messages") {
		if slices.Contains(w.messages, p.Arguments[0]) {
			return probe.Attempt{Body: p.Arguments[0]}
		}
		return probe.Attempt{}
	}
	return probe.Attempt{Body: pod.Status.PodIP + " " + w.repeat(p.Arguments[0])}
}

func (w *world) repeat(nonce string) string {
	if w.noNonce {
		return ""
	}
	return nonce
}

// http is the fixture application in the pod.
func (w *world) http(u *url.URL, p probe.Probe, pod corev1.Pod) probe.Attempt {
	identify := func(pod corev1.Pod) probe.Attempt {
		return probe.Attempt{Status: 200, Who: &probe.Identity{Pod: pod.Name, Node: w.saysNode[pod.Name], Address: pod.Status.PodIP, Nonce: w.repeat(u.Query().Get("nonce"))}}
	}
	here := vantage{w: w, pod: pod.Name}
	next := func(at string) []corev1.Pod {
		b, _ := url.Parse(at)
		port, _ := strconv.Atoi(orElse(b.Port(), "80"))
		pods, _ := here.route(b.Hostname(), port)
		return pods
	}
	switch path := u.Path; {
	case path == "/whoami":
		return identify(pod)
	case strings.HasPrefix(path, "/api/"):
		backends := next(orElse(w.backendURL[pod.Name], "http://backend"))
		if len(backends) == 0 {
			return probe.Attempt{Status: 502, Body: "the backend did not answer"}
		}
		if path == "/api/whoami" {
			return identify(backends[0])
		}
		if p.Method != "POST" {
			at := identify(pod)
			at.Body = fmt.Sprintf("%q", w.messages)
			return at
		}
		w.messages = append(w.messages, strings.TrimSuffix(strings.TrimPrefix(p.Body, `{"text":"`), `"}`))
		return probe.Attempt{Status: 201}
	case path == "/readyz":
		databases := next("http://" + orElse(w.databaseOf[pod.Name], "db") + ":5432")
		if len(databases) == 0 {
			return probe.Attempt{Status: 503, Body: "the database did not answer"}
		}
		return probe.Attempt{Status: 200, Body: fmt.Sprintf(`{"nonce":%q,"database":{"address":%q}}`, w.repeat(u.Query().Get("nonce")), databases[0].Status.PodIP)}
	}
	return probe.Attempt{Status: 404}
}

// session grades the checks in the world, with short patience.
func (w *world) session(checks ...lab.Check) *Session {
	return &Session{
		Lab: &lab.Lab{ID: "test", Checks: checks, Tiers: []lab.Tier{
			{Name: "frontend", Image: image("frontend"), Port: 8080},
			{Name: "backend", Image: image("backend"), Port: 8080},
			{Name: "db", Image: image("db"), Port: 5432, Protocol: postgresql},
		}},
		Namespace: "test", Cluster: w, Watcher: w, Answers: w.answers,
		Places: Places{
			Pod:      func(name string) probe.Vantage { return vantage{w: w, pod: name} },
			Outside:  vantage{w: w},
			Balanced: func(context.Context) error { return errors.New("no load balancer is served") },
		},
		IsImage: func(image, id string) bool {
			return id == "sha256:"+strings.TrimSuffix(strings.TrimPrefix(image, "labctl/"), ":v1")
		},
		Nonce: testNonce,
		Timeouts: Timeouts{
			Ready: 50 * time.Millisecond, Check: time.Second, Attempt: 10 * time.Millisecond, Settle: 20 * time.Millisecond,
			Strain: time.Second, Pressure: 50, Overload: 20, Lag: time.Second,
			SettleBalancer: 20 * time.Millisecond, Address: 50 * time.Millisecond, Pause: time.Millisecond,
			Replace: 50 * time.Millisecond, Outage: 2 * time.Second, Retries: 2,
			Rollout: 50 * time.Millisecond, Hold: 5 * time.Millisecond, HoldBalancer: 5 * time.Millisecond,
		},
	}
}
