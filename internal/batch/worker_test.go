package batch

import (
	"context"
	"errors"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

func TestEveryTaskIsGradedOnce(t *testing.T) {
	s, g := openFile(t), newStand()
	var tasks []Task
	for n := range 20 {
		tasks = append(tasks, task(n))
	}
	add(t, s, tasks...)
	add(t, s, tasks...) // as a batch that is started again does
	for _, grade := range work(t, s, g, tasks...) {
		if grade.Report.Score != 100 || grade.Report.Message != "archive of "+grade.Digest || grade.Attempts != 1 {
			t.Errorf("%+v", grade)
		}
	}
	for digest, n := range g.graded {
		if n != 1 {
			t.Errorf("%s was graded %d times", digest, n)
		}
	}
}

// What is an error of ours is tried three times, and then listed as not graded; run again, it
// is tried once more.
func TestErrorsAreTriedAgain(t *testing.T) {
	tests := map[string]struct {
		good     int // the first try that ends well
		tries    int
		status   result.Status
		attempts int
	}{
		"at once":      {good: 1, tries: 1, status: result.Graded, attempts: 1},
		"in the third": {good: 3, tries: 3, status: result.Graded, attempts: 3},
		"never":        {good: 99, tries: 3, status: result.Errored, attempts: 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, g := openFile(t), newStand()
			g.answer = func(task Task, try int) (result.Report, error) {
				if try < tt.good {
					return failed(task, "the engine is gone"), nil
				}
				return full(task, ""), nil
			}
			one := task(1)
			add(t, s, one)
			got := work(t, s, g, one)[one.Key]
			if got.Report.Status != tt.status || g.graded[one.Digest] != tt.tries || got.Attempts != tt.attempts {
				t.Errorf("%s after %d tries: %+v", got.Report.Status, g.graded[one.Digest], got)
			}
			if err := s.Again(t.Context(), one); err != nil {
				t.Fatal(err)
			}
			g.answer = nil
			if got := work(t, s, g, one)[one.Key]; got.Report.Status != result.Graded {
				t.Errorf("again: %s", got.Report.Status)
			}
			if again := g.graded[one.Digest] > tt.tries; again != (tt.status == result.Errored) {
				t.Errorf("graded %d times in all", g.graded[one.Digest])
			}
		})
	}
}

// A cluster that is at fault does not use up a submission's attempts.
func TestFaultsOfClustersAreNoAttempts(t *testing.T) {
	s, g := openFile(t), newStand()
	g.answer = func(task Task, try int) (result.Report, error) {
		if try <= 2*attempts {
			return result.Report{}, errors.New("the cluster is gone")
		}
		return full(task, ""), nil
	}
	one := task(1)
	add(t, s, one)
	if got := work(t, s, g, one)[one.Key]; got.Report.Status != result.Graded || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// What an interrupted worker was at is graded by the next, and so is what a dead one was at.
func TestUnfinishedWorkIsTakenOver(t *testing.T) {
	s, slow := openFile(t), newStand()
	slow.took = time.Hour
	one := task(1)
	add(t, s, one)
	ctx, stop := context.WithCancel(t.Context())
	w := &Worker{Store: s, Grader: slow, Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 1, Times: quickTimes(), ID: "first"}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	eventually(t, "it is at work", func() bool {
		all, err := s.Workers(t.Context(), time.Minute)
		return err == nil && len(all) == 1 && len(all[0].Doing) == 1 && all[0].Doing[0] == one.Digest
	})
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if all, err := s.Workers(t.Context(), time.Minute); err != nil || len(all) != 0 {
		t.Errorf("it is still listed: %v, %v", all, err)
	}
	if got := work(t, s, newStand(), one)[one.Key]; got.Report.Status != result.Graded || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}

	two := task(2)
	add(t, s, two)
	die(t, s, two) // no goodbye
	if err := s.TakeOverAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := work(t, s, newStand(), two)[two.Key]; got.Report.Status != result.Graded || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// die leaves the task as a worker does that is killed.
func die(t *testing.T, s *Store, task Task) {
	t.Helper()
	_, err := s.db.ExecContext(t.Context(), "UPDATE river_job SET state = 'running', attempt = 1, attempted_at = CURRENT_TIMESTAMP WHERE id = (SELECT job FROM labctl_task WHERE digest = $1)", task.Digest)
	if err != nil {
		t.Fatal(err)
	}
}

// A submission that kills whoever grades it is not given out for ever.
func TestLethalSubmissionsAreGivenUp(t *testing.T) {
	s, g := openFile(t), newStand()
	one := task(1)
	add(t, s, one)
	for range maxTakeovers + 1 {
		die(t, s, one)
		if err := s.TakeOverAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := work(t, s, g, one)[one.Key]
	if got.Report.Status != result.Errored || g.graded[one.Digest] != 0 {
		t.Errorf("%+v, graded %d times", got, g.graded[one.Digest])
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestQueueNames(t *testing.T) {
	for _, tt := range []struct{ lab, version, want string }{
		{"clusterip", "1.0.0", "clusterip_1_0_0"},
		{"three-tier", "2.10.0-rc.1", "three_tier_2_10_0_rc_1"},
		{"a--b", "1", "a_b_1"},
	} {
		if got := Queue(tt.lab, tt.version); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.lab, tt.version, got, tt.want)
		}
	}
}
