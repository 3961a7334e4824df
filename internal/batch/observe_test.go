package batch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/telemetry/telemetrytest"
)

// counted is an Observer that counts.
type counted struct {
	mu    sync.Mutex
	taken int
	ended map[Outcome]int
}

func newCounted() *counted { return &counted{ended: map[Outcome]int{}} }

func (c *counted) Taken(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken++
}

func (c *counted) Ended(lab string, o Outcome, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[o]++
	if lab != "clusterip" || took < 0 {
		c.ended["wrong"]++
	}
}

// begin starts a worker in a process that records by itself; end stops it.
func begin(ctx context.Context, t *testing.T, s *Store, g Grader, o Observer, id string) (end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	w := &Worker{Store: s, Grader: g, Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 1, Times: quickTimes(), ID: id, Observer: o}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("worker %s ended with %v", id, err)
		}
	}
}

func waitFor(t *testing.T, s *Store, tasks ...Task) {
	t.Helper()
	eventually(t, "every task has its grade", func() bool {
		return !slices.ContainsFunc(tasks, func(task Task) bool {
			g, err := s.Find(t.Context(), task.Key)
			return err != nil || g == nil
		})
	})
}

// A batch is one trace, with a span for each submission and the stages below; a worker
// elsewhere that goes on with what another was at continues it.
func TestBatchIsOneTrace(t *testing.T) {
	s := openFile(t)
	home, spans := telemetrytest.Record(t.Context())
	home, root := telemetry.Start(home, "batch")
	one, two := task(1), task(2)
	two.Claims = []string{"nodePort/30080"}
	for _, task := range []Task{one, two} {
		if _, err := s.Add(home, task, []byte("archive")); err != nil {
			t.Fatal(err)
		}
	}

	// The first worker is stopped while it is at it.
	elsewhere, firstSpans := telemetrytest.Record(t.Context())
	slow, count := newStand(), newCounted()
	slow.took = time.Hour
	end := begin(elsewhere, t, s, slow, count, "first")
	eventually(t, "it is at work", func() bool { slow.mu.Lock(); defer slow.mu.Unlock(); return len(slow.graded) > 0 })
	end()
	if count.taken == 0 || count.ended[Interrupted] != count.taken {
		t.Errorf("the first: %+v", count)
	}

	// The second has clusters; the first of them is at fault.
	third, secondSpans := telemetrytest.Record(t.Context())
	sites := newSites()
	sites.unsound[0] = true
	pool := NewPool(sites, PoolSize{Clusters: 1, PerCluster: 1}, func(string) {})
	count = newCounted()
	end = begin(third, t, s, pool, count, "second")
	waitFor(t, s, one, two)
	end()
	root.End(nil)
	if count.ended[LostCluster] != 1 || count.ended[Outcome(result.Graded)] != 2 || count.taken != 3 || len(count.ended) != 2 {
		t.Errorf("the second: %+v", count)
	}

	batch := telemetrytest.Named(spans(), "batch")[0]
	all := append(firstSpans(), secondSpans()...)
	for _, s := range all {
		if s.Trace != batch.Trace {
			t.Errorf("it is in another trace: %s", s)
		}
	}
	outcomes := map[string]int{}
	for _, s := range telemetrytest.Named(all, "submission") {
		outcomes[s.Attributes["labctl.worker.id"]+" "+s.Attributes["labctl.outcome"]]++
		if s.Parent != batch.ID {
			t.Errorf("it is no part of the batch: %s", s)
		}
		if s.Failed != (s.Attributes["labctl.outcome"] == string(LostCluster)) {
			t.Errorf("%s", s)
		}
	}
	if outcomes["first interrupted"] != 1 || outcomes["second cluster"] != 1 || outcomes["second graded"] != 2 {
		t.Errorf("%v", outcomes)
	}
	tree := telemetrytest.Tree(append(secondSpans(), batch), func(s telemetrytest.Span) string {
		if s.Failed {
			return "failed"
		}
		return s.Attributes["labctl.outcome"]
	})
	want := `batch
  submission failed
    room
      make
    sound failed
  submission graded
    room
      make
  submission graded
    room
`
	if tree != want {
		t.Errorf("got\n%swant\n%s", tree, want)
	}
}

