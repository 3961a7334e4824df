package grader

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

func unready(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }

// The checks under test, as labs write them.
func dbInternal() lab.Check {
	return lab.Check{ID: "db", Reach: &lab.Reach{Service: "db", Tier: "db", From: "frontend", Via: []lab.Via{lab.ViaName, lab.ViaClusterIP}, Port: 5432, Type: "ClusterIP"}}
}

func spread() lab.Check {
	return lab.Check{ID: "spread", Reach: &lab.Reach{Service: "backend", Tier: "backend", From: "frontend", Via: []lab.Via{lab.ViaName}, Port: 80, Pods: 2}}
}

func nodePort(nodes string) lab.Check {
	return lab.Check{ID: "nodeport", Reach: &lab.Reach{Service: "frontend", Tier: "frontend", Via: []lab.Via{lab.ViaNodePort}, Port: 80, NodePort: 30080, Type: "NodePort", Nodes: nodes}}
}

func balanced(assigned bool) lab.Check {
	return lab.Check{ID: "lb", Reach: &lab.Reach{Service: "frontend", Tier: "frontend", Via: []lab.Via{lab.ViaLoadBalancer}, Port: 80, Assigned: assigned}}
}

func roundTripCheck() lab.Check {
	return lab.Check{ID: "trip", Run: &lab.Run{Name: "round-trip", With: map[string]string{"via": "name", "from": "db"}}}
}

func lossCheck() lab.Check {
	return lab.Check{ID: "loss", Run: &lab.Run{Name: "survives-pod-loss", With: map[string]string{"via": "loadBalancer"}}}
}

func onNodePort(w *world) {
	w.svc("frontend").Spec.Type = corev1.ServiceTypeNodePort
	w.svc("frontend").Spec.Ports[0].NodePort = 30080
}

func onBalancer(w *world) {
	w.svc("frontend").Spec.Type = corev1.ServiceTypeLoadBalancer
	w.svc("frontend").Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "172.18.0.9"}}
}

