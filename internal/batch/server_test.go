//go:build e2e

package batch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// server is a PostgreSQL server of the test's own.
type server struct {
	dir, port, address string
}

func startServer(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	dir, err := os.MkdirTemp("", "labctl-postgres-") // its own user has to get in
	if err != nil {
		t.Fatal(err)
	}
	s := &server{dir: dir, port: port}
	t.Cleanup(func() {
		_, _ = s.hack("stop", dir)
		_ = os.RemoveAll(dir)
	})
	s.start(t)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	out, err := s.hack("start", s.dir, s.port)
	if err != nil {
		t.Fatal(err)
	}
	s.address = strings.TrimSpace(out)
}

func (s *server) hack(args ...string) (string, error) {
	var stdout, stderr strings.Builder
	cmd := exec.Command("../../hack/postgres", args...) //nolint:noctx // it also runs when the test is over
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("hack/postgres %q: %w: %s", args, err, stderr.String())
	}
	return stdout.String(), nil
}

// Three workers share a queue. They are killed and started again, and the server is gone for a
// while: every submission gets its grade, and no grade that was written ever changes.
func TestWorkersShareAServer(t *testing.T) {
	const tasks = 150
	srv := startServer(t)
	s, err := OpenServer(t.Context(), srv.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for n := range tasks {
		add(t, s, task(n))
	}
	workers := make([]*exec.Cmd, 3)
	for i := range workers {
		workers[i] = startWorker(t, srv.address)
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
			workers[i] = startWorker(t, srv.address)
			kills++
		}
		if !stopped && len(seen) > tasks/3 {
			stopped = true
			if _, err := srv.hack("stop", srv.dir); err != nil {
				t.Fatal(err)
			}
			<-time.After(3 * time.Second)
			srv.start(t)
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
	srv := startServer(t)
	s, err := OpenServer(t.Context(), srv.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := srv.hack("stop", srv.dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.Add(ctx, task(1), nil); err == nil {
		t.Error("a grading was queued nowhere")
	}
	_, err = OpenServer(ctx, strings.Replace(srv.address, "labctl@", "labctl:hush@", 1))
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}

// The same is told of a server's queue as of a file's.
func TestLookAtAServer(t *testing.T) {
	srv := startServer(t)
	s, err := OpenServer(t.Context(), srv.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	look3(t, s)
}
