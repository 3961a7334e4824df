//go:build e2e

// Package e2e proves labctl on a real cluster, with the built binary. It never skips: what
// it needs (an engine, a cluster made by "labctl up") is a failure where it is missing.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

// labctl is the built binary.
func labctl(t *testing.T) string {
	t.Helper()
	path := os.Getenv("LABCTL")
	if path == "" {
		path = "../bin/labctl"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// cluster is the name of the cluster that the tests run on.
func cluster() string {
	if name := os.Getenv("LABCTL_E2E_CLUSTER"); name != "" {
		return name
	}
	return "labctl"
}

// outcome is what came of one command.
type outcome struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// run runs labctl to its end, at most for the time given.
func run(t *testing.T, limit time.Duration, args ...string) outcome {
	t.Helper()
	return start(t, limit, args...).wait(t)
}

// running is a labctl under way.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	began          time.Time
	cancel         context.CancelFunc
}

func start(t *testing.T, limit time.Duration, args ...string) *running {
	t.Helper()
	return startWith(t, limit, nil, args...)
}

// startWith starts labctl with more variables in its environment.
func startWith(t *testing.T, limit time.Duration, env []string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	r := &running{cmd: exec.CommandContext(ctx, labctl(t), args...), began: time.Now(), cancel: cancel}
	r.cmd.Env = append(append(os.Environ(), "LABCTL_CLUSTER="+cluster()), env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	r.cmd.WaitDelay = time.Second
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *running) wait(t *testing.T) outcome {
	t.Helper()
	defer r.cancel()
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", r.cmd.Args, err, r.stderr.String())
	}
	return outcome{code: r.cmd.ProcessState.ExitCode(), stdout: r.stdout.String(), stderr: r.stderr.String(), took: time.Since(r.began)}
}

// want fails the test where the exit code is another.
func (o outcome) want(t *testing.T, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", o.code, code, o.stdout, o.stderr)
	}
	return o
}

// grade grades a submission and returns its report.
func grade(t *testing.T, code int, lab, submission string, more ...string) (result.Report, outcome) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	o := run(t, 5*time.Minute, append([]string{"grade", submission, "--lab", lab, "--json", file}, more...)...).want(t, code)
	return report(t, file), o
}

func report(t *testing.T, file string) result.Report {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r result.Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func check(t *testing.T, r result.Report, id string) result.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("the report has no check %s", id)
	return result.Check{}
}

// told joins all that a check says.
func told(c result.Check) string {
	parts := []string{c.Message, c.Hint}
	for _, e := range c.Evidence {
		parts = append(parts, e.To, e.Got)
	}
	return strings.Join(parts, "\n")
}

// engineBin is the container engine's command line.
func engineBin() string {
	if bin := os.Getenv("KIND_EXPERIMENTAL_PROVIDER"); bin != "" {
		return bin
	}
	return "docker"
}

// engine runs the container engine's command line.
func engine(t *testing.T, args ...string) string {
	t.Helper()
	bin := engineBin()
	// Cleanups run after the test's own context has ended.
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), bin, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", bin, args, err, out)
	}
	return string(out)
}

// kubectl runs kubectl in the control plane's node.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return engine(t, append([]string{"exec", cluster() + "-control-plane", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"}, args...)...)
}

// until polls a condition.
func until(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-tick.C
	}
}

// gradingNamespaces lists the namespaces that gradings made and that are not going away.
func gradingNamespaces(t *testing.T) []string {
	t.Helper()
	out := kubectl(t, "get", "namespaces", "-l", "labctl.dev/purpose=grade", "-o", `jsonpath={range .items[?(@.status.phase=="Active")]}{.metadata.name}{"\n"}{end}`)
	return strings.Fields(out)
}

func interrupt(t *testing.T, r *running) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

func replaceIn(t *testing.T, file, old, with string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(data), old, with)
	if changed == string(data) {
		t.Fatalf("%s has no %q", file, old)
	}
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}
