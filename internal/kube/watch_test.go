package kube

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"labctl.dev/labctl/internal/fault"
)

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: "ns", UID: "1", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}},
	}}
}

// watched returns a client on a fake cluster and a watcher of its namespace ns.
func watched(t *testing.T, ready func(context.Context) error) (*Client, *Watcher) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Images: []corev1.ContainerImage{{}}}}
	var synced atomic.Bool
	c := &Client{
		config: &rest.Config{}, typed: fake.NewClientset(pod("b"), pod("a"), node),
		ready: func(ctx context.Context) error {
			if synced.Load() {
				return ready(ctx)
			}
			return nil
		},
	}
	w, err := c.Watch(t.Context(), "ns")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	synced.Store(true)
	return c, w
}

func answers(context.Context) error { return nil }

func podsNamed(names ...string) func(*State) (bool, string) {
	return func(s *State) (bool, string) {
		for _, name := range names {
			found := false
			for _, p := range s.Pods {
				found = found || p.Name == name
			}
			if !found {
				return false, name + " is missing"
			}
		}
		return true, ""
	}
}

func TestStateIsSortedAndSlim(t *testing.T) {
	_, w := watched(t, answers)
	s := w.State()
	if len(s.Pods) != 2 || s.Pods[0].Name != "a" || s.Pods[1].Name != "b" || len(s.Nodes) != 1 {
		t.Fatalf("got %+v", s)
	}
	if s.Pods[0].ManagedFields != nil || s.Nodes[0].Status.Images != nil {
		t.Error("the caches keep what nobody reads")
	}
	// The first notices of what the caches hold may still be on their way.
	for deadline := time.Now().Add(5 * time.Second); ; s = w.State() {
		if again := w.State(); again == s {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("another copy is made each time though nothing changes")
		}
	}
}

func TestAwait(t *testing.T) {
	c, w := watched(t, answers)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := w.Await(ctx, podsNamed("a", "b")); err != nil {
		t.Fatalf("what is there already: %v", err)
	}
	looked := make(chan struct{}, 100)
	go func() {
		<-looked // the condition did not hold at first
		_, err := c.typed.CoreV1().Pods("ns").Create(ctx, pod("late"), metav1.CreateOptions{})
		if err != nil {
			t.Error(err)
		}
	}()
	s, err := w.Await(ctx, func(s *State) (bool, string) {
		looked <- struct{}{}
		return podsNamed("late")(s)
	})
	if err != nil || len(s.Pods) != 3 {
		t.Fatalf("got %v, %v", s, err)
	}
}

func TestAwaitThatIsOverdue(t *testing.T) {
	gone := errors.New("connection refused")
	tests := map[string]struct {
		ready       func(context.Context) error
		unreachable bool
	}{
		"the API server is there":  {answers, false},
		"the API server is silent": {func(context.Context) error { return gone }, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, w := watched(t, tt.ready)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			s, err := w.Await(ctx, podsNamed("never"))
			var late *AwaitError
			if !errors.As(err, &late) || late.Why != "never is missing" || late.Unreachable != tt.unreachable {
				t.Fatalf("got %#v", err)
			}
			if !errors.Is(err, context.DeadlineExceeded) || s == nil {
				t.Errorf("got %v, state %v", err, s)
			}
			if tt.unreachable && (!errors.Is(err, gone) || fault.RemedyOf(err) == "") {
				t.Errorf("the API server's error is lost: %v", err)
			}
		})
	}
}

func TestAwaitThatIsCancelledAsksNobody(t *testing.T) {
	_, w := watched(t, func(context.Context) error { t.Error("asked"); return nil })
	ctx, cancel := context.WithCancel(t.Context())
	_, err := w.Await(ctx, func(*State) (bool, string) { cancel(); return false, "never" })
	var late *AwaitError
	if !errors.As(err, &late) || late.Unreachable || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAwaitEndsWhenTheWatchIsStopped(t *testing.T) {
	_, w := watched(t, answers)
	_, err := w.Await(t.Context(), func(*State) (bool, string) { go w.Stop(); return false, "never" })
	var late *AwaitError
	if !errors.As(err, &late) || late.Unreachable {
		t.Errorf("got %v", err)
	}
}

// lonely is a watcher without watches, over an API server that ready speaks for.
func lonely(ready func(context.Context) error) *Watcher {
	return &Watcher{
		ping: ready, changed: make(chan struct{}), current: &State{},
		stores: storesOf(informers.NewSharedInformerFactory(fake.NewClientset(), 0)),
	}
}

func TestAwaitEndsEarlyWhenTheAPIServerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		w := lonely(func(context.Context) error { return refused })
		go w.guard(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		_, err := w.Await(ctx, func(*State) (bool, string) { return false, "never" })
		var late *AwaitError
		if !errors.As(err, &late) || !late.Unreachable || !errors.Is(err, refused) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(start); took < lostAfter || took > 2*lostAfter {
			t.Errorf("took %s", took)
		}
	})
}

func TestAPIServerThatComesBackIsNotGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		w := lonely(func(context.Context) error {
			if asked.Add(1) < 5 {
				return errors.New("connection refused")
			}
			return nil
		})
		go w.guard(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := w.Await(ctx, func(*State) (bool, string) { return false, "never" })
		var late *AwaitError
		if !errors.As(err, &late) || late.Unreachable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWatchOfAServerThatDoesNotAnswer(t *testing.T) {
	c := server(t, nil)
	c.ready = func(context.Context) error { return errors.New("connection refused") }
	if _, err := c.Watch(t.Context(), "ns"); fault.KindOf(err) != fault.Environment || fault.RemedyOf(err) == "" {
		t.Errorf("got %v", err)
	}
}
