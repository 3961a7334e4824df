package grader

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/result"
)

// lateWorld is a world whose pods become ready at a moment.
type lateWorld struct {
	*world
	starting kube.State
	at       time.Time
}

func (w *lateWorld) Await(ctx context.Context, cond func(*kube.State) (bool, string)) (*kube.State, error) {
	timer := time.NewTimer(time.Until(w.at))
	defer timer.Stop()
	done, why := cond(&w.starting)
	if done {
		return &w.starting, nil
	}
	select {
	case <-timer.C:
	case <-ctx.Done():
		return &w.starting, &kube.AwaitError{Why: why, Err: ctx.Err()}
	}
	return w.world.Await(ctx, cond)
}

// Pods that a busy machine starts late cost no marks: they get longer, and what has not even
// begun to run by then is the machine's fault. What runs, or was told why not, is the student's.
func TestPodsStartLateOnABusyMachine(t *testing.T) {
	creating := func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State.Waiting = waiting("ContainerCreating") }
	warned := func(reason, message string) []corev1.Event {
		return []corev1.Event{{Type: corev1.EventTypeWarning, Reason: reason, Message: message, InvolvedObject: corev1.ObjectReference{Name: "db-4"}}}
	}
	crashing := func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].State.Waiting, p.Status.ContainerStatuses[0].RestartCount = waiting("CrashLoopBackOff"), 3
	}
	lacksImage := func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State.Waiting = waiting("ErrImageNeverPull") }
	unplaced := func(why string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: why})
		}
	}
	tests := map[string]struct {
		busy    bool
		after   time.Duration
		pod     func(*corev1.Pod)
		events  []corev1.Event
		status  result.CheckStatus
		screen  time.Duration
		atMost  time.Duration
		message string
		// untimely says that it would prove nothing on an overloaded machine.
		untimely bool
	}{
		"calm machine":           {after: 100 * time.Second, pod: creating, status: result.Failed, untimely: true, atMost: 91 * time.Second},
		"busy machine":           {busy: true, after: 100 * time.Second, pod: creating, status: result.Passed, atMost: 101 * time.Second},
		"busy for too long":      {busy: true, after: time.Hour, pod: creating, status: result.Error, atMost: 151 * time.Second, message: "db-4"},
		"busy, but it runs":      {busy: true, after: time.Hour, pod: func(*corev1.Pod) {}, status: result.Failed, untimely: true, atMost: 151 * time.Second},
		"busy, but it cannot":    {busy: true, after: time.Hour, pod: creating, events: warned("FailedMount", `secret "none" not found`), status: result.Failed, atMost: 151 * time.Second},
		"busy, node too late":    {busy: true, after: time.Hour, pod: creating, events: warned("FailedMount", "failed to sync secret cache: timed out"), status: result.Error, atMost: 151 * time.Second},
		"busy, and it crashes":   {busy: true, after: time.Hour, pod: crashing, status: result.Failed, untimely: true, atMost: time.Second},
		"busy, without image":    {busy: true, after: time.Hour, pod: lacksImage, status: result.Failed, atMost: time.Second},
		"busy, fits no node":     {busy: true, after: time.Hour, pod: unplaced("0/3 nodes are available"), status: result.Failed, atMost: 151 * time.Second},
		"busy, volume is late":   {busy: true, after: time.Hour, pod: unplaced("pod has unbound immediate PersistentVolumeClaims"), status: result.Failed, untimely: true, atMost: 151 * time.Second},
		"somebody at the screen": {busy: true, after: time.Hour, pod: creating, screen: 10 * time.Second, status: result.Failed, untimely: true, atMost: 11 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.deploy("db")
				starting := *w.State()
				starting.Pods, starting.Deployments = slices.Clone(starting.Pods), slices.Clone(starting.Deployments)
				pod := starting.Pods[4].DeepCopy()
				pod.Status.Conditions[0].Status = corev1.ConditionFalse
				tt.pod(pod)
				starting.Pods[4], starting.Events = *pod, tt.events
				starting.Deployments[0].Status.ReadyReplicas = 0
				if tt.busy {
					w.slowness = time.Nanosecond
				}
				s := w.session()
				s.Timeouts, s.Patience = DefaultTimeouts(), tt.screen
				s.Watcher = &lateWorld{world: w, starting: starting, at: time.Now().Add(tt.after)}
				began := time.Now()
				db, _ := s.Lab.Tier("db")
				st := s.awaitTier(t.Context(), db)
				got := result.Passed
				switch {
				case st.err != nil:
					got = result.Error
				case st.trouble != nil:
					got = st.trouble.Status
					if st.trouble.untimely != tt.untimely {
						t.Errorf("untimely %t: %s", st.trouble.untimely, st.trouble.Message)
					}
				}
				if took := time.Since(began); got != tt.status || took > tt.atMost {
					t.Errorf("%s after %s: %v %+v", got, took, st.err, st.trouble)
				}
				if tt.message != "" && (st.err == nil || !strings.Contains(st.err.Error(), tt.message)) {
					t.Errorf("error %v does not say %q", st.err, tt.message)
				}
			})
		})
	}
}

