package batch

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

// stand is a grader that only takes time and gives what it is told to.
type stand struct {
	mu     sync.Mutex
	took   time.Duration
	graded map[string]int // how often, by digest
	answer func(t Task, try int) (result.Report, error)
}

func newStand() *stand { return &stand{graded: map[string]int{}} }

func (s *stand) Grade(ctx context.Context, t Task, archive []byte) (result.Report, error) {
	s.mu.Lock()
	s.graded[t.Digest]++
	try := s.graded[t.Digest]
	s.mu.Unlock()
	select {
	case <-time.After(s.took):
	case <-ctx.Done():
		return result.Report{}, ctx.Err()
	}
	if s.answer != nil {
		return s.answer(t, try)
	}
	return full(t, string(archive)), nil
}

func full(t Task, message string) result.Report {
	return result.Report{
		Schema: result.Schema, Submission: t.Digest, Status: result.Graded, Score: 100, MaxScore: 100, Message: message,
		Lab: result.Lab{ID: t.Lab, Version: t.Version}, Checks: []result.Check{},
	}
}

func openFile(t *testing.T) *Store {
	t.Helper()
	s, err := OpenFile(t.Context(), filepath.Join(t.TempDir(), "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func task(n int) Task {
	return Task{Key: Key{Batch: "b", Digest: fmt.Sprintf("sha256:%d", n), Version: "1.0.0"}, Lab: "clusterip"}
}

func add(t *testing.T, s *Store, tasks ...Task) {
	t.Helper()
	for _, task := range tasks {
		if _, err := s.Add(t.Context(), task, []byte("archive of "+task.Digest)); err != nil {
			t.Fatal(err)
		}
	}
}

// quickTimes suit gradings of milliseconds.
func quickTimes() Times {
	return Times{Beat: 20 * time.Millisecond, Dead: time.Second, Poll: 5 * time.Millisecond, Retry: 5 * time.Millisecond, Patience: time.Minute}
}

// work runs a worker until the tasks have grades, and returns these.
func work(t *testing.T, s *Store, g Grader, tasks ...Task) map[Key]*Grade {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	w := &Worker{Store: s, Grader: g, Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 4, Times: quickTimes(), ID: NewID(t.Name())}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	grades := map[Key]*Grade{}
	var unheard error // the last; a server that was started over ends the connections that there were
	for len(grades) < len(tasks) && ctx.Err() == nil {
		for _, task := range tasks {
			g, err := s.Find(ctx, task.Key)
			if err != nil {
				unheard = err
			}
			if g != nil {
				grades[task.Key] = g
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Errorf("only %d of %d tasks have a grade; %v", len(grades), len(tasks), unheard)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	return grades
}
