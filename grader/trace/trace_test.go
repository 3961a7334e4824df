package trace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// hops writes a path as one line.
func hops(p Path) string {
	var all []string
	for _, h := range p.Hops {
		all = append(all, strings.TrimSpace(h.Name+" "+h.Address))
	}
	return strings.Join(all, " → ")
}

func pathOf(t *testing.T, tr *Trace, via Via, node string) Path {
	t.Helper()
	for _, p := range tr.Paths {
		if p.Via == via && p.Node == node {
			return p
		}
	}
	t.Fatalf("no path by %s %s among %+v", via, node, tr.Paths)
	return Path{}
}

func TestPathsThatAnswer(t *testing.T) {
	w := newWorld()
	w.onBalancer("frontend")
	tr := w.trace(t, "frontend", 0)
	if !tr.OK() || len(tr.Paths) != 5 {
		t.Fatalf("OK %v, %d paths, want true and 5: %+v", tr.OK(), len(tr.Paths), tr.Paths)
	}
	for _, c := range []struct {
		via        Via
		node, want string
	}{
		{ViaClusterIP, "", "pod/backend-0 10.244.0.11 → service/frontend 10.96.0.10:80 → pod/frontend-0 10.244.0.10:8080"},
		{ViaNodePort, "worker2", "outside → node/worker2 172.18.0.4:30080 → service/frontend 10.96.0.10:80 → pod/frontend-0 10.244.0.10:8080"},
		{ViaLoadBalancer, "", "outside → load balancer 172.18.0.9:80 → a node :30080 → service/frontend 10.96.0.10:80 → pod/frontend-0 10.244.0.10:8080"},
	} {
		p := pathOf(t, tr, c.via, c.node)
		if hops(p) != c.want {
			t.Errorf("%s: hops\n%s\nwant\n%s", c.via, hops(p), c.want)
		}
		if p.Answered != "pod/frontend-0" || p.Seconds == 0 || p.Hops[len(p.Hops)-1].Node != "worker" {
			t.Errorf("%s: answered by %q after %v on %q", c.via, p.Answered, p.Seconds, p.Hops[len(p.Hops)-1].Node)
		}
	}
}

func TestDatabaseIsAskedInItsOwnTongue(t *testing.T) {
	tr := newWorld().trace(t, "db", 0)
	p := pathOf(t, tr, ViaClusterIP, "")
	if !p.OK || p.Answered != "pod/db-0" || p.Hops[0].Name != "pod/backend-0" {
		t.Errorf("got %+v", p)
	}
}

func TestClientIsNoEndpointWhereThereIsAnother(t *testing.T) {
	for service, want := range map[string]string{"backend": "frontend-0", "db": "backend-0", "frontend": "backend-0"} {
		w := newWorld()
		w.trace(t, service, 0)
		if !slices.Contains(w.asked, want) {
			t.Errorf("%s was asked from %q, want %s", service, w.asked, want)
		}
	}
	alone := newWorld()
	alone.state.Pods = alone.state.Pods[1:2]
	if alone.trace(t, "backend", 0); !slices.Contains(alone.asked, "backend-0") {
		t.Errorf("asked from %q, want the only pod", alone.asked)
	}
}

