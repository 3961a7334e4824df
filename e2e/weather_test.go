//go:build e2e

package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

const solution = "../labs/10-clusterip/solution"

func goTool(t *testing.T, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out.String())
	}
}

// startGrading starts to grade the solution and returns when its namespace is there. Its
// name tells: a number would not, since the grading sweeps away what others left.
func startGrading(t *testing.T, limit time.Duration, env []string, more ...string) (r *running, namespace string) {
	t.Helper()
	before := gradingNamespaces(t)
	r = startWith(t, limit, env, append([]string{"grade", solution, "--lab", "clusterip"}, more...)...)
	until(t, time.Minute, "the grading has its namespace", func() bool {
		now := gradingNamespaces(t)
		i := slices.IndexFunc(now, func(name string) bool { return !slices.Contains(before, name) })
		if i >= 0 {
			namespace = now[i]
		}
		return i >= 0
	})
	return r, namespace
}

// The API server dies in the middle of grading: no marks are given or taken.
func TestAPIServerDies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	r, _ := startGrading(t, 3*time.Minute, nil, "--json", file)
	// Its process is stopped: an engine cannot always freeze a node with all that runs in it.
	signal := func(name string) {
		engine(t, "exec", cluster()+"-control-plane", "pkill", "-"+name, "-x", "kube-apiserver")
	}
	signal("STOP")
	t.Cleanup(func() {
		signal("CONT")
		until(t, 4*time.Minute, "the cluster is healthy again", func() bool { return run(t, time.Minute, "status").code == 0 })
	})
	notGraded(t, r, file)
}

// notGraded wants a grading to end as a fault of ours: exit code 3 with a reason and a
// remedy, a report that is written, and no marks given or taken.
func notGraded(t *testing.T, r *running, file string) {
	t.Helper()
	o := r.wait(t).want(t, 3)
	if !strings.Contains(o.stderr, "labctl: error: ") || !strings.Contains(o.stderr, "labctl: hint: ") {
		t.Errorf("no reason or no remedy:\n%s", o.stderr)
	}
	got := report(t, file)
	if got.Status != result.Errored || got.Score != 0 || got.Count(result.Failed) != 0 {
		t.Errorf("status %s, score %v, %d failed; want error, no marks, none failed", got.Status, got.Score, got.Count(result.Failed))
	}
}

// Ctrl-C while grading: 130 within five seconds, and the namespace goes away.
func TestInterruptedGrading(t *testing.T) {
	r, namespace := startGrading(t, time.Minute, nil)
	asked := time.Now()
	interrupt(t, r)
	r.wait(t).want(t, 130)
	if took := time.Since(asked); took > 5*time.Second {
		t.Errorf("ended %s after Ctrl-C", took)
	}
	until(t, 10*time.Second, "the namespace is on its way out", func() bool { return !slices.Contains(gradingNamespaces(t), namespace) })
}

// A process that was killed leaves its namespace; the next grading removes it.
func TestKilledGradingIsSwept(t *testing.T) {
	r, namespace := startGrading(t, time.Minute, nil)
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait() // killed, as asked
	grade(t, 0, "clusterip", solution)
	until(t, 10*time.Second, "the left namespace is on its way out", func() bool { return !slices.Contains(gradingNamespaces(t), namespace) })
}

// Two ups of one cluster at once: the second waits, nothing is half made.
func TestTwoUps(t *testing.T) {
	first := start(t, 5*time.Minute, "up")
	second := start(t, 5*time.Minute, "up")
	first.wait(t).want(t, 0)
	second.wait(t).want(t, 0)
	run(t, time.Minute, "status").want(t, 0)
}

// A LoadBalancer that nothing serves is the environment's fault, not the student's.
func TestNoLoadBalancer(t *testing.T) {
	run(t, 5*time.Minute, "up", "--load-balancer", "none").want(t, 0)
	t.Cleanup(func() { run(t, 5*time.Minute, "up", "--load-balancer", "auto").want(t, 0) })
	r, o := grade(t, 3, "loadbalancer", "../labs/30-loadbalancer/solution")
	if r.Status != result.Errored || !strings.Contains(o.stderr, "labctl: hint: ") {
		t.Errorf("status %s\n%s", r.Status, o.stderr)
	}
}

// Two submissions that claim the same node port: the second is told who holds it.
func TestNodePortIsTaken(t *testing.T) {
	_, o := grade(t, 0, "nodeport", "../labs/20-nodeport/solution", "--keep")
	_, kept, _ := strings.Cut(o.stderr, "kept namespace ")
	namespace := strings.Fields(kept)[0]
	t.Cleanup(func() { kubectl(t, "delete", "namespace", namespace) })
	r, o := grade(t, 3, "nodeport", "../labs/20-nodeport/solution")
	if r.Status != result.Errored || !strings.Contains(o.stderr, namespace) {
		t.Errorf("status %s\n%s", r.Status, o.stderr)
	}
}

// An object that the API server refuses is the submission's: named, and nothing is graded.
func TestRefusedObject(t *testing.T) {
	dir := t.TempDir()
	copySolution(t, "10-clusterip", dir)
	file := filepath.Join(dir, "frontend.yaml")
	replaceIn(t, file, "replicas: 2", "replica: 2")
	r, o := grade(t, 2, "clusterip", dir)
	if r.Status != result.Rejected || !strings.Contains(o.stderr, "Deployment/frontend") || !strings.Contains(o.stderr, "replica") {
		t.Errorf("status %s\n%s", r.Status, o.stderr)
	}
}
