package kube

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"labctl.dev/labctl/internal/fault"
)

// withProbe is a pod that has the ephemeral container in the state.
func withProbe(name string, states ...corev1.ContainerState) *corev1.Pod {
	p := pod(name)
	p.ResourceVersion = "1"
	p.Spec.NodeName, p.Status.PodIP = "n", "10.244.0.7"
	for i, state := range states {
		container := probeName
		if i > 0 {
			container += "-" + string(rune('1'+i))
		}
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers,
			corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: container}})
		p.Status.EphemeralContainerStatuses = append(p.Status.EphemeralContainerStatuses,
			corev1.ContainerStatus{Name: container, State: state})
	}
	return p
}

func running() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
}

func ended() corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}
}

func waiting(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "because"}}
}

// kubelet reports, to everybody who watches, the state of an ephemeral container that was
// added. The fake cluster replays nothing that happened before a watch began.
func kubelet(t *testing.T, cluster *fake.Clientset, state corev1.ContainerState) {
	t.Helper()
	cluster.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
		w := watch.NewFakeWithOptions(watch.FakeOptions{ChannelSize: 1})
		stored, err := cluster.Tracker().Get(corev1.SchemeGroupVersion.WithResource("pods"), "ns", "p")
		if err != nil {
			return true, nil, err
		}
		p := stored.(*corev1.Pod).DeepCopy()
		p.ResourceVersion = "2"
		for _, added := range p.Spec.EphemeralContainers {
			if stateOf(p, added.Name) == (corev1.ContainerState{}) {
				p.Status.EphemeralContainerStatuses = append(p.Status.EphemeralContainerStatuses,
					corev1.ContainerStatus{Name: added.Name, State: state})
			}
		}
		w.Modify(p)
		return true, w, nil
	})
}

func patches(cluster *fake.Clientset) (n int, last string) {
	for _, a := range cluster.Actions() {
		if p, ok := a.(clienttesting.PatchAction); ok {
			n, last = n+1, string(p.GetPatch())
		}
	}
	return n, last
}

func TestEnsureProbe(t *testing.T) {
	deleted := withProbe("p")
	deleted.DeletionTimestamp, deleted.Finalizers = &metav1.Time{Time: time.Now()}, []string{"x"}
	finished := withProbe("p")
	finished.Status.Phase = corev1.PodFailed
	tests := map[string]struct {
		pod     *corev1.Pod
		kubelet corev1.ContainerState
		name    string
		patches int
		wrong   string
		gone    bool
	}{
		"added":               {pod: withProbe("p"), kubelet: running(), name: "labctl-probe", patches: 1},
		"there already":       {pod: withProbe("p", running()), name: "labctl-probe"},
		"one ended":           {pod: withProbe("p", ended()), kubelet: running(), name: "labctl-probe-2", patches: 1},
		"one ended, one runs": {pod: withProbe("p", ended(), running()), name: "labctl-probe-2"},
		"all ended":           {pod: withProbe("p", ended(), ended(), ended(), ended()), wrong: "keeps ending: exit code 137: OOMKilled"},
		"no image":            {pod: withProbe("p"), kubelet: waiting("ErrImageNeverPull"), patches: 1, wrong: "node n does not have the image labctl/probe:v1"},
		"cannot be created":   {pod: withProbe("p"), kubelet: waiting("CreateContainerConfigError"), patches: 1, wrong: "because"},
		"ends at once":        {pod: withProbe("p"), kubelet: ended(), patches: 1, wrong: "exit code 137"},
		"no such pod":         {pod: withProbe("q"), wrong: "deleted", gone: true},
		"pod being deleted":   {pod: deleted, wrong: "being deleted", gone: true},
		"pod has ended":       {pod: finished, wrong: "phase Failed", gone: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cluster := fake.NewClientset(tt.pod)
			kubelet(t, cluster, tt.kubelet)
			c := &Client{typed: cluster}
			_, got, err := c.EnsureProbe(t.Context(), "ns", "p")
			n, patch := patches(cluster)
			if n != tt.patches {
				t.Errorf("%d patches, want %d", n, tt.patches)
			}
			if n > 0 && !strings.Contains(patch, `"imagePullPolicy":"Never"`) {
				t.Errorf("patch %s", patch)
			}
			if tt.wrong == "" {
				if err != nil || got != tt.name {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			var gone *PodGone
			if err == nil || !strings.Contains(err.Error(), tt.wrong) || errors.As(err, &gone) != tt.gone {
				t.Errorf("error %v, want %q", err, tt.wrong)
			}
			if fault.KindOf(err) != fault.Environment {
				t.Errorf("kind %d", fault.KindOf(err))
			}
		})
	}
}

func TestEnsureProbeInAPodThatNeverStarts(t *testing.T) {
	p := withProbe("p")
	p.Spec.NodeName, p.Status.PodIP = "", ""
	p.Status.Conditions = []corev1.PodCondition{{Status: corev1.ConditionFalse, Message: "0/3 nodes are available"}}
	c := &Client{typed: fake.NewClientset(p)}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := c.EnsureProbe(ctx, "ns", "p")
	if !errors.Is(err, ErrPodNotStarted) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "0/3 nodes") {
		t.Errorf("got %v", err)
	}
}

func TestEnsureProbeManyAtOnce(t *testing.T) {
	cluster := fake.NewClientset(withProbe("p"))
	kubelet(t, cluster, running())
	c := &Client{typed: cluster}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, name, err := c.EnsureProbe(t.Context(), "ns", "p"); err != nil || name != probeName {
				t.Errorf("got %q, %v", name, err)
			}
		})
	}
	all.Wait()
	p, err := cluster.CoreV1().Pods("ns").Get(t.Context(), "p", metav1.GetOptions{})
	if err != nil || len(p.Spec.EphemeralContainers) != 1 {
		t.Errorf("%v, %v", p.Spec.EphemeralContainers, err)
	}
}

func TestProbeMeetsTheStrictestPodSecurity(t *testing.T) {
	patch := string(probePatch(probeName))
	for _, want := range []string{
		`"runAsNonRoot":true`, `"allowPrivilegeEscalation":false`, `"drop":["ALL"]`, `"type":"RuntimeDefault"`,
	} {
		if !strings.Contains(patch, want) {
			t.Errorf("no %s in %s", want, patch)
		}
	}
}