func TestBreaks(t *testing.T) {
	for _, c := range []struct {
		name    string
		service string
		port    int
		via     Via
		node    string
		world   func(*world)
		at      Kind
		says    []string // in the reason, the facts and the hint
	}{
		{"no such Service", "backnd", 0, ViaClusterIP, "", func(*world) {}, KindService, []string{`did you mean "backend"?`, "frontend, backend, db"}},
		{"no such port", "backend", 8080, ViaClusterIP, "", func(*world) {}, KindService, []string{"no port 8080", "its ports: 80"}},
		{"port mismatch of a client", "backend", 0, ViaConfigured, "", func(w *world) {
			w.env["frontend-0"] = map[string]string{"BACKEND_URL": "http://backend:8080"}
		}, KindService, []string{"BACKEND_URL of pod/frontend-0 calls backend at port 8080", "its ports: 80"}},
		{"selector matches nothing", "backend", 0, ViaClusterIP, "", func(w *world) { w.svc("backend").Spec.Selector["app"] = "backnd" },
			KindService, []string{"selector (app=backnd) matches no pod", "pod/backend-0 has app=backend, the selector wants app=backnd"}},
		{"a label is missing", "backend", 0, ViaClusterIP, "", func(w *world) { w.svc("backend").Spec.Selector["tier"] = "api" },
			KindService, []string{"pod/backend-0 has no label tier (it has app=backend)"}},
		{"no selector", "backend", 0, ViaClusterIP, "", func(w *world) { w.svc("backend").Spec.Selector = nil }, KindService, []string{"no selector"}},
		{"not ready", "backend", 0, ViaClusterIP, "", func(w *world) {
			w.unready("backend")
			w.state.Events = []corev1.Event{{Type: corev1.EventTypeWarning, Reason: "Unhealthy", Message: "Readiness probe failed: 404", InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "backend-0"}}}
		}, KindPod, []string{"none of the 2 pods", "HTTP GET /healthz at port 8080", "last event: Unhealthy: Readiness probe failed: 404"}},
		{"nothing listens on targetPort", "backend", 0, ViaClusterIP, "", func(w *world) { w.svc("backend").Spec.Ports[0].TargetPort = intstr.FromInt32(80) },
			KindPod, []string{"nothing listens on port 80 in pod/backend-0", "declares port 8080, and answers there", "set targetPort of the Service to 8080"}},
		{"named port absent", "backend", 0, ViaClusterIP, "", func(w *world) { w.svc("backend").Spec.Ports[0].TargetPort = intstr.FromString("http") },
			KindPod, []string{`the name "http"`, "declares the ports: 8080 main"}},
		{"no address, nobody serves", "frontend", 0, ViaLoadBalancer, "", func(w *world) {
			w.onBalancer("frontend").Status.LoadBalancer.Ingress = nil
			w.served = errors.New("the load balancer is not running")
		}, KindLoadBalancer, []string{"pending", "nobody serves load balancers: the load balancer is not running"}},
		{"no address, another class", "frontend", 0, ViaLoadBalancer, "", func(w *world) {
			svc := w.onBalancer("frontend")
			svc.Status.LoadBalancer.Ingress, svc.Spec.LoadBalancerClass = nil, new("example.com/other")
		}, KindLoadBalancer, []string{"example.com/other"}},
		{"no address yet", "frontend", 0, ViaLoadBalancer, "", func(w *world) { w.onBalancer("frontend").Status.LoadBalancer.Ingress = nil },
			KindLoadBalancer, []string{"pending", "within some seconds"}},
		{"load balancer is stuck", "frontend", 0, ViaLoadBalancer, "", func(w *world) { w.onBalancer("frontend"); w.blocked["172.18.0.9:80"] = true },
			KindLoadBalancer, []string{"does not hand the request on", "the node port 30080 answers"}},
		{"a node without a pod, policy Local", "frontend", 0, ViaNodePort, "worker2", func(w *world) {
			w.onNodePort("frontend").Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		}, KindNode, []string{"externalTrafficPolicy", "no ready pod of it runs on node worker2", "run on: worker"}},
		{"a node that is stuck", "frontend", 0, ViaNodePort, "worker", func(w *world) { w.onNodePort("frontend"); w.blocked["172.18.0.3:30080"] = true },
			KindNode, []string{"node worker does not hand the request on"}},
		{"the ClusterIP is stuck", "backend", 0, ViaClusterIP, "", func(w *world) { w.blocked["10.96.0.11:80"] = true },
			KindService, []string{"the pods answer directly, but not through the ClusterIP"}},
		{"internal policy Local", "db", 0, ViaClusterIP, "", func(w *world) {
			w.svc("db").Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
			w.blocked["10.96.0.12:5432"] = true
		}, KindService, []string{"internalTrafficPolicy", "no ready pod of it runs on node worker"}},
		{"a pod that is silent", "backend", 0, ViaClusterIP, "", func(w *world) {
			for _, a := range []string{"10.96.0.11:80", "10.244.0.11:8080", "10.244.0.12:8080"} {
				w.blocked[a] = true
			}
		}, KindPod, []string{"pod/backend-0 itself does not answer", "NetworkPolicy"}},
		{"nobody to ask from", "backend", 0, ViaClusterIP, "", func(w *world) {
			for i := range w.state.Pods {
				w.state.Pods[i].Status.Phase = corev1.PodPending
			}
		}, KindClient, []string{"no pod runs"}},
		{"headless without pods", "db", 0, ViaHeadless, "", func(w *world) {
			w.svc("db").Spec.ClusterIP, w.svc("db").Spec.Selector["app"] = corev1.ClusterIPNone, "database"
		}, KindService, []string{"matches no pod"}},
		{"alias of nothing", "db", 0, ViaAlias, "", func(w *world) { w.alias("db", "databse.shop.svc.cluster.local"); w.service("database", 5432, 5432) },
			KindName, []string{"does not resolve", `no Service databse`, `did you mean "database"?`}},
		{"alias of a stranger", "db", 0, ViaAlias, "", func(w *world) { w.alias("db", "db.example.com") }, KindName, []string{"db.example.com, and that name does not resolve"}},
		{"alias of what does not answer", "db", 0, ViaAlias, "", func(w *world) {
			w.alias("db", "database.shop.svc.cluster.local")
			w.service("database", 5432, 5432)
		}, KindName, []string{"does not answer at port 5432", "labctl trace database"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			c.world(w)
			tr := w.trace(t, c.service, c.port)
			p := pathOf(t, tr, c.via, c.node)
			if tr.OK() || p.OK || p.Break == nil {
				t.Fatalf("not broken: %+v", p)
			}
			if at := p.Hops[p.Break.Hop].Kind; at != c.at {
				t.Errorf("breaks at %s (%s), want %s", at, p.Break.Why, c.at)
			}
			told := fmt.Sprint(p.Break.Why, "\n", strings.Join(p.Break.Facts, "\n"), "\n", p.Break.Hint)
			for _, want := range c.says {
				if !strings.Contains(told, want) {
					t.Errorf("does not say %q:\n%s", want, told)
				}
			}
		})
	}
}

