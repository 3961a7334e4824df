package batch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
)

// childVariable makes the test's own program one that works on the batch in this folder.
const childVariable = "LABCTL_TEST_BATCH"

// queueVariable makes it a worker for the queue.
const queueVariable = "LABCTL_TEST_QUEUE"

func TestMain(m *testing.M) {
	if address := os.Getenv(queueVariable); address != "" {
		if err := childWorker(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(childVariable); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// childWorker works for a server's queue until it is killed.
func childWorker(address string) error {
	store, err := OpenServer(context.Background(), address)
	if err != nil {
		return err
	}
	w := &Worker{Store: store, Grader: telling(50 * time.Millisecond), Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 2, Times: quickTimes(), ID: NewID("server")}
	return w.Run(context.Background())
}

// telling is a grader whose gradings can be told from each other.
func telling(took time.Duration) *stand {
	g := newStand()
	g.took = took
	g.answer = func(t Task, _ int) (result.Report, error) {
		return full(t, strconv.FormatUint(rand.Uint64(), 16)), nil
	}
	return g
}

// child grades the batch as "labctl batch" does, but for the clusters.
func child(dir string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	folder, err := Create(filepath.Join(dir, "out"), result.Lab{ID: "clusterip", Version: "1.0.0"})
	if err != nil {
		return err
	}
	store, err := folder.Store(ctx, "")
	if err != nil {
		return err
	}
	if err := store.TakeOverAll(ctx); err != nil {
		return err
	}
	found, err := classIn(filepath.Join(dir, "in"))
	if err != nil {
		return err
	}
	err = folder.Enter(ctx, store, Plan{
		Class: found, Limits: submission.Limits{}, FileName: func(s string) string { return s }, Read: func(string, *Handed) {},
	})
	if err != nil {
		return err
	}
	w := &Worker{Store: store, Grader: telling(5 * time.Millisecond), Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 2, Times: quickTimes(), ID: NewID("child")}
	var working sync.WaitGroup
	working.Go(func() { _ = w.Run(ctx) })
	err = folder.Follow(ctx, store, quickTimes(), Follower{
		Graded: func(Entry, result.Report, bool) {}, Progress: func(Progress) {}, Finish: func(*result.Report) error { return nil },
	})
	stop()
	working.Wait()
	return err
}

func classIn(dir string) (*class.Class, error) {
	entries, err := os.ReadDir(dir)
	c := &class.Class{}
	for _, e := range entries {
		c.Students = append(c.Students, class.Student{ID: e.Name(), Handed: &class.Handed{Path: filepath.Join(dir, e.Name())}})
	}
	c.Students = append(c.Students, class.Student{ID: "zoe"}) // who handed nothing in
	return c, err
}

// However often and whenever it is killed, a batch ends with every submission graded, and no
// grade that was written ever changes.
func TestBatchSurvivesBeingKilled(t *testing.T) {
	const students, kills = 60, 20
	dir := t.TempDir()
	for n := range students {
		sub := filepath.Join(dir, "in", fmt.Sprintf("s%02d", n))
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\n", n)
		if n%10 == 9 {
			text = fmt.Sprintf("kind: nothing%d\n", n) // refused
		}
		if err := os.WriteFile(filepath.Join(sub, "a.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[Key]string{}
	dead := 0
	for range 1000 {
		killed := runChild(t, dir, dead < kills)
		look(t, dir, seen)
		if !killed {
			break
		}
		dead++
	}
	if dead < kills/2 {
		t.Errorf("it was only killed %d times", dead)
	}
	if len(seen) != students {
		t.Errorf("%d grades for %d submissions", len(seen), students)
	}
	book, err := ReadBook(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range book.Students {
		if _, err := os.Stat(filepath.Join(dir, "out", ReportsDir, e.File+".json")); err != nil {
			t.Error(err)
		}
	}
}

// runChild runs the child, and kills it at some moment where it is to be killed; it tells
// whether it died of that.
func runChild(t *testing.T, dir string, kill bool) (killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if kill {
		moment := time.AfterFunc(time.Duration(30+rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		defer moment.Stop()
	}
	err := cmd.Wait()
	if err != nil && !kill {
		t.Fatal(err)
	}
	if err != nil && cmd.ProcessState.Exited() {
		t.Fatalf("it failed by itself: %v", err)
	}
	return err != nil
}

// look notes the grades, and that none that was noted before is another now.
func look(t *testing.T, dir string, seen map[Key]string) {
	t.Helper()
	out := filepath.Join(dir, "out")
	book, err := ReadBook(out)
	if err != nil {
		return // killed before it was named
	}
	s, err := OpenFor(t.Context(), out, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	all, err := s.Since(t.Context(), book.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		grade, err := s.Find(t.Context(), g.Key)
		if err != nil || grade == nil {
			t.Fatalf("%v, %v", grade, err)
		}
		if before, ok := seen[g.Key]; ok && before != grade.Report.Message {
			t.Errorf("the grade of %s changed from %s to %s", g.Digest, before, grade.Report.Message)
		}
		seen[g.Key] = grade.Report.Message
	}
}
