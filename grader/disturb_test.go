package grader

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

func stickyCheck() lab.Check {
	return lab.Check{ID: "sticky", Reach: &lab.Reach{Service: "backend", Tier: "backend", From: "frontend", Via: []lab.Via{lab.ViaName}, Port: 80, Sticky: true}}
}

func restartCheck(tier string) lab.Check {
	return lab.Check{ID: "restart-" + tier, Run: &lab.Run{Name: "data-survives-restart", With: map[string]string{"restart": tier, "via": "nodePort", "nodePort": "30080"}}}
}

func rolloutCheck() lab.Check {
	return lab.Check{ID: "rollout", Run: &lab.Run{Name: "rolling-update", With: map[string]string{"via": "loadBalancer"}}}
}

func apartCheck() lab.Check {
	return lab.Check{ID: "apart", Run: &lab.Run{Name: "tiers-on-different-nodes", With: map[string]string{"a": "frontend", "b": "backend"}}}
}

// apart puts each tier on a node of its own.
func apart(w *world) {
	for i := range w.state.Pods {
		p := &w.state.Pods[i]
		p.Spec.NodeName = map[string]string{"frontend": "worker", "backend": "worker2", "db": "worker"}[p.Labels["app"]]
	}
}

func deployed(w *world) { onBalancer(w); w.deploy("frontend") }

func TestDisturbingChecks(t *testing.T) {
	nothing := func(*world) {}
	closed := func(w *world) { w.state.Nodes[0].Spec.Unschedulable, w.state.Nodes[1].Spec.Unschedulable = true, true }
	for _, tc := range []struct {
		name  string
		check lab.Check
		world func(*world)
		want  result.CheckStatus
		says  string // in the message or the hint
	}{
		{"sticky", stickyCheck(), func(w *world) { w.sticky = true; w.svc("backend").Spec.SessionAffinity = "ClientIP" }, result.Passed, "answered 15 times in a row"},
		{"not sticky", stickyCheck(), nothing, result.Failed, "answered by 2 pods"},
		{"not sticky though it says so", stickyCheck(), func(w *world) { w.svc("backend").Spec.SessionAffinity = "ClientIP" }, result.Failed, "pod/backend-2, pod/backend-3"},
		{"sticky for want of another", stickyCheck(), func(w *world) { w.state.Pods = append(w.state.Pods[:3:3], w.state.Pods[4]); w.slices() }, result.Failed, "shows only with two"},
		{"sticky to a stranger", stickyCheck(), func(w *world) { w.strangers = map[string]string{"backend:80": "evil"} }, result.Failed, "pod/evil"},

		{"outlives the backend", restartCheck("backend"), onNodePort, result.Passed, "outlived all pods of backend"},
		{"outlives the database", restartCheck("db"), onNodePort, result.Passed, "outlived all pods of db"},
		{"does not outlive the database", restartCheck("db"), func(w *world) { onNodePort(w); w.forgetful = true }, result.Failed, "in no database any more"},
		{"nothing comes back", restartCheck("db"), func(w *world) { onNodePort(w); w.unreplaced = true }, result.Failed, "0 of 1 came back"},
		{"cannot be written", restartCheck("db"), func(w *world) { onNodePort(w); w.svc("backend").Name = "back"; w.slices() }, result.Failed, "could not be written"},

		{"rolled out", rolloutCheck(), deployed, result.Passed, "while all pods of frontend were replaced"},
		{"an outage during the rollout", rolloutCheck(), func(w *world) { deployed(w); w.outage = true }, result.Failed, "at least 95 %"},
		{"a machine that is too busy is ours", rolloutCheck(), func(w *world) { deployed(w); w.busy = true }, result.Error, "too busy to judge"},
		{"the rollout does not end", rolloutCheck(), func(w *world) { deployed(w); w.unfinished = true }, result.Failed, "did not end"},
		{"the rollout is paused", rolloutCheck(), func(w *world) { deployed(w); w.state.Deployments[0].Spec.Paused = true; w.unfinished = true }, result.Failed, "is paused"},
		{"nothing to roll out", rolloutCheck(), onBalancer, result.Failed, "nothing of frontend can be rolled out"},
		{"silent before the rollout", rolloutCheck(), func(w *world) { deployed(w); w.deaf = map[string]bool{"172.18.0.9:80": true} }, result.Failed, "no reliable answer"},

		{"on nodes of their own", apartCheck(), apart, result.Passed, "no node runs pods of both"},
		{"and they say so", apartCheck(), func(w *world) { apart(w); w.saysNode = map[string]string{"frontend-0": "worker"} }, result.Passed, ""},
		{"on the same node", apartCheck(), nothing, result.Failed, "node worker0 runs both"},
		{"a pod that lies", apartCheck(), func(w *world) { apart(w); w.saysNode = map[string]string{"backend-3": "worker"} }, result.Failed, "says that it is on node worker"},
		{"one node is ours", apartCheck(), closed, result.Error, "1 node only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			tc.world(w)
			v := w.grade(t, tc.check)[tc.check.ID]
			if v.Status != tc.want || !strings.Contains(v.Message+" "+v.Hint, tc.says) {
				t.Fatalf("got %s: %q, hint %q; want %s with %q", v.Status, v.Message, v.Hint, tc.want, tc.says)
			}
			bad := slices.ContainsFunc(v.Evidence, func(e result.Evidence) bool { return !e.OK })
			if tc.want != result.Error && bad != (tc.want == result.Failed) {
				t.Errorf("evidence of a check that %s: %+v", tc.want, v.Evidence)
			}
		})
	}
}

