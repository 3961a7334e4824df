package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"labctl.dev/labctl/internal/fault"
)

const (
	// syncTimeout bounds the first fill of the caches: milliseconds on a healthy cluster.
	syncTimeout = 30 * time.Second
	// lostAfter is how long the API server may be silent before everybody who awaits
	// something is told that it is gone. A restarting API server is back within it.
	lostAfter = 15 * time.Second
	// heartbeat is the pause between two questions whether the API server is there.
	heartbeat = 2 * time.Second
)

// Watcher keeps an up-to-date copy of one namespace and of the nodes.
type Watcher struct {
	stores stores
	ping   func(context.Context) error
	stop   func()
	done   <-chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	current *State        // nil where a change made it stale
	lost    error         // the API server is gone
	failure error         // the last failure of a watch
}

// AwaitError says that something did not come about in time.
type AwaitError struct {
	// Why is the last reason that the condition gave.
	Why string
	// Unreachable tells that the API server does not answer, so that nothing is known
	// about the condition: the environment's fault. Err is then a fault.Error.
	Unreachable bool
	Err         error
}

func (e *AwaitError) Error() string {
	if e.Why == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.Why, e.Err)
}

// Unwrap gives the cause: the context's error, and where Unreachable the API server's.
func (e *AwaitError) Unwrap() error { return e.Err }

// Watch starts to watch the namespace and returns when the first copy is complete. The
// watcher ends with ctx, or by Stop.
func (c *Client) Watch(ctx context.Context, namespace string) (*Watcher, error) {
	if err := c.Ping(ctx); err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(c.typed, 0,
		informers.WithNamespace(namespace), informers.WithTransform(slim))
	// The informers' own log would repeat on standard error what guard and Await report.
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, logr.Discard()))
	w := &Watcher{
		stores:  storesOf(factory),
		ping:    c.Ping,
		done:    ctx.Done(),
		changed: make(chan struct{}),
	}
	if err := w.listen(); err != nil {
		cancel()
		return nil, environment(err, "watch namespace %s", namespace)
	}
	factory.StartWithContext(ctx)
	guarded := make(chan struct{})
	go func() { defer close(guarded); w.guard(ctx) }()
	w.stop = func() { cancel(); factory.Shutdown(); <-guarded }

	synced, end := context.WithTimeout(ctx, syncTimeout)
	defer end()
	if err := factory.WaitForCacheSyncWithContext(synced).Err; err != nil {
		cause := errors.Join(w.lastFailure(), err)
		w.stop()
		return nil, environment(cause, "watch namespace %s", namespace)
	}
	return w, nil
}

// Stop ends the watches and returns when they have ended.
func (w *Watcher) Stop() { w.stop() }

// listen subscribes to changes and failures of all caches.
func (w *Watcher) listen() error {
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.wake() },
		UpdateFunc: func(any, any) { w.wake() },
		DeleteFunc: func(any) { w.wake() },
	}
	for _, informer := range w.stores.all() {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
		err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
			w.mu.Lock()
			w.failure = err
			w.mu.Unlock()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// wake tells everybody who waits that something has changed.
func (w *Watcher) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current = nil
	close(w.changed)
	w.changed = make(chan struct{})
}

// guard asks from time to time whether the API server is there, and declares it lost when it
// has been silent for too long. The watches do not tell: they try for ever.
func (w *Watcher) guard(ctx context.Context) {
	var silent time.Time // when the first of the unanswered questions was asked
	_ = wait.PollUntilContextCancel(ctx, heartbeat, false, func(ctx context.Context) (bool, error) {
		asked := time.Now()
		err := w.ping(ctx)
		switch {
		case ctx.Err() != nil:
			return true, nil
		case err == nil:
			silent = time.Time{}
			w.setLost(nil)
		case silent.IsZero():
			silent = asked
		case time.Since(silent) >= lostAfter:
			w.setLost(err)
		}
		return false, nil
	})
}

func (w *Watcher) setLost(err error) {
	w.mu.Lock()
	known := w.lost != nil
	w.lost = err
	w.mu.Unlock()
	if err != nil && !known {
		w.wake()
	}
}

func (w *Watcher) lastFailure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// State returns a copy of the caches as they are now.
func (w *Watcher) State() *State {
	state, _, _ := w.snapshot()
	return state
}

// snapshot returns the state, a channel that closes at the next change after it, and why the
// API server is held to be gone, if it is.
func (w *Watcher) snapshot() (*State, <-chan struct{}, error) {
	w.mu.Lock()
	state, changed, lost := w.current, w.changed, w.lost
	w.mu.Unlock()
	if state != nil {
		return state, changed, lost
	}
	// Taken after the channel: a change in between closes it, and the caller looks again.
	state = w.stores.state()
	w.mu.Lock()
	if w.changed == changed {
		w.current = state
	}
	w.mu.Unlock()
	return state, changed, lost
}

// Await returns the state as soon as the condition holds for it. The condition is looked
// at once at the start and then after changes, several of which may be seen as one; it
// must not block. Its why says what is still missing.
//
// When ctx ends first, the error is an AwaitError around ctx's, with the last why. Await
// also ends, with an AwaitError that is Unreachable, when the API server has been gone for
// fifteen seconds. The state returned beside an error is the last one seen.
func (w *Watcher) Await(ctx context.Context, cond func(*State) (done bool, why string)) (*State, error) {
	for {
		state, changed, lost := w.snapshot()
		done, why := cond(state)
		switch {
		case done:
			return state, nil
		case lost != nil:
			return state, &AwaitError{Why: why, Unreachable: true, Err: lost}
		}
		select {
		case <-changed:
		case <-w.done:
			if ctx.Err() == nil {
				return state, &AwaitError{Why: why, Err: errors.New("the watch was stopped")}
			}
			return state, w.overdue(ctx, why)
		case <-ctx.Done():
			return state, w.overdue(ctx, why)
		}
	}
}

// overdue makes the error for a wait whose context ended. After a time-out it asks whether
// the API server is there at all: a server that hangs leaves watches open and silent.
func (w *Watcher) overdue(ctx context.Context, why string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if err := w.ping(context.WithoutCancel(ctx)); err != nil {
			return &AwaitError{Why: why, Unreachable: true, Err: &fault.Error{
				Kind: fault.Environment, Err: fmt.Errorf("%w: %w", ctx.Err(), err), Remedy: fault.RemedyOf(err),
			}}
		}
	}
	return &AwaitError{Why: why, Err: ctx.Err()}
}