func TestChecks(t *testing.T) {
	readyz := lab.Check{ID: "app", App: &lab.App{Tier: "backend", Path: "/readyz", Answered: "db"}}
	api := lab.Check{ID: "api", App: &lab.App{Tier: "frontend", Path: "/api/whoami", Answered: "backend"}}
	closed := lab.Check{ID: "internal", Internal: &lab.Internal{Tiers: []string{"db", "backend"}}}
	nothing := func(*world) {}
	for _, tc := range []struct {
		name  string
		check lab.Check
		world func(*world)
		want  result.CheckStatus
		says  string // in the message or the hint
	}{
		{"database by name and address", dbInternal(), nothing, result.Passed, ""},
		{"no such service", dbInternal(), func(w *world) { w.svc("db").Name = "database"; w.slices() }, result.Failed, "no Service called db"},
		{"wrong type", dbInternal(), func(w *world) { w.svc("db").Spec.Type = corev1.ServiceTypeNodePort }, result.Failed, "of type NodePort"},
		{"wrong port", dbInternal(), func(w *world) { w.svc("db").Spec.Ports[0].Port = 5433 }, result.Failed, "no port 5432"},
		{"headless", dbInternal(), func(w *world) { w.svc("db").Spec.ClusterIP = "None" }, result.Failed, "headless"},
		{"selector matches nothing", dbInternal(), func(w *world) { w.svc("db").Spec.Selector["app"] = "data"; w.slices() }, result.Failed, "matches no pod"},
		{"somebody else answers", dbInternal(), func(w *world) { w.strangers = map[string]string{"db:5432": "evil"} }, result.Failed, "no ready pod of db"},
		{"one imitation among many", dbInternal(), func(w *world) { w.pods("db", 3); w.imitate("db") }, result.Failed, "no ready pod of db"},
		{"answer without this run's value", dbInternal(), func(w *world) { w.noNonce = true }, result.Failed, "without this run's value"},
		{"another image", dbInternal(), func(w *world) { w.state.Pods[4].Status.ContainerStatuses[0].ImageID = "sha256:fake" }, result.Failed, "db is not ready"},
		{"no database", dbInternal(), func(w *world) { w.state.Pods = w.state.Pods[:4]; w.slices() }, result.Failed, "nothing runs labctl/db:v1"},
		{"database not ready", dbInternal(), func(w *world) { unready(&w.state.Pods[4]); w.slices() }, result.Failed, "readiness probe"},

		{"spread", spread(), nothing, result.Passed, ""},
		{"one pod", spread(), func(w *world) { w.state.Pods = append(w.state.Pods[:3:3], w.state.Pods[4]); w.slices() }, result.Failed, "at least 2 must answer"},
		{"only one pod answers", spread(), func(w *world) {
			w.svc("backend").Spec.Selector["app"] = "b"
			w.state.Pods[2].Labels["app"] = "b"
			w.slices()
		}, result.Failed, "only 1 of 2"},

		{"every node", nodePort("every"), onNodePort, result.Passed, ""},
		{"some nodes do", nodePort("any"), func(w *world) { onNodePort(w); w.onlyNodes = map[string]bool{"worker": true} }, result.Passed, ""},
		{"some nodes do not do", nodePort("every"), func(w *world) { onNodePort(w); w.onlyNodes = map[string]bool{"worker": true} }, result.Failed, "node control-plane"},
		{"no node", nodePort("any"), func(w *world) { onNodePort(w); w.onlyNodes = map[string]bool{} }, result.Failed, "no node answers"},
		{"another node port", nodePort("any"), func(w *world) { onNodePort(w); w.svc("frontend").Spec.Ports[0].NodePort = 30081 }, result.Failed, "no node port 30080"},

		{"balanced", balanced(false), onBalancer, result.Passed, ""},
		{"assigned", balanced(true), onBalancer, result.Passed, ""},
		{"balancer that refuses", balanced(true), func(w *world) { onBalancer(w); w.deaf = map[string]bool{"172.18.0.9:80": true} }, result.Failed, "takes no connection"},
		{"another balancer's", balanced(true), func(w *world) {
			w.svc("frontend").Spec.Type = corev1.ServiceTypeLoadBalancer
			w.svc("frontend").Spec.LoadBalancerClass = new("example.com/other")
		}, result.Failed, "loadBalancerClass"},
		{"pending is ours", balanced(true), func(w *world) { w.svc("frontend").Spec.Type = corev1.ServiceTypeLoadBalancer }, result.Error, "no load balancer is served"},

		{"backend reaches database", readyz, nothing, result.Passed, ""},
		{"one backend does not", readyz, func(w *world) { w.databaseOf = map[string]string{"backend-3": "database"} }, result.Failed, "pod/backend-3 does not reach db"},
		{"frontend reaches backend", api, nothing, result.Passed, ""},
		{"frontend does not", api, func(w *world) { w.backendURL = map[string]string{"frontend-0": "http://backend:8080"} }, result.Failed, "HTTP 502"},

		{"internal", closed, nothing, result.Passed, ""},
		{"node port leads in", closed, func(w *world) {
			w.service("backdoor", corev1.ServiceTypeNodePort, 80, 31000).Spec.Selector["app"] = "backend"
			w.slices()
		}, result.Failed, "node port of service/backdoor"},
		{"balancer leads in", closed, func(w *world) {
			svc := w.service("backdoor", corev1.ServiceTypeLoadBalancer, 5432, 0)
			svc.Spec.Selector["app"] = "db"
			svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "172.18.0.9"}}
			w.slices()
		}, result.Failed, "load balancer of service/backdoor"},
		{"external addresses", closed, func(w *world) { w.svc("db").Spec.ExternalIPs = []string{"192.0.2.1"} }, result.Failed, "192.0.2.1"},
		{"dead inside proves nothing", closed, func(w *world) { w.deaf = map[string]bool{"10.244.0.12:8080": true} }, result.Failed, "even answer inside"},

		{"round trip", roundTripCheck(), nothing, result.Passed, ""},
		{"round trip broken", roundTripCheck(), func(w *world) {
			w.backendURL = map[string]string{"frontend-0": "http://nowhere", "frontend-1": "http://nowhere"}
		}, result.Failed, "HTTP 502"},

		{"pod lost", lossCheck(), onBalancer, result.Passed, "replacement is ready"},
		{"silent after the loss", lossCheck(), func(w *world) { onBalancer(w); w.lossSilence = true }, result.Failed, "silent"},
		{"not replaced", lossCheck(), func(w *world) { onBalancer(w); w.unreplaced = true }, result.Failed, "nothing replaced it"},

		{"probe cannot run", spread(), func(w *world) { w.probeErr = errors.New("the engine is gone") }, result.Error, "the engine is gone"},
		{"unknown name", lab.Check{ID: "x", Run: &lab.Run{Name: "nonsense"}}, nothing, result.Error, "nonsense"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			tc.world(w)
			v := w.grade(t, tc.check)[tc.check.ID]
			if v.Status != tc.want {
				t.Fatalf("got %s (%s), want %s", v.Status, v.Message, tc.want)
			}
			if !strings.Contains(v.Message+v.Hint, tc.says) {
				t.Errorf("message %q, hint %q: want %q", v.Message, v.Hint, tc.says)
			}
			if tc.want == result.Failed && len(v.Evidence) == 0 {
				t.Error("a failure without evidence")
			}
		})
	}
}