// Nothing runs beside a check that disturbs, and what follows sees the pods of after.
func TestTurns(t *testing.T) {
	early, late := spread(), dbInternal()
	between := lab.Check{ID: "between", Reach: &lab.Reach{Service: "frontend", Tier: "frontend", From: "db", Via: []lab.Via{lab.ViaName}, Port: 80, Pods: 2}, DependsOn: []string{"rollout"}}
	checks := []lab.Check{early, rolloutCheck(), between, restartCheck("backend"), late}
	w := newWorld()
	deployed(w)
	s := w.session(checks...)
	started := s.closure([]string{"spread", "rollout", "between", "restart-backend", "db"})
	for id, want := range map[string][]string{
		"spread": nil, "db": nil,
		"rollout":         {"spread", "db"},
		"between":         {"rollout"},
		"restart-backend": {"spread", "rollout", "between", "db"},
	} {
		c, _ := s.Lab.Check(id)
		if got := s.turn(started, c); !slices.Equal(got, want) {
			t.Errorf("%s waits for %v, want %v", id, got, want)
		}
	}
	got := w.grade(t, checks...)
	for _, id := range []string{"spread", "rollout", "between", "db"} {
		if got[id].Status != result.Passed {
			t.Errorf("%s: %s: %s", id, got[id].Status, got[id].Message)
		}
	}
	if !slices.Equal(w.restarted, []string{"Deployment/frontend"}) || len(w.state.Pods) != 5 {
		t.Errorf("restarted %v, %d pods", w.restarted, len(w.state.Pods))
	}
}

func TestAliasesNameTheChosenNamespace(t *testing.T) {
	service := func(external string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "db"},
			"spec": map[string]any{"type": string(corev1.ServiceTypeExternalName), "externalName": external},
		}}
	}
	for in, want := range map[string]string{
		"store.shop.svc.cluster.local":   "store.labctl-shop-1.svc.cluster.local",
		"store.shop.svc.cluster.local.":  "store.labctl-shop-1.svc.cluster.local",
		"store.other.svc.cluster.local":  "store.other.svc.cluster.local",
		"a.store.shop.svc.cluster.local": "a.store.shop.svc.cluster.local",
		"example.com":                    "example.com",
		"":                               "",
	} {
		original := service(in)
		got := inNamespace([]*unstructured.Unstructured{original}, "shop", "labctl-shop-1")
		if name, _, _ := unstructured.NestedString(got[0].Object, "spec", "externalName"); name != want {
			t.Errorf("%q becomes %q, want %q", in, name, want)
		}
		if name, _, _ := unstructured.NestedString(original.Object, "spec", "externalName"); name != in {
			t.Errorf("the submission's own object was changed to %q", name)
		}
	}
}
