package grader

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

func chooseCheck() lab.Check {
	return lab.Check{ID: "which", Hints: []string{"Who calls it?", "Only pods do."}, Question: &lab.Question{
		Ask: "Which type?", Choose: []string{"ClusterIP", "NodePort", "LoadBalancer"}, Answer: "LoadBalancer", Why: "One address\n  for all.",
	}}
}

func orderCheck() lab.Check {
	return lab.Check{ID: "hops", Question: &lab.Question{Ask: "In which order?", Order: []string{"client", "node port", "Service", "pod"}, Why: "From outside in."}}
}

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name  string
		check lab.Check
		given []string
		want  result.CheckStatus
		says  string // in the message or the hint
	}{
		{"right", chooseCheck(), []string{"LoadBalancer"}, result.Passed, "One address for all."},
		{"case and space do not matter", chooseCheck(), []string{"  loadbalancer "}, result.Passed, "One address"},
		{"not answered", chooseCheck(), nil, result.Failed, "not answered yet"},
		{"answered with nothing", chooseCheck(), []string{" "}, result.Failed, "not answered yet"},
		{"wrong", chooseCheck(), []string{"ClusterIP"}, result.Failed, `answered "ClusterIP", which is not right`},
		{"no choice", chooseCheck(), []string{"NodePrt"}, result.Failed, `did you mean "NodePort"?`},
		{"two answers", chooseCheck(), []string{"NodePort", "LoadBalancer"}, result.Failed, "one answer is asked for"},

		{"in order", orderCheck(), []string{"Client", "node  port", "service", "pod"}, result.Passed, "From outside in."},
		{"in order, on one line", orderCheck(), []string{"client -> node port → Service, pod"}, result.Passed, "From outside in."},
		{"out of order", orderCheck(), []string{"client", "Service", "node port", "pod"}, result.Failed, "2 of 4 in the right place"},
		{"one left out", orderCheck(), []string{"client", "Service", "pod"}, result.Failed, "leaves out node port"},
		{"one twice", orderCheck(), []string{"client", "node port", "Service", "pod", "pod"}, result.Failed, "something twice"},
		{"a stranger", orderCheck(), []string{"client", "node prt", "Service", "pod"}, result.Failed, `node prt; did you mean "node port"?`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			w.answers = map[string][]string{tc.check.ID: tc.given, "other": {"x"}}
			v := w.grade(t, tc.check)[tc.check.ID]
			if v.Status != tc.want || !strings.Contains(v.Message+" "+v.Hint, tc.says) {
				t.Errorf("got %s: %q, hint %q; want %s with %q", v.Status, v.Message, v.Hint, tc.want, tc.says)
			}
			if len(v.Evidence) != 1 || v.Evidence[0].OK != (tc.want == result.Passed) {
				t.Errorf("evidence %+v", v.Evidence)
			}
			if tc.name == "wrong" && strings.Contains(v.Message+v.Hint+v.Evidence[0].Got, "LoadBalancer") {
				t.Error("a wrong answer is told the right one")
			}
		})
	}
}

func predictCheck(p lab.Predict) lab.Check {
	return lab.Check{ID: "prophecy", Question: &lab.Question{Ask: "What comes back?", Predict: &p, Why: "So it is."}}
}