// alias makes the Service an ExternalName.
func (w *world) alias(name, target string) {
	svc := w.svc(name)
	svc.Spec.Type, svc.Spec.ExternalName, svc.Spec.ClusterIP, svc.Spec.Selector = corev1.ServiceTypeExternalName, target, "", nil
}

func TestHeadless(t *testing.T) {
	w := newWorld()
	w.svc("backend").Spec.ClusterIP = corev1.ClusterIPNone
	tr := w.trace(t, "backend", 0)
	p := pathOf(t, tr, ViaHeadless, "")
	if !p.OK || p.Answered != "pod/backend-0" || !strings.Contains(hops(p), "10.244.0.11, 10.244.0.12") {
		t.Errorf("got %+v", p)
	}
	if !strings.Contains(strings.Join(tr.Notes, ""), "clients call their port 8080") {
		t.Errorf("notes %q", tr.Notes)
	}
}

func TestAlias(t *testing.T) {
	w := newWorld()
	w.alias("db", "backend.shop.svc.cluster.local")
	w.svc("db").Spec.Ports = nil
	if p := pathOf(t, w.trace(t, "db", 0), ViaAlias, ""); !p.OK || p.Port != 80 {
		t.Errorf("got %+v", p)
	}
	w = newWorld()
	w.alias("db", "db.example.com")
	w.svc("db").Spec.Ports, w.names["db.example.com"] = nil, true
	if p := pathOf(t, w.trace(t, "db", 0), ViaAlias, ""); !p.OK {
		t.Errorf("got %+v", p)
	}
}

// One endpoint that does not answer shows, though the paths are answered by the other.
func TestDeafEndpointIsSeen(t *testing.T) {
	w := newWorld()
	w.listens["backend-1"] = 9
	tr := w.trace(t, "backend", 0)
	if !tr.OK() || len(tr.Endpoints) != 2 || tr.Endpoints[0].Direct != "answers" || !strings.Contains(tr.Endpoints[1].Direct, "REFUSED") {
		t.Errorf("OK %v, endpoints %+v", tr.OK(), tr.Endpoints)
	}
}

func TestOtherProtocolsAreNoted(t *testing.T) {
	w := newWorld()
	w.svc("backend").Spec.Ports = append(w.svc("backend").Spec.Ports, corev1.ServicePort{Name: "u", Port: 53, Protocol: corev1.ProtocolUDP})
	tr := w.trace(t, "backend", 0)
	if !tr.OK() || len(tr.Notes) != 1 || !strings.Contains(tr.Notes[0], "port 53 is UDP") {
		t.Errorf("OK %v, notes %q", tr.OK(), tr.Notes)
	}
}