func waiting(reason string) *corev1.ContainerStateWaiting {
	return &corev1.ContainerStateWaiting{Reason: reason}
}

// A Deployment's status that is known before its pods are does not stand for them.
func TestPodsAreKnownAfterTheirDeployment(t *testing.T) {
	w := newWorld()
	w.deploy("db")
	s := w.session()
	db, _ := s.Lab.Tier("db")
	if c := s.census(w.State(), db); !c.ready {
		t.Fatalf("all is there, and %s", c.why)
	}
	early := *w.State()
	early.Deployments = slices.Clone(early.Deployments)
	i := slices.IndexFunc(early.Deployments, func(d appsv1.Deployment) bool { return runs(d.Spec.Template.Spec, db.Image) })
	more := early.Deployments[i].DeepCopy()
	want := *more.Spec.Replicas + 1
	more.Spec.Replicas = &want
	more.Status.Replicas, more.Status.ReadyReplicas, more.Status.UpdatedReplicas = want, want, want
	early.Deployments[i] = *more
	if c := s.census(&early, db); c.ready || c.why != "1 of 2 pods are known to be ready" {
		t.Errorf("ready %t, %q", c.ready, c.why)
	}
}

// What is asked before all pods are behind the Service says nothing of those that follow.
func TestServiceLeadsToAllItsPods(t *testing.T) {
	leads := func(change func(*world, *corev1.Pod)) (bool, string) {
		w := newWorld()
		p := w.imitate("backend")
		change(w, p)
		return leadsToAll(&w.state, "backend")
	}
	for _, tc := range []struct {
		name   string
		change func(*world, *corev1.Pod)
		why    string
	}{
		{"ready", func(*world, *corev1.Pod) {}, ""},
		{"not known to the Service", func(w *world, p *corev1.Pod) { p.Labels["app"] = "x"; w.slices(); p.Labels["app"] = "backend" }, "does not lead to pod/backend-5 yet"},
		{"starting", func(w *world, p *corev1.Pod) { unready(p); p.Status.Phase = corev1.PodPending; w.slices() }, "does not lead to pod/backend-5 yet"},
		{"never starts", func(w *world, p *corev1.Pod) {
			unready(p)
			p.Status.Phase = corev1.PodPending
			p.Status.ContainerStatuses[0].State.Waiting = waiting("ImagePullBackOff")
			w.slices()
		}, ""},
		{"never ready", func(w *world, p *corev1.Pod) { unready(p); w.slices() }, ""},
		{"none", func(w *world, _ *corev1.Pod) { w.state.Pods = nil; w.slices() }, "has no endpoints"},
	} {
		if done, why := leads(tc.change); done != (tc.why == "") || !strings.Contains(why, tc.why) {
			t.Errorf("%s: %t, %q", tc.name, done, why)
		}
	}
}