func TestPredictions(t *testing.T) {
	inside := lab.Predict{Service: "backend", From: "frontend", Via: lab.ViaName, Port: 80}
	ip := lab.Predict{Service: "backend", From: "frontend", Via: lab.ViaClusterIP, Port: 80}
	database := lab.Predict{Service: "db", From: "backend", Via: lab.ViaName, Port: 5432}
	outsideIP := lab.Predict{Service: "backend", Via: lab.ViaClusterIP, Port: 80}
	outsideName := lab.Predict{Service: "backend", Via: lab.ViaName, Port: 80}
	gate := lab.Predict{Service: "frontend", Via: lab.ViaNodePort, Port: 30080}
	wrongGate := lab.Predict{Service: "frontend", Via: lab.ViaNodePort, Port: 30081}
	desk := lab.Predict{Service: "frontend", Via: lab.ViaLoadBalancer, Port: 80}
	nothing := func(*world) {}
	for _, tc := range []struct {
		name    string
		predict lab.Predict
		given   string
		world   func(*world)
		want    result.CheckStatus
		says    string
	}{
		{"answers inside", inside, "answers", nothing, result.Passed, "So it is."},
		{"in other words", inside, "Yes!", nothing, result.Passed, ""},
		{"by address", ip, "ANSWERS", nothing, result.Passed, ""},
		{"the database answers", database, "answers", nothing, result.Passed, ""},
		{"not what was predicted", inside, "TIMEOUT", nothing, result.Failed, `predicted "TIMEOUT"; it was tried`},
		{"no virtual address outside", outsideIP, "timed out", nothing, result.Passed, ""},
		{"no name outside", outsideName, "DNS", nothing, result.Passed, ""},
		{"no name outside, predicted otherwise", outsideName, "refused", nothing, result.Failed, "something else"},
		{"every node answers", gate, "answers", onNodePort, result.Passed, ""},
		{"another port is refused", wrongGate, "connection refused", onNodePort, result.Passed, ""},
		{"nobody behind it", inside, "REFUSED", func(w *world) { w.svc("backend").Spec.Selector["app"] = "none"; w.slices() }, result.Passed, ""},
		{"the desk answers", desk, "answers", onBalancer, result.Passed, ""},
		{"nodes differ", gate, "answers", func(w *world) { onNodePort(w); w.onlyNodes = map[string]bool{"worker": true} }, result.Failed, "worker: answers"},
		{"no outcome at all", inside, "perhaps", nothing, result.Failed, "one of answers, TIMEOUT"},
		{"not answered", inside, "", nothing, result.Failed, "not answered yet"},
		{"no such Service", inside, "DNS", func(w *world) { w.svc("backend").Name = "back"; w.slices() }, result.Failed, "no Service called backend"},
		{"not balanced", desk, "answers", nothing, result.Failed, "its type is ClusterIP"},
		{"a stranger answers is ours", inside, "answers", func(w *world) { w.strangers = map[string]string{"backend:80": "evil"} }, result.Error, "does not settle"},
		{"no value of this run is ours", inside, "answers", func(w *world) { w.noNonce = true }, result.Error, "does not settle"},
		{"a machine that is too busy is ours", gate, "TIMEOUT", func(w *world) { onNodePort(w); w.busy, w.rolling = true, 1<<30 }, result.Error, "too busy"},
		{"probe cannot run", inside, "answers", func(w *world) { w.probeErr = errors.New("the engine is gone") }, result.Error, "the engine is gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			tc.world(w)
			w.answers = map[string][]string{"prophecy": {tc.given}}
			v := w.grade(t, predictCheck(tc.predict))["prophecy"]
			if v.Status != tc.want || !strings.Contains(v.Message+" "+v.Hint, tc.says) {
				t.Fatalf("got %s: %q, hint %q; want %s with %q", v.Status, v.Message, v.Hint, tc.want, tc.says)
			}
			if tc.want == result.Passed && (len(v.Evidence) < 2 || !v.Evidence[len(v.Evidence)-1].OK) {
				t.Errorf("what was seen is no evidence: %+v", v.Evidence)
			}
		})
	}
}

// What people write for an outcome means one and only one.
func TestOutcomeOf(t *testing.T) {
	for text, want := range map[string]string{
		"answers": answersWord, "It answers.": answersWord, "time-out": "TIMEOUT", "Timed out": "TIMEOUT", "no answer": "TIMEOUT",
		"Connection refused": "REFUSED", "NXDOMAIN": "DNS", "no such host": "DNS", "connection reset": "RESET", "maybe": "", "": "",
	} {
		if got, ok := outcomeOf(text); got != want || ok != (want != "") {
			t.Errorf("%q means %q, want %q", text, got, want)
		}
	}
}

