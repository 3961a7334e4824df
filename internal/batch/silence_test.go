//go:build e2e

package batch

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// way leads to a server, and loses what goes over its connections once they are cut: nobody at
// their ends hears of it, as where a machine loses its power.
type way struct {
	address string
	mu      sync.Mutex
	cuts    []*atomic.Bool
}

func newWay(t *testing.T, to string) *way {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{address: l.Addr().String()}
	var working sync.WaitGroup
	var all []net.Conn
	t.Cleanup(func() {
		_ = l.Close()
		w.mu.Lock()
		for _, c := range all {
			_ = c.Close()
		}
		w.mu.Unlock()
		working.Wait()
	})
	working.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(t.Context(), "tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			cut := &atomic.Bool{}
			w.mu.Lock()
			w.cuts, all = append(w.cuts, cut), append(all, near, far)
			w.mu.Unlock()
			working.Go(func() { carry(near, far, cut) })
			working.Go(func() { carry(far, near, cut) })
		}
	})
	return w
}

func carry(from, to net.Conn, cut *atomic.Bool) {
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		switch {
		case cut.Load() && err == nil:
		case cut.Load():
			return
		case err != nil:
			_ = to.Close()
			return
		default:
			_, _ = to.Write(b[:n]) // the next read tells
		}
	}
}

// cut cuts all connections that there are.
func (w *way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.cuts {
		c.Store(true)
	}
}

// A server that falls silent without a word is asked anew, and nothing is lost or graded twice
// that it had given out or taken in that moment.
func TestServerFallsSilent(t *testing.T) {
	srv, s := openServer(t)
	there := strings.Split(strings.TrimPrefix(srv.Address, "postgres://labctl@"), "/")[0]
	w := newWay(t, there)
	far, err := openServerWithin(t.Context(), strings.Replace(srv.Address, there, w.address, 1), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	const tasks = 60
	for n := range tasks {
		add(t, s, task(n))
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	worker := &Worker{Store: far, Grader: telling(20 * time.Millisecond), Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 2, Times: quickTimes(), ID: NewID("far")}
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	seen := map[Key]string{}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for cuts := 0; len(seen) < tasks; {
		select {
		case <-ctx.Done():
			t.Fatalf("%d of %d have a grade", len(seen), tasks)
		case <-tick.C:
		}
		if note(t, s, seen); cuts < 8 && len(seen) > 6*cuts {
			w.cut()
			cuts++
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
