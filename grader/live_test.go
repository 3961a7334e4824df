package grader

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// moving is a world that can be changed while it is watched.
type moving struct {
	*world
	changed chan struct{}
	lock    sync.Mutex
}

func newMoving() *moving { return &moving{world: newWorld(), changed: make(chan struct{})} }

// change changes the world in one step.
func (m *moving) change(how func(*world)) {
	m.mu.Lock()
	m.state.Services = slices.Clone(m.state.Services)
	m.state.Pods = slices.Clone(m.state.Pods)
	how(m.world)
	m.slices()
	m.mu.Unlock()
	m.lock.Lock()
	defer m.lock.Unlock()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *moving) Await(ctx context.Context, cond func(*kube.State) (bool, string)) (*kube.State, error) {
	for {
		m.lock.Lock()
		changed := m.changed
		m.lock.Unlock()
		st := m.State()
		done, why := cond(st)
		if done {
			return st, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return st, &kube.AwaitError{Why: why, Err: ctx.Err()}
		}
	}
}

// live runs the checks on the moving world, and gives the events one by one.
func (m *moving) live(t *testing.T, input <-chan Input, disturb bool, checks ...lab.Check) <-chan Event {
	t.Helper()
	s := m.session(checks...)
	s.Watcher = m
	var ids []string
	for _, c := range checks {
		ids = append(ids, c.ID)
	}
	events := make(chan Event, 100)
	l := &Live{Session: s, IDs: ids, Disturb: disturb, Input: input, pause: time.Minute, Tell: func(e Event) { events <- e }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("live ended with %v", err)
		}
	})
	return events
}

// untilIdle gathers what happens until all verdicts are up to date.
func untilIdle(t *testing.T, events <-chan Event) (begun []string, verdicts map[string]result.CheckStatus) {
	t.Helper()
	verdicts = map[string]result.CheckStatus{}
	limit := time.After(10 * time.Second)
	for {
		select {
		case e := <-events:
			begun = append(begun, e.Begun...)
			if e.Judged != nil {
				verdicts[e.Judged.ID] = e.Judged.Status
			}
			if e.Idle {
				return begun, verdicts
			}
		case <-limit:
			t.Fatalf("not idle; begun %q, verdicts %v", begun, verdicts)
		}
	}
}

func TestLiveRechecksOnlyWhatChanged(t *testing.T) {
	m := newMoving()
	events := m.live(t, nil, false, dbInternal(), spread())
	if _, got := untilIdle(t, events); got["db"] != result.Passed || got["spread"] != result.Passed {
		t.Fatalf("at first %v", got)
	}
	m.change(func(w *world) { w.svc("db").Spec.Selector = map[string]string{"app": "data"} })
	begun, got := untilIdle(t, events)
	if !slices.Equal(begun, []string{"db"}) || got["db"] != result.Failed {
		t.Errorf("after the database's Service changed: begun %q, %v", begun, got)
	}
	m.change(func(w *world) { w.svc("db").Spec.Selector = map[string]string{"app": "db"} })
	if begun, got := untilIdle(t, events); !slices.Equal(begun, []string{"db"}) || got["db"] != result.Passed {
		t.Errorf("after it was repaired: begun %q, %v", begun, got)
	}
}

func TestLiveRechecksDependents(t *testing.T) {
	second := spread()
	second.DependsOn = []string{"db"}
	m := newMoving()
	events := m.live(t, nil, false, dbInternal(), second)
	untilIdle(t, events)
	m.change(func(w *world) { w.svc("db").Spec.Type = corev1.ServiceTypeNodePort })
	if _, got := untilIdle(t, events); got["db"] != result.Failed || got["spread"] != result.Skipped {
		t.Errorf("got %v", got)
	}
}

func TestLiveTakesAnswers(t *testing.T) {
	input := make(chan Input)
	events := newMoving().live(t, input, false, chooseCheck(), dbInternal())
	if _, got := untilIdle(t, events); got["which"] != result.Failed {
		t.Fatalf("without an answer: %v", got)
	}
	input <- Input{Answers: &map[string][]string{"which": {"LoadBalancer"}}}
	if begun, got := untilIdle(t, events); !slices.Equal(begun, []string{"which"}) || got["which"] != result.Passed {
		t.Errorf("answered: begun %q, %v", begun, got)
	}
	input <- Input{Again: true}
	if begun, _ := untilIdle(t, events); len(begun) != 2 {
		t.Errorf("again: begun %q", begun)
	}
}

// untilQuiet waits until nothing has happened for several times as long as a change needs to
// be noticed.
func untilQuiet(events <-chan Event) {
	for {
		select {
		case <-events:
		case <-time.After(4 * quiet):
			return
		}
	}
}