func TestResolve(t *testing.T) {
	toService := lab.Check{ID: "dns", Resolve: &lab.Resolve{Service: "db", From: "backend", To: "service"}}
	toPods := lab.Check{ID: "dns", Resolve: &lab.Resolve{Service: "backend", From: "frontend", To: "pods", Tier: "backend"}}
	toAlias := lab.Check{ID: "dns", Resolve: &lab.Resolve{Service: "database", From: "backend", To: "alias", Target: "db"}}
	nothing := func(*world) {}
	headless := func(w *world) { w.svc("backend").Spec.ClusterIP = corev1.ClusterIPNone }
	alias := func(name string) func(*world) {
		return func(w *world) {
			svc := w.service("database", corev1.ServiceTypeExternalName, 5432, 0)
			svc.Spec.ClusterIP, svc.Spec.Selector, svc.Spec.ExternalName = "", nil, name
			w.slices()
		}
	}
	for _, tc := range []struct {
		name  string
		check lab.Check
		world func(*world)
		want  result.CheckStatus
		says  string
	}{
		{"the virtual address", toService, nothing, result.Passed, "the ClusterIP of service/db (10.96.0.12)"},
		{"headless has none", toService, func(w *world) { w.svc("db").Spec.ClusterIP = "None" }, result.Failed, "has no ClusterIP"},
		{"no such Service", toService, func(w *world) { w.svc("db").Name = "database"; w.slices() }, result.Failed, "no Service called db"},
		{"another address", toService, func(w *world) { w.records = map[string][]string{"db": {"10.9.9.9"}} }, result.Failed, "stands for 10.9.9.9, not for"},
		{"more than the address", toService, func(w *world) { w.records = map[string][]string{"db": {"10.96.0.12", "10.9.9.9"}} }, result.Failed, "10.9.9.9"},

		{"every ready pod", toPods, headless, result.Passed, "2 ready pods of backend"},
		{"not headless", toPods, nothing, result.Failed, "is not headless"},
		{"one pod is missing", toPods, func(w *world) { headless(w); w.records = map[string][]string{"backend": {"10.244.0.12"}} }, result.Failed, "stands for 10.244.0.12"},
		{"selector matches nothing", toPods, func(w *world) { headless(w); w.svc("backend").Spec.Selector["app"] = "x"; w.slices() }, result.Failed, "matches no pod"},

		{"an alias", toAlias, alias("db.test.svc.cluster.local"), result.Passed, "the ClusterIP of service/db"},
		{"an alias with a dot at the end", toAlias, alias("db.test.svc.cluster.local."), result.Passed, ""},
		{"an alias of a stranger", toAlias, alias("db.other.svc.cluster.local"), result.Failed, "alias of db.other"},
		{"a short alias", toAlias, alias("db"), result.Failed, "SERVICE.NAMESPACE.svc.cluster.local"},
		{"no alias", toAlias, func(w *world) { w.service("database", corev1.ServiceTypeClusterIP, 5432, 0) }, result.Failed, "is no alias"},
		{"an alias of nothing", toAlias, func(w *world) { alias("db.test.svc.cluster.local")(w); w.svc("db").Name = "x"; w.slices() }, result.Failed, "no Service called db"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			tc.world(w)
			v := w.grade(t, tc.check)["dns"]
			if v.Status != tc.want || !strings.Contains(v.Message+" "+v.Hint, tc.says) {
				t.Fatalf("got %s: %q, hint %q; want %s with %q", v.Status, v.Message, v.Hint, tc.want, tc.says)
			}
			if len(v.Evidence) == 0 || v.Evidence[len(v.Evidence)-1].OK != (tc.want == result.Passed) {
				t.Errorf("evidence %+v", v.Evidence)
			}
		})
	}
}