// What a submission's span says: all that is needed to find it, and nothing else.
func TestSpansOfSubmissions(t *testing.T) {
	s := openFile(t)
	ctx, spans := telemetrytest.Record(t.Context())
	one := task(1)
	one.Round = 2
	add(t, s, one) // by somebody who records nothing
	pool := NewPool(newSites(), PoolSize{Clusters: 1, PerCluster: 1}, func(string) {})
	end := begin(ctx, t, s, pool, nil, "w")
	waitFor(t, s, one)
	end()
	all := telemetrytest.Named(spans(), "submission")
	if len(all) != 1 || all[0].Parent != "" {
		t.Fatalf("%v", all)
	}
	attrs := all[0].Attributes
	if attrs["labctl.queued_seconds"] == "" {
		t.Error("it does not say how long it waited")
	}
	delete(attrs, "labctl.queued_seconds")
	want := map[string]string{
		"labctl.submission.digest": one.Digest, "labctl.batch.id": "b", "labctl.lab.id": "clusterip", "labctl.lab.version": "1.0.0",
		"labctl.round": "2", "labctl.attempt": "1", "labctl.worker.id": "w", "labctl.outcome": "graded", "labctl.pool.cluster": "1",
	}
	if fmt.Sprint(attrs) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", attrs, want)
	}
}

// How a try ends is counted, and fails its span only where the fault is ours: few points, or
// none, are none of ours.
func TestOutcomes(t *testing.T) {
	errored := func(task Task, _ int) (result.Report, error) { return failed(task, "pod/anna-db is gone"), nil }
	for name, tt := range map[string]struct {
		answer func(Task, int) (result.Report, error)
		want   map[Outcome]int
		failed int
	}{
		"no points": {func(task Task, _ int) (result.Report, error) {
			r := full(task, "")
			r.Score = 0
			return r, nil
		}, map[Outcome]int{"graded": 1}, 0},
		"rejected": {func(task Task, _ int) (result.Report, error) {
			return result.Report{Status: result.Rejected, Submission: task.Digest}, nil
		}, map[Outcome]int{"rejected": 1}, 0},
		"an error of ours": {errored, map[Outcome]int{Failed: 2, "error": 1}, 3},
		"a lost cluster": {func(task Task, try int) (result.Report, error) {
			if try == 1 {
				return result.Report{}, errors.New("anna's node is gone")
			}
			return full(task, ""), nil
		}, map[Outcome]int{LostCluster: 1, "graded": 1}, 1},
		"too many at a time": {func(task Task, try int) (result.Report, error) {
			if try <= 2*attempts { // it does not count as a try
				return failed(task, "late"), errTooMany
			}
			return full(task, ""), nil
		}, map[Outcome]int{TooMany: 2 * attempts, "graded": 1}, 2 * attempts},
		"a defect": {func(task Task, try int) (result.Report, error) {
			if try == 1 {
				panic("anna")
			}
			return full(task, ""), nil
		}, map[Outcome]int{Panicked: 1, "graded": 1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, g, count := openFile(t), newStand(), newCounted()
			g.answer = tt.answer
			ctx, spans := telemetrytest.Record(t.Context())
			one := task(1)
			add(t, s, one)
			end := begin(ctx, t, s, g, count, "w")
			waitFor(t, s, one)
			end()
			if fmt.Sprint(count.ended) != fmt.Sprint(tt.want) {
				t.Errorf("ended %v, want %v", count.ended, tt.want)
			}
			n := 0
			for _, s := range telemetrytest.Named(spans(), "submission") {
				if s.Failed {
					n++
				}
				if strings.Contains(s.String(), "anna") {
					t.Errorf("a text is in it: %s", s)
				}
			}
			if n != tt.failed {
				t.Errorf("%d failed, want %d", n, tt.failed)
			}
		})
	}
	for _, o := range []Outcome{Known, "graded", "rejected", "error"} {
		if !o.Final() {
			t.Errorf("%s is not final", o)
		}
	}
	for _, o := range []Outcome{Failed, LostCluster, TooMany, LostQueue, Interrupted, Panicked} {
		if o.Final() || !slices.Contains(Outcomes(), o) {
			t.Errorf("%s is final, or not listed", o)
		}
	}
}

