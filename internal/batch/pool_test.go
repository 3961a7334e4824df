package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

// fakeSites makes clusters that note what happens in them.
type fakeSites struct {
	mu       sync.Mutex
	made     []string // "0", "1 anew"
	refuse   int      // how many makings fail
	unsound  map[int]bool
	errored  bool
	can      int             // submissions at a time, beyond which all of them fail; 0 means any number
	busy     time.Time       // until when the machine tells that more than that were there
	doomed   map[string]bool // who was there then, by digest
	strained bool            // the machine is busy whatever runs
	// overloaded is until when somebody else keeps the machine so.
	overloaded time.Time
	silent     bool             // no cluster answers as long as it is
	alone      int              // turns that nobody else was to have
	within     map[int][]string // claims, by cluster
	most       map[int]int
	turn       sync.RWMutex
	clash      bool
}

func (f *fakeSites) Make(_ context.Context, n int, anew bool) (Site, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what := fmt.Sprint(n)
	if anew {
		what += " anew"
		f.unsound[n] = false
	}
	f.made = append(f.made, what)
	if f.refuse > 0 {
		f.refuse--
		return nil, errors.New("no space left")
	}
	return &fakeSite{f, n}, nil
}

// Turn notes who is alone.
func (f *fakeSites) Turn(_ context.Context, alone bool) (func(), error) {
	if !alone {
		f.turn.RLock()
		return f.turn.RUnlock, nil
	}
	f.turn.Lock()
	f.alone++
	return f.turn.Unlock, nil
}

type fakeSite struct {
	all *fakeSites
	n   int
}

func (s *fakeSite) Grade(ctx context.Context, t Task, _ []byte) (result.Report, error) {
	f := s.all
	f.mu.Lock()
	for _, c := range t.Claims {
		for _, o := range f.within[s.n] {
			f.clash = f.clash || c == o
		}
	}
	f.within[s.n] = append(f.within[s.n], append(t.Claims, t.Digest)...)
	running := 0
	for _, w := range f.within[s.n] {
		if len(w) > 7 && w[:7] == "sha256:" {
			running++
		}
	}
	f.most[s.n] = max(f.most[s.n], running)
	if f.can > 0 && running > f.can {
		f.busy = time.Now().Add(50 * time.Millisecond) // what tells it is slow
		for _, w := range f.within[s.n] {
			f.doomed[w] = true
		}
	}
	f.mu.Unlock()
	select {
	case <-time.After(2 * time.Millisecond):
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	left := f.within[s.n][:0:0]
	for _, w := range f.within[s.n] {
		mine := w == t.Digest
		for _, c := range t.Claims {
			mine = mine || w == c
		}
		if !mine {
			left = append(left, w)
		}
	}
	f.within[s.n] = left
	doomed := f.doomed[t.Digest]
	delete(f.doomed, t.Digest)
	if f.unsound[s.n] || f.errored || doomed {
		return failed(t, "no answer"), nil
	}
	return full(t, ""), nil
}

func (s *fakeSite) Sound(context.Context) error {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	if s.all.unsound[s.n] || s.all.silent && time.Now().Before(s.all.overloaded) {
		return errors.New("a node is gone")
	}
	return nil
}

func (s *fakeSite) Strain(context.Context) Strain {
	f := s.all
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case time.Now().Before(f.overloaded):
		return Overloaded
	case time.Now().Before(f.busy), f.strained:
		return Busy
	}
	return AtLeisure
}

func newSites() *fakeSites {
	return &fakeSites{unsound: map[int]bool{}, doomed: map[string]bool{}, within: map[int][]string{}, most: map[int]int{}}
}

