//go:build e2e

package batch

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"labctl.dev/labctl/internal/batch/servertest"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// openServer is a server of the test's own, and its queue.
func openServer(t *testing.T) (*servertest.Server, *Store) {
	t.Helper()
	srv := servertest.Start(t)
	s, err := OpenServer(t.Context(), srv.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return srv, s
}

// Three workers share a queue. They are killed and started again, and the server is gone for a
// while: every submission gets its grade, and no grade that was written ever changes.
func TestWorkersShareAServer(t *testing.T) {
	const tasks = 150
	srv, s := openServer(t)
	for n := range tasks {
		add(t, s, task(n))
	}
	workers := make([]*exec.Cmd, 3)
	for i := range workers {
		workers[i] = startWorker(t, srv.Address)
	}
	seen := map[Key]string{}
	kills, stopped := 0, false
	deadline := time.After(3 * time.Minute)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for len(seen) < tasks {
		select {
		case <-deadline:
			t.Fatalf("%d of %d have a grade", len(seen), tasks)
		case <-tick.C:
		}
		if kills < 20 {
			i := rand.IntN(len(workers))
			_ = workers[i].Process.Kill()
			_ = workers[i].Wait()
			workers[i] = startWorker(t, srv.Address)
			kills++
		}
		if !stopped && len(seen) > tasks/3 {
			stopped = true
			srv.Stop(t)
			<-time.After(3 * time.Second)
			srv.Restart(t)
		}
		note(t, s, seen)
	}
	if !stopped || kills < 5 {
		t.Errorf("the server was stopped: %t; %d workers were killed", stopped, kills)
	}
}

func startWorker(t *testing.T, address string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), queueVariable+"="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// note looks at the grades; the server may be gone at the moment.
func note(t *testing.T, s *Store, seen map[Key]string) {
	t.Helper()
	all, err := s.Since(t.Context(), "b", nil)
	if err != nil {
		return
	}
	for _, g := range all {
		grade, err := s.Find(t.Context(), g.Key)
		if err != nil || grade == nil {
			return
		}
		if before, ok := seen[g.Key]; ok && before != grade.Report.Message {
			t.Errorf("the grade of %s changed from %s to %s", g.Digest, before, grade.Report.Message)
		}
		seen[g.Key] = grade.Report.Message
	}
}

// A server that is not there, or goes for good, is said; the password is not.
func TestServerIsGone(t *testing.T) {
	srv, s := openServer(t)
	srv.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.Add(ctx, task(1), nil); err == nil {
		t.Error("a grading was queued nowhere")
	}
	_, err := OpenServer(ctx, strings.Replace(srv.Address, "labctl@", "labctl:hush@", 1))
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}

// Who follows a batch hears that its server is away, and goes on when it is back; one that stays
// away ends it, with how to go on.
func TestFollowWithoutAServer(t *testing.T) {
	srv, s := openServer(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in", "anna"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "in", "anna", "a.yaml"), []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := classIn(filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	folder, err := Create(filepath.Join(dir, "out"), result.Lab{ID: "clusterip", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	err = folder.Enter(t.Context(), s, Plan{Class: found, FileName: func(s string) string { return s }, Read: func(string, *Handed) {}})
	if err != nil {
		t.Fatal(err)
	}
	times := quickTimes()
	troubles, restarted := 0, false
	var working sync.WaitGroup
	follow := func() error {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		return folder.Follow(ctx, s, times, Follower{
			Graded: func(Entry, result.Report, bool) {}, Finish: func(*result.Report) error { return nil },
			Progress: func(p Progress) {
				if p.Trouble == "" {
					return
				}
				if troubles++; times.Patience > time.Second && !restarted {
					restarted = true
					srv.Restart(t)
					working.Go(func() {
						work(t, s, newStand(), Task{Key: folder.Book.Students[0].key(folder.Book.ID), Lab: "clusterip"})
					})
				}
			},
		})
	}
	srv.Stop(t)
	if err := follow(); err != nil || troubles == 0 {
		t.Errorf("away for a moment: %v, told %d times", err, troubles)
	}
	working.Wait()

	if folder, err = Create(filepath.Join(dir, "other"), result.Lab{ID: "clusterip", Version: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	folder.Book.Students = []Entry{{Student: "ben", Digest: "sha256:1", Version: "1.0.0", File: "ben"}}
	srv.Stop(t)
	times.Patience = time.Second
	err = follow()
	if fault.KindOf(err) != fault.Environment || !strings.Contains(fault.RemedyOf(err), "run the same command again") {
		t.Errorf("away for good: %v", err)
	}
}

// The same is told of a server's queue as of a file's.
func TestLookAtAServer(t *testing.T) {
	_, s := openServer(t)
	look3(t, s)
}

// The clocks of a server and of those who work for it may differ, and be set.
func TestServersClock(t *testing.T) {
	_, s := openServer(t)
	aheadOfTime(t, s, "clock_timestamp() + interval '1 hour'")
	ofAnotherTime(t, s)

	// What is with a worker of a time to come is with nobody.
	add(t, s, task(3))
	giveOut(t, s, "ARRAY[$1]", "ahead")
	work(t, s, newStand(), task(3))
}

// What a server gave out, and what never got to its worker.
func TestJobLostOnItsWayFromAServer(t *testing.T) {
	_, s := openServer(t)
	lostOnItsWay(t, s, "ARRAY[$1]")
}

// A worker that starts while the server is away waits for it.
func TestServerComesAfterItsWorker(t *testing.T) {
	srv, s := openServer(t)
	add(t, s, task(1))
	srv.Stop(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	g := newStand()
	w := &Worker{Store: s, Grader: g, Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 1, Times: quickTimes(), ID: NewID("early")}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	select {
	case err := <-done:
		t.Fatalf("it ended with %v", err)
	case <-time.After(2 * time.Second):
	}
	srv.Restart(t)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		if grade, err := s.Find(ctx, task(1).Key); err == nil && grade != nil {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("it was not graded")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