func TestDependents(t *testing.T) {
	w := newWorld()
	w.svc("db").Spec.Type = corev1.ServiceTypeNodePort
	second := spread()
	second.DependsOn = []string{"db"}
	third := roundTripCheck()
	third.DependsOn = []string{"spread"}
	got := w.grade(t, dbInternal(), second, third)
	if got["db"].Status != result.Failed || got["spread"].Status != result.Skipped || got["trip"].Status != result.Skipped {
		t.Errorf("got %v", got)
	}
	if !strings.Contains(got["spread"].Message, "depends on db") {
		t.Errorf("message %q", got["spread"].Message)
	}
}

// A check that is started alone brings those that it depends on.
func TestStartBringsDependencies(t *testing.T) {
	second := spread()
	second.DependsOn = []string{"db"}
	s := newWorld().session(dbInternal(), second)
	s.Start(t.Context(), []string{"spread"})
	if v := s.Await(t.Context(), "spread"); v.Status != result.Passed {
		t.Errorf("got %s: %s", v.Status, v.Message)
	}
}

// What disturbs others waits for all of them.
func TestDisturbingCheckWaits(t *testing.T) {
	w := newWorld()
	onBalancer(w)
	got := w.grade(t, lossCheck(), spread(), balanced(false), roundTripCheck())
	for id, v := range got {
		if v.Status != result.Passed {
			t.Errorf("%s: %s: %s", id, v.Status, v.Message)
		}
	}
	if len(w.deleted) != 1 || w.deleted[0] != "frontend-1" {
		t.Errorf("deleted %v", w.deleted)
	}
}

// A node that is late to fetch a Secret is no fault of the student's; one that is not there is.
func TestLateNodeIsOurs(t *testing.T) {
	for message, want := range map[string]result.CheckStatus{
		"failed to sync secret cache: timed out waiting for the condition": result.Error,
		`secret "db" not found`: result.Failed,
	} {
		w := newWorld()
		p := &w.state.Pods[2]
		unready(p)
		p.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: message}
		w.slices()
		if v := w.grade(t, spread())["spread"]; v.Status != want {
			t.Errorf("%s: %s (%s), want %s", message, v.Status, v.Message, want)
		}
	}
}

func TestCrashLoopIsEvidence(t *testing.T) {
	w := newWorld()
	p := &w.state.Pods[2]
	unready(p)
	p.Status.ContainerStatuses[0].RestartCount = 3
	p.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
	w.state.Events = []corev1.Event{{Type: corev1.EventTypeWarning, Reason: "BackOff", Message: "back-off restarting", InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: p.Name}}}
	w.slices()
	v := w.grade(t, spread())["spread"]
	if v.Status != result.Failed || !strings.Contains(v.Message, "CrashLoopBackOff after 3 restarts") {
		t.Fatalf("got %s: %s", v.Status, v.Message)
	}
	var all string
	for _, e := range v.Evidence {
		all += e.To + " " + e.Got + "\n"
	}
	for _, want := range []string{"BackOff: back-off restarting", "panic: no database"} {
		if !strings.Contains(all, want) {
			t.Errorf("evidence lacks %q:\n%s", want, all)
		}
	}
}

func TestRefusalTellsWhatWasTried(t *testing.T) {
	at := probe.Attempt{Status: 504, Body: `{"pod":"frontend-1","error":"the backend did not answer","tried":"http://backend:8080/api/whoami?nonce=1","class":"TIMEOUT"}`}
	if got, want := refusal(at), "HTTP 504: the backend did not answer (tried http://backend:8080/api/whoami: TIMEOUT)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := refusal(probe.Attempt{Status: 500, Body: "oops"}); got != "HTTP 500: oops" {
		t.Errorf("got %q", got)
	}
}