// gradeAll grades the tasks at the same time, each until it has a report.
func gradeAll(t *testing.T, p *Pool, tasks []Task) (errs int) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, task := range tasks {
		wg.Go(func() {
			for {
				r, err := p.Grade(t.Context(), task, nil)
				if err == nil || p.Broken() != nil {
					if err == nil && r.Status != result.Graded {
						t.Errorf("%s: %s", task.Digest, r.Status)
					}
					return
				}
				mu.Lock()
				errs++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errs
}

func many(n int, claims ...string) []Task {
	var tasks []Task
	for i := range n {
		t := task(i)
		t.Claims = claims
		tasks = append(tasks, t)
	}
	return tasks
}

func TestPoolKeepsClaimsApart(t *testing.T) {
	f := newSites()
	p := NewPool(f, PoolSize{Clusters: 2, PerCluster: 4}, func(string) {})
	gradeAll(t, p, append(many(20, "nodePort/30080"), many(20)...))
	if f.clash {
		t.Error("two with the same claim were in one cluster")
	}
	if len(f.made) != 2 || f.most[0] > 4 || f.most[1] > 4 || f.most[0] < 2 {
		t.Errorf("made %q, at most %v at a time", f.made, f.most)
	}
}

// A cluster that is at fault is made anew, and what was in it is graded over.
func TestPoolReplacesWhatIsUnsound(t *testing.T) {
	f := newSites()
	f.unsound[0] = true
	p := NewPool(f, PoolSize{Clusters: 1, PerCluster: 2}, func(string) {})
	if errs := gradeAll(t, p, many(6)); errs == 0 {
		t.Error("nothing was graded over")
	}
	if fmt.Sprint(f.made) != "[0 0 anew]" {
		t.Errorf("made %q", f.made)
	}
}

// An error in a sound cluster is a report; the cluster stays.
func TestPoolKeepsWhatIsSound(t *testing.T) {
	f := newSites()
	f.errored = true
	p := NewPool(f, PoolSize{Clusters: 1, PerCluster: 1}, func(string) {})
	r, err := p.Grade(t.Context(), task(1), nil)
	if err != nil || r.Status != result.Errored || len(f.made) != 1 {
		t.Errorf("%v, %v, made %q", r.Status, err, f.made)
	}
}

func TestPoolRecycles(t *testing.T) {
	f := newSites()
	p := NewPool(f, PoolSize{Clusters: 1, PerCluster: 1, Recycle: 3}, func(string) {})
	gradeAll(t, p, many(7))
	if fmt.Sprint(f.made) != "[0 0 anew 0 anew]" {
		t.Errorf("made %q", f.made)
	}
}

func TestPoolGivesUpWhereNoClusterCanBeMade(t *testing.T) {
	f := newSites()
	f.refuse = 100
	p := NewPool(f, PoolSize{Clusters: 1, PerCluster: 1}, func(string) {})
	_, err := p.Grade(t.Context(), task(1), nil)
	if err == nil || p.Broken() == nil || len(f.made) != makings {
		t.Errorf("%v, broken %v, made %q", err, p.Broken(), f.made)
	}
	f = newSites()
	f.refuse = makings - 1
	p = NewPool(f, PoolSize{Clusters: 1, PerCluster: 1}, func(string) {})
	if _, err := p.Grade(t.Context(), task(1), nil); err != nil || p.Broken() != nil {
		t.Errorf("a cluster that was made at last: %v, %v", err, p.Broken())
	}
}

func TestPoolWaitingEndsWithTheContext(t *testing.T) {
	p := NewPool(newSites(), PoolSize{}, func(string) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Grade(ctx, task(1), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestDefaultSize(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		processors int
		memory     int64
		exclusive  bool
		want       PoolSize
	}{
		{2, 24 * gib, false, PoolSize{1, 1, 200}},
		{4, 24 * gib, true, PoolSize{2, 1, 200}},
		{8, 8 * gib, true, PoolSize{2, 1, 200}},
		{16, 4 * gib, false, PoolSize{1, 2, 200}},
		{32, 64 * gib, false, PoolSize{2, 8, 200}},
		{1, 2 * gib, false, PoolSize{1, 1, 200}},
		{8, 0, false, PoolSize{1, 4, 200}},
	} {
		if got := DefaultSize(tt.processors, tt.memory, tt.exclusive); got != tt.want {
			t.Errorf("%d processors, %d GiB, exclusive %t: %+v, want %+v", tt.processors, tt.memory/gib, tt.exclusive, got, tt.want)
		}
	}
}