// A check that takes pods away is left out; where it is wanted, it does not set itself off.
func TestLiveAndDisturbingChecks(t *testing.T) {
	calm := newMoving()
	onBalancer(calm.world)
	begun, _ := untilIdle(t, calm.live(t, nil, false, balanced(false), lossCheck()))
	if !slices.Equal(begun, []string{"lb"}) || len(calm.deleted) != 0 {
		t.Errorf("begun %q, deleted %q", begun, calm.deleted)
	}
	wild := newMoving()
	onBalancer(wild.world)
	events := wild.live(t, nil, true, balanced(false), lossCheck())
	untilIdle(t, events)
	wild.change(func(*world) {}) // the watch sees what the check itself did, if it has not before
	untilQuiet(events)
	if len(wild.deleted) != 1 {
		t.Errorf("deleted %q, want one pod", wild.deleted)
	}
}

// A round that is out of date is given up for the next.
func TestLiveGivesUpWhatIsOutOfDate(t *testing.T) {
	m := newMoving()
	m.state.Pods[4].Status.Conditions[0].Status = corev1.ConditionFalse // the database is not ready
	m.slices()
	s := m.session(dbInternal())
	s.Watcher, s.Patience = m, time.Minute
	events := make(chan Event, 100)
	l := &Live{Session: s, IDs: []string{"db"}, Tell: func(e Event) { events <- e }}
	go func() { _ = l.Run(t.Context()) }()
	if e := <-events; !slices.Equal(e.Begun, []string{"db"}) {
		t.Fatalf("first %+v", e)
	}
	m.change(func(w *world) {
		w.state.Pods[4].Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	})
	if _, got := untilIdle(t, events); got["db"] != result.Passed {
		t.Errorf("got %v", got)
	}
}

// What fails without a reason that lasts is looked at again, and not for ever.
func TestLiveLooksAgain(t *testing.T) {
	m := newMoving()
	m.deaf = map[string]bool{"db:5432": true}
	s := m.session(dbInternal())
	s.Watcher = m
	events := make(chan Event, 100)
	l := &Live{Session: s, IDs: []string{"db"}, pause: time.Millisecond, Tell: func(e Event) { events <- e }}
	go func() { _ = l.Run(t.Context()) }()
	for range 1 + secondLooks {
		if _, got := untilIdle(t, events); got["db"] != result.Failed {
			t.Fatalf("got %v", got)
		}
	}
	select {
	case e := <-events:
		t.Errorf("looked at once more: %+v", e)
	case <-time.After(100 * time.Millisecond):
	}
	m.mu.Lock()
	m.deaf = nil
	m.mu.Unlock()
	m.change(func(w *world) { w.svc("db").Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	if _, got := untilIdle(t, events); got["db"] != result.Passed {
		t.Errorf("after it was repaired: %v", got)
	}
}

func TestFingerprints(t *testing.T) {
	checks := []lab.Check{dbInternal(), spread(), nodePort("every"), roundTripCheck(), lossCheck()}
	base := newWorld()
	before := base.session(checks...).Fingerprints(base.State())
	for _, tc := range []struct {
		name   string
		change func(*world)
		want   []string // whose fingerprints are others
	}{
		{"nothing", func(*world) {}, nil},
		{"our own probe in a pod", func(w *world) {
			w.state.Pods[0].Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "labctl-probe"}}}
			w.state.Pods[0].ResourceVersion = "7"
		}, nil},
		{"why a pod waits", func(w *world) {
			w.state.Pods[4].Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
		}, nil},
		{"the database's Service", func(w *world) { w.svc("db").Spec.Ports[0].Port = 1 }, []string{"db", "trip", "loss"}},
		{"a backend pod gets unready", func(w *world) { unready(&w.state.Pods[2]); w.slices() }, []string{"spread", "trip"}},
		{"a label", func(w *world) { w.state.Pods[4].Labels = map[string]string{"app": "x"} }, []string{"db", "trip"}},
		{"another image", func(w *world) { w.state.Pods[0].Status.ContainerStatuses[0].ImageID = "x" }, []string{"db", "spread", "nodeport", "trip"}},
		{"a node", func(w *world) { w.state.Nodes = w.state.Nodes[:2] }, []string{"nodeport", "trip"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			tc.change(w)
			after := w.session(checks...).Fingerprints(w.State())
			var changed []string
			for _, c := range checks {
				if before[c.ID] != after[c.ID] {
					changed = append(changed, c.ID)
				}
			}
			if !slices.Equal(changed, tc.want) {
				t.Errorf("changed %q, want %q", changed, tc.want)
			}
		})
	}
}
