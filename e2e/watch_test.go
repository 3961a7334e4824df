//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// changes is how often the watch is timed. How long it takes is told, not asserted: it
// depends on the machine.
const changes = 5

// freshStudent is an environment with labctl's clusters and without anybody's progress.
func freshStudent(t *testing.T) []string {
	t.Helper()
	state := os.Getenv("LABCTL_STATE")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		state = filepath.Join(home, ".local", "state", "labctl")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(state)); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(dir, "progress.json")) // there need not be one
	// A lab of the same checks under another name: nobody's namespace is in the way.
	labs := filepath.Join(t.TempDir(), "timed")
	if err := os.CopyFS(labs, os.DirFS("../labs/10-clusterip")); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, filepath.Join(labs, "lab.yaml"), "\nid: clusterip\n", "\nid: timed\n")
	// The user's own kubeconfig is left as it is.
	return append(os.Environ(), "LABCTL_STATE="+dir, "LABCTL_LABS="+labs, "LABCTL_CLUSTER="+cluster(), "KUBECONFIG="+filepath.Join(dir, "kubeconfig"))
}

func runAs(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), labctl(t), args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// What somebody only typed is in no file, and so is not handed in: submit says so.
func TestSubmitTellsWhatIsNotHandedIn(t *testing.T) {
	env, work := freshStudent(t), filepath.Join(t.TempDir(), "work")
	archive := filepath.Join(t.TempDir(), "work.tar.gz")
	submit := func(wanted string) {
		t.Helper()
		out := runAs(t, env, "submit", "timed", "--out", archive)
		if told := strings.Contains(out, "note\tnot "); told != (wanted != "") || !strings.Contains(out, wanted) {
			t.Errorf("does not say %q:\n%s", wanted, out)
		}
	}
	runAs(t, env, "start", "timed", "--dir", work)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", "timed", "--wait=false") })
	submit("")
	kubectl(t, "-n", "timed", "expose", "deployment", "db", "--port", "5432")
	submit("note\tnot in it\tService/db: in your cluster")
	kubectl(t, "-n", "timed", "delete", "service", "db")
	kubectl(t, "-n", "timed", "scale", "deployment", "backend", "--replicas", "3")
	submit("note\tnot the same\tDeployment/backend: not as in your cluster")
	replaceIn(t, filepath.Join(work, "backend.yaml"), "replicas: 1", "replicas: 3")
	submit("")
}

// Each applied change is followed by its verdict, and Ctrl-C ends the watch.
func TestWatchFollowsChanges(t *testing.T) {
	env := freshStudent(t)
	runAs(t, env, "start", "timed", "--dir", filepath.Join(t.TempDir(), "work"))
	t.Cleanup(func() { kubectl(t, "delete", "namespace", "timed", "--wait=false") })
	for _, file := range []string{"db", "backend", "frontend"} {
		apply(t, "timed", manifest(t, file))
	}
	for _, workload := range []string{"frontend", "backend", "db"} {
		kubectl(t, "-n", "timed", "rollout", "status", "deployment/"+workload, "--timeout=180s")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, labctl(t), "check", "timed", "--watch")
	cmd.Env = env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go scan(stdout, lines)
	await(t, lines, "passed\tdb-is-internal")
	var took []time.Duration
	for range changes {
		apply(t, "timed", service("db", `{selector: {app: nobody}, ports: [{port: 5432}]}`))
		await(t, lines, "failed\tdb-is-internal")
		apply(t, "timed", service("db", `{selector: {app: db}, ports: [{port: 5432}]}`))
		applied := time.Now()
		await(t, lines, "passed\tdb-is-internal")
		took = append(took, time.Since(applied))
	}
	slices.Sort(took)
	t.Logf("from apply to verdict, %d changes: median %s, slowest %s", len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its code is looked at instead
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("after Ctrl-C exit code %d, want 130", code)
	}
}

func scan(from io.Reader, lines chan<- string) {
	defer close(lines)
	for s := bufio.NewScanner(from); s.Scan(); {
		lines <- s.Text()
	}
}

// await reads until a line begins as wanted.
func await(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	var seen []string
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("ended without %q:\n%s", want, strings.Join(seen, "\n"))
			}
			if strings.HasPrefix(line, want) {
				return
			}
			seen = append(seen, line)
		case <-limit:
			t.Fatalf("no %q:\n%s", want, strings.Join(seen, "\n"))
		}
	}
}
