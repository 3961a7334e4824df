package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
)

func TestNames(t *testing.T) {
	c := newWorld(t).clusters()
	for name, ok := range map[string]bool{
		"labctl": true, "a.b-1": true, "": false, "Lab": false, "../x": false, "a b": false, "-a": false,
		strings.Repeat("a", 50): true, strings.Repeat("a", 51): false,
	} {
		if err := checkName(name); (err == nil) != ok || !ok && fault.KindOf(err) != fault.Input {
			t.Errorf("%q: got %v, want ok %v", name, err, ok)
		}
	}
	if _, err := c.Up(context.Background(), options("../x"), nil); fault.KindOf(err) != fault.Input {
		t.Errorf("got %v", err)
	}
}

func TestLock(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	unlock, err := c.Lock(context.Background(), "lab", "labctl up")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Lock(ctx, "lab", "labctl down")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in use by labctl up (process ") {
		t.Errorf("got %v", err)
	}
	if len(w.steps) != 1 || !strings.HasPrefix(w.steps[0], "Waiting for labctl up (process ") {
		t.Errorf("steps %q", w.steps)
	}
	other, err := c.Lock(context.Background(), "other", "labctl up")
	if err != nil {
		t.Fatalf("another cluster is locked too: %v", err)
	}
	other()

	got := make(chan error, 1)
	go func() {
		unlock, err := c.Lock(context.Background(), "lab", "labctl down")
		if err == nil {
			unlock()
		}
		got <- err
	}()
	unlock()
	if err := <-got; err != nil {
		t.Errorf("after the first is done: %v", err)
	}
}

func TestConfiguration(t *testing.T) {
	r := &record{Name: "lab", Workers: 2, NodeImage: "node:v1", APIPort: 5000}
	v1, v2 := configuration(r, "1"), configuration(r, "2")
	if len(v1.KubeadmConfigPatches) != 1 || !strings.Contains(v1.KubeadmConfigPatches[0], "failCgroupV1: false") {
		t.Errorf("cgroup v1: patches %q", v1.KubeadmConfigPatches)
	}
	if len(v2.KubeadmConfigPatches) != 0 {
		t.Errorf("cgroup v2: patches %q", v2.KubeadmConfigPatches)
	}
	if len(v2.Nodes) != 3 || v2.Nodes[0].Role != v1alpha4.ControlPlaneRole || v2.Networking.APIServerPort != 5000 {
		t.Errorf("got %+v", v2)
	}
}

func TestHealthy(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	nodes := []Node{{Name: "a", StartedAt: start}, {Name: "b", StartedAt: start}}
	node := func(name string, status corev1.ConditionStatus, said time.Time) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: status, Message: "no network", LastHeartbeatTime: metav1.Time{Time: said}},
		}}}
	}
	now, old := start.Truncate(time.Second), start.Add(-time.Minute)
	a, b := node("a", "True", now), node("b", "True", now)
	dns := func(status corev1.ConditionStatus, since time.Time) []corev1.Pod {
		return []corev1.Pod{{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"k8s-app": "kube-dns"}}, Spec: corev1.PodSpec{NodeName: "a"},
			Status: corev1.PodStatus{
				Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
				ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{
					Running: &corev1.ContainerStateRunning{StartedAt: metav1.Time{Time: since}},
				}}},
			},
		}}
	}
	const noDNS = "cluster DNS has no pod that is ready"
	tests := []struct {
		why   string // "" means healthy
		nodes []corev1.Node
		pods  []corev1.Pod
	}{
		{"", []corev1.Node{a, b}, dns("True", now)},
		{"node b has not joined", []corev1.Node{a}, dns("True", now)},
		{"node b is not ready: no network", []corev1.Node{a, node("b", "False", now)}, dns("True", now)},
		{"node b has not reported since it was started", []corev1.Node{a, node("b", "True", old)}, dns("True", now)},
		{"node a has not said whether it is ready", []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}}, nil},
		{noDNS, []corev1.Node{a, b}, nil},
		{noDNS, []corev1.Node{a, b}, dns("False", now)},
		{noDNS, []corev1.Node{a, b}, dns("True", old)},
	}
	for _, tt := range tests {
		ok, why := healthy(nodes)(&kube.State{Nodes: tt.nodes, Pods: tt.pods})
		if ok != (tt.why == "") || why != tt.why {
			t.Errorf("got %v, %q; want %q", ok, why, tt.why)
		}
	}
}

func TestStepsOfKind(t *testing.T) {
	w := newWorld(t)
	var done []string
	s := newSteps(w, func(step string) { done = append(done, step) })
	s.V(0).Infof("Creating cluster %q ...\n", "lab")
	s.V(0).Infof(" • %s  ...\n", "Ensuring node image (node:v1) 🖼️")
	s.V(0).Infof(" ✓ %s\n", "Ensuring node image (node:v1) 🖼️")
	s.V(0).Infof(" • %s  ...\n", "Starting control-plane 🕹️")
	s.V(3).Info("kubeadm's output")
	s.V(0).Infof(" ✗ %s\n", "Starting control-plane 🕹️")
	if want := []string{"Ensuring node image (node:v1)", "Starting control-plane"}; !cmp.Equal(w.steps, want) {
		t.Errorf("steps: %s", cmp.Diff(want, w.steps))
	}
	if want := []string{"Ensuring node image (node:v1)"}; !cmp.Equal(done, want) {
		t.Errorf("done: %s", cmp.Diff(want, done))
	}
	if !strings.Contains(s.said(), "kubeadm's output") {
		t.Errorf("kept: %q", s.said())
	}
}

// A labctl that was killed while somebody removed the cluster may bring back what stood beside it.
func TestDownRemovesWhatWasLeftBehind(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	mustUp(t, c, "lab")
	for _, name := range []string{"lab", "gone", "gone", "foreign"} {
		w.add("", "labctl-"+name+"-outside", "", "").labels = map[string]string{LabelOf: name}
	}
	w.add("foreign", "foreign-control-plane", roleControl, "")
	if names, err := c.List(t.Context()); err != nil || !slices.Equal(names, []string{"lab", "gone"}) {
		t.Fatalf("list %v, %v", names, err)
	}
	if removed, err := c.Down(t.Context(), "gone"); !removed || err != nil {
		t.Errorf("got %v, %v", removed, err)
	}
	if !slices.Equal(w.removed, []string{"labctl-gone-outside", "labctl-gone-outside"}) {
		t.Errorf("removed %v", w.removed)
	}
	if names, err := c.List(t.Context()); err != nil || !slices.Equal(names, []string{"lab"}) {
		t.Errorf("then list %v, %v", names, err)
	}
}
