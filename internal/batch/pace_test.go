package batch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"labctl.dev/labctl/internal/result"
)

// Where more run at a time than the machine can, fewer do, and what failed is done over.
func TestPoolSuitsTheMachine(t *testing.T) {
	f := newSites()
	f.can = 2
	p := NewPool(f, PoolSize{Clusters: 1, PerCluster: 8}, func(string) {})
	if errs := gradeAll(t, p, many(24)); errs == 0 {
		t.Error("nothing was graded over")
	}
	if st := p.State(); st.Limit > 3 || st.Limit < 1 || st.Capacity != 8 || st.Running != 0 {
		t.Errorf("%+v", st)
	}
	if len(f.made) != 1 {
		t.Errorf("made %q", f.made)
	}
}

// One that failed alone has nobody else to blame, once it had the machine for itself.
func TestPoolBelievesWhatFailsAlone(t *testing.T) {
	f := newSites()
	f.errored, f.strained = true, true
	var notes []string
	p := NewPool(f, PoolSize{Clusters: 1, PerCluster: 8}, func(note string) { notes = append(notes, note) })
	if _, err := p.Grade(t.Context(), task(1), nil); !errors.Is(err, errTooMany) || f.alone != 0 || p.State().Limit != 1 {
		t.Errorf("%v, %d alone, %+v", err, f.alone, p.State())
	}
	r, err := p.Grade(t.Context(), task(1), nil)
	if err != nil || r.Status != result.Errored || f.alone != 1 || len(notes) != 1 {
		t.Errorf("%v, %v, %d alone, %q", r.Status, err, f.alone, notes)
	}
}

// Gradings wait while others keep the machine overloaded, but not for ever.
func TestPoolWaitsForTheMachine(t *testing.T) {
	for name, tt := range map[string]struct{ others, waits time.Duration }{
		"for nobody":       {0, 0},
		"for a while":      {time.Minute, time.Minute},
		"not for too long": {time.Hour, patience},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newSites()
				began := time.Now()
				f.overloaded = began.Add(tt.others)
				var notes []string
				p := NewPool(f, PoolSize{Clusters: 1, PerCluster: 2}, func(note string) { notes = append(notes, note) })
				r, err := p.Grade(t.Context(), task(1), nil)
				took := time.Since(began)
				if err != nil || r.Status != result.Graded || took < tt.waits || took > tt.waits+2*lookAgain || (len(notes) > 0) != (tt.waits > 0) {
					t.Errorf("%v, %v after %s: %q", r.Status, err, took, notes)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				f.overloaded = time.Now().Add(time.Hour)
				if _, err := p.Grade(ctx, task(2), nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("interrupted: %v", err)
				}
			})
		})
	}
}

// A cluster that is silent on an overloaded machine is not made anew for that: it is looked at
// again when the machine has less to do.
func TestPoolDoubtsSilenceOfClusters(t *testing.T) {
	for name, tt := range map[string]struct {
		ill  bool
		made int
	}{"well afterwards": {false, 1}, "as ill as before": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newSites()
				p := NewPool(f, PoolSize{Clusters: 1, PerCluster: 1}, func(string) {})
				if _, err := p.Grade(t.Context(), task(1), nil); err != nil {
					t.Fatal(err)
				}
				f.errored, f.silent, f.unsound[0] = true, true, tt.ill
				time.AfterFunc(time.Millisecond, func() { // while it is graded
					f.mu.Lock()
					defer f.mu.Unlock()
					f.overloaded = time.Now().Add(time.Minute)
				})
				if _, err := p.Grade(t.Context(), task(2), nil); (err != nil) != tt.ill {
					t.Errorf("at fault: %v", err)
				}
				f.errored, f.unsound[0] = false, false
				if _, err := p.Grade(t.Context(), task(3), nil); err != nil || len(f.made) != tt.made {
					t.Errorf("%v, made %q", err, f.made)
				}
			})
		})
	}
}

func TestPace(t *testing.T) {
	p := pace{most: 8, limit: 8}
	slow := func(lap, running int, others bool, limit int) {
		t.Helper()
		if got := p.slowDown(lap, running); got != others || p.limit != limit {
			t.Errorf("others %t, limit %d", got, p.limit)
		}
	}
	slow(0, 8, true, 4)
	slow(0, 7, true, 4) // it ran beside the same ones
	slow(0, 1, true, 4)
	slow(1, 4, true, 2)
	slow(2, 2, true, 1)
	if p.alone {
		t.Error("alone too early")
	}
	slow(3, 1, true, 1) // something of another process may have run beside it
	if !p.alone {
		t.Error("not alone")
	}
	slow(4, 1, false, 1)
	faster := func(n int, busy bool, limit int) {
		t.Helper()
		for range n {
			p.speedUp(busy)
		}
		if p.limit != limit {
			t.Errorf("limit %d, want %d", p.limit, limit)
		}
	}
	faster(50, true, 1)
	faster(calmFor-1, false, 1)
	faster(1, true, 1) // it begins anew
	faster(calmFor-1, false, 1)
	faster(1, false, 1) // beside those of other processes first
	if p.alone {
		t.Error("still alone")
	}
	faster(calmFor, false, 2)
	faster(100*calmFor, false, 8)
}