// Whoever's the submissions are, no span of a batch says so.
func TestNothingPersonalIsInATrace(t *testing.T) {
	const name = "anna-miller"
	folder, err := Create(t.TempDir(), result.Lab{ID: "clusterip", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	s := openFile(t)
	ctx, spans := telemetrytest.Record(t.Context())
	ctx, root := telemetry.Start(ctx, "batch")
	found := &class.Class{Students: []class.Student{
		{ID: name, Person: &result.Person{Name: name, Email: name + "@example.org"}, Handed: &class.Handed{Path: folderOf(t, name, "kind: ConfigMap\nmetadata: {name: "+name+"}\napiVersion: v1\n")}},
		{ID: name + "-2", Handed: &class.Handed{Path: folderOf(t, name+"-2", "kind: "+name)}}, // refused
		{ID: name + "-3"}, // missing
	}}
	err = folder.Enter(ctx, s, Plan{Class: found, Limits: submission.Limits{}, FileName: func(s string) string { return s }, Read: func(string, *Handed) {}})
	if err != nil {
		t.Fatal(err)
	}
	g := newStand()
	g.answer = func(task Task, try int) (result.Report, error) {
		switch try {
		case 1:
			return failed(task, name), nil
		case 2:
			return result.Report{}, errors.New(name)
		}
		r := full(task, name)
		r.Student = name
		return r, nil
	}
	end := begin(ctx, t, s, g, nil, "w")
	err = folder.Follow(ctx, s, quickTimes(), Follower{
		Graded: func(Entry, result.Report, bool) {}, Progress: func(Progress) {}, Finish: func(*result.Report) error { return nil },
	})
	end()
	root.End(err)
	if err != nil || len(telemetrytest.Named(spans(), "submission")) != 3 {
		t.Errorf("%v, %v", err, spans())
	}
	for _, s := range spans() {
		if strings.Contains(s.String(), "anna") || strings.Contains(s.String(), "miller") {
			t.Errorf("it says whose it is: %s", s)
		}
	}
}

// folderOf writes a submission of one file.
func folderOf(t *testing.T, student, manifest string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), student)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A queue that is looked at tells how many wait, for how long, and who is there to take them.
func TestLook(t *testing.T) { look3(t, openFile(t)) }

func look3(t *testing.T, s *Store) {
	t.Helper()
	empty, err := s.Look(t.Context(), quickTimes())
	if err != nil || len(empty.Depths) != 0 || empty.Workers != 0 {
		t.Errorf("%+v, %v", empty, err)
	}
	other := task(4)
	other.Lab, other.Version = "three-tier", "2.0.0"
	add(t, s, task(1), task(2), task(3), other)
	die(t, s, task(1))
	if _, err := s.db.ExecContext(t.Context(), "UPDATE river_job SET state = 'retryable' WHERE id = (SELECT job FROM labctl_task WHERE digest = $1)", task(3).Digest); err != nil {
		t.Fatal(err)
	}
	if err := s.beat(t.Context(), "w", nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, "the oldest are older than a moment", func() bool {
		l, err := s.Look(t.Context(), quickTimes())
		return err == nil && len(l.Depths) == 4 && l.Depths[0].Oldest > 10*time.Millisecond
	})
	l, err := s.Look(t.Context(), Times{Dead: time.Minute})
	if err != nil || l.Workers != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	var got []string
	for _, d := range l.Depths {
		got = append(got, fmt.Sprint(d.Queue, " ", d.State, " ", d.Jobs))
		if d.Oldest <= 0 || d.Oldest > time.Since(began)+time.Minute {
			t.Errorf("the oldest is %v old", d.Oldest)
		}
	}
	slices.Sort(got)
	want := []string{"clusterip_1_0_0 available 1", "clusterip_1_0_0 retryable 1", "clusterip_1_0_0 running 1", "three_tier_2_0_0 available 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A worker that nobody hears of any more says so.
func TestHealth(t *testing.T) {
	s := openFile(t)
	w := &Worker{Store: s, Times: Times{Dead: 20 * time.Millisecond}, ID: "w"}
	if err := w.Health(); err != nil {
		t.Errorf("before it has begun: %v", err)
	}
	if err := w.alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is of no use", func() bool { return w.alive(t.Context()) != nil && w.Health() != nil })
}
