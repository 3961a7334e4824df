package batch

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

// A disk that is full ends the work with an error that says so, and loses nothing: with room again,
// every submission gets its grade.
func TestDiskIsFull(t *testing.T) {
	s := openFile(t)
	var tasks []Task
	for n := range 20 {
		tasks = append(tasks, task(n))
	}
	add(t, s, tasks...)
	exec := func(statement string) {
		t.Helper()
		if _, err := s.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("PRAGMA max_page_count = 1") // which is as many as there are

	g := newStand()
	g.answer = func(t Task, _ int) (result.Report, error) { return full(t, strings.Repeat("long ", 2000)), nil }
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	w := &Worker{Store: s, Grader: g, Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 4, Times: quickTimes(), ID: NewID(t.Name())}
	if err := w.Run(ctx); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("it ended with %v", err)
	}

	exec("PRAGMA max_page_count = 1000000")
	if err := s.TakeOverAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for key, grade := range work(t, s, g, tasks...) {
		if grade.Report.Status != result.Graded {
			t.Errorf("%s: %s", key.Digest, grade.Report.Status)
		}
	}
}

// What was queued by a clock that is ahead, or that was set back since, does not wait until that
// time has come.
func TestClockIsSetBack(t *testing.T) {
	s := openFile(t)
	aheadOfTime(t, s, "datetime('now', '+1 hour', 'subsec')")
}

// aheadOfTime queues tasks, makes them ones of a time to come, and sees them graded.
func aheadOfTime(t *testing.T, s *Store, later string) {
	t.Helper()
	tasks := []Task{task(1), task(2)}
	add(t, s, tasks...)
	if _, err := s.db.ExecContext(t.Context(), "UPDATE river_job SET scheduled_at = "+later); err != nil {
		t.Fatal(err)
	}
	work(t, s, newStand(), tasks...)
}

// A sign of life from a time to come is none.
func TestWorkersOfAnotherTime(t *testing.T) {
	s := openFile(t)
	ofAnotherTime(t, s)
}

func ofAnotherTime(t *testing.T, s *Store) {
	t.Helper()
	for id, offset := range map[string]string{"now": "+ 0", "dead": "- 3600000", "ahead": "+ 3600000"} {
		if err := s.beat(t.Context(), id, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.db.ExecContext(t.Context(), "UPDATE labctl_worker SET beat = beat "+offset+" WHERE id = $1", id); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Workers(t.Context(), time.Minute)
	if err != nil || len(all) != 1 || all[0].Worker != "now" {
		t.Errorf("%v, %v", all, err)
	}
}

func TestJobLostOnItsWay(t *testing.T) {
	lostOnItsWay(t, openFile(t), "jsonb_array($1)")
}

// lostOnItsWay sees graded what the queue counts as with a worker that lives, and that never got
// there. What the worker is at for longer than that takes stays with it.
func lostOnItsWay(t *testing.T, s *Store, array string) {
	t.Helper()
	add(t, s, task(1))
	giveOut(t, s, array, NewID(t.Name())) // as work calls its worker
	add(t, s, task(2))
	g := newStand()
	g.took = 3 * quickTimes().Dead
	for key, grade := range work(t, s, g, task(1), task(2)) {
		if grade.Attempts != 1 || g.graded[key.Digest] != 1 {
			t.Errorf("%s was graded %d times, in attempt %d", key.Digest, g.graded[key.Digest], grade.Attempts)
		}
	}
}

// giveOut makes what waits count as somebody's. array makes an array of $1.
func giveOut(t *testing.T, s *Store, array, worker string) {
	t.Helper()
	_, err := s.db.ExecContext(t.Context(), "UPDATE river_job SET state = 'running', attempt = 1, attempted_at = CURRENT_TIMESTAMP, attempted_by = "+array+" WHERE state = 'available'", worker)
	if err != nil {
		t.Fatal(err)
	}
}
