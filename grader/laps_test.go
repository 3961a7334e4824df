package grader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/telemetry/telemetrytest"
)

// childVariable makes the test's own program a grader process.
const childVariable = "LABCTL_TEST_GRADER"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, "level=DEBUG msg=api")
	task, err := ReadTask(os.Stdin)
	if err == nil {
		session := newWorld().session(childChecks()...)
		err = RunSuite(task, session.Lab, func(context.Context) (*Session, error) { return session, nil })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// childChecks pass, fail and are skipped.
func childChecks() []lab.Check {
	failing := nodePort("all")
	skipping := spread()
	skipping.DependsOn = []string{failing.ID}
	checks := []lab.Check{dbInternal(), failing, skipping}
	for i := range checks {
		checks[i].Title, checks[i].Step = "check "+checks[i].ID, "one"
	}
	return checks
}

// willing is a cluster that takes everything but what its policies refuse.
type willing struct {
	API
	refuses error
}

func (w *willing) Namespaces(context.Context, string) ([]corev1.Namespace, error) { return nil, nil }
func (w *willing) CreateNamespace(context.Context, string, map[string]string, map[string]string) error {
	return nil
}
func (w *willing) Install(context.Context, []*unstructured.Unstructured) error { return nil }
func (w *willing) Discard(context.Context, string) error                       { return nil }
func (w *willing) ApplyAs(context.Context, string, string, []*unstructured.Unstructured) error {
	return w.refuses
}

func (w *willing) Try(_ context.Context, _, _ string, o *unstructured.Unstructured) error {
	if _, external, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "externalIPs"); external || o.GetKind() == "Pod" || len(o.GetFinalizers()) > 0 {
		return errors.New("submission-services.labctl.dev submission-metadata.labctl.dev submission-pods.labctl.dev")
	}
	return nil
}

func graded(ctx context.Context, t *testing.T, api API) (result.Report, error) {
	t.Helper()
	r, _, err := gradedBy(ctx, t, api)
	return r, err
}

// inChild is a grading whose grader process is the test's own program.
func inChild(api API) *Grading {
	return &Grading{
		API: api, Lab: newWorld().session(childChecks()...).Lab, Begin: func(string) func(error) { return func(error) {} },
		Command: func(ctx context.Context) *exec.Cmd {
			child := exec.CommandContext(ctx, os.Args[0])
			child.Env = append(os.Environ(), childVariable+"=1")
			return child
		},
	}
}

func TestTheGraderProcessesLogIsHandedOn(t *testing.T) {
	var trace bytes.Buffer
	g := inChild(&willing{})
	g.Trace = &trace
	if _, err := g.Run(t.Context()); err != nil || trace.String() != "level=DEBUG msg=api\n" {
		t.Errorf("%q, %v", trace.String(), err)
	}
}

// gradedBy also returns what the grader process was told.
func gradedBy(ctx context.Context, t *testing.T, api API) (result.Report, *bytes.Reader, error) {
	t.Helper()
	g := inChild(api)
	var child *exec.Cmd
	start := g.Command
	g.Command = func(ctx context.Context) *exec.Cmd {
		child = start(ctx)
		return child
	}
	r, err := g.Run(ctx)
	if errClean := g.Clean(ctx); errClean != nil {
		t.Error(errClean)
	}
	if child == nil {
		return r, nil, err
	}
	return r, child.Stdin.(*bytes.Reader), err
}

// A grading is traced stage by stage, and what the grader process did is a part of it.
func TestGradingIsTraced(t *testing.T) {
	ctx, spans := telemetrytest.Record(t.Context())
	watched := map[telemetry.Stage]int{}
	ctx, root := telemetry.Start(telemetry.Watch(ctx, func(s telemetry.Stage, _ time.Duration) { watched[s]++ }), "submission")
	r, err := graded(ctx, t, &willing{})
	root.End(err)
	if err != nil || r.Count(result.Passed) != 1 || r.Count(result.Failed) != 1 || r.Count(result.Skipped) != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	for _, s := range spans() {
		if s.Failed {
			t.Errorf("what a student gets wrong is an error of ours: %s", s)
		}
	}
	tree := telemetrytest.Tree(spans(), func(s telemetrytest.Span) string { return s.Attributes["labctl.outcome"] })
	lines := strings.Split(strings.TrimSpace(tree), "\n")
	slices.Sort(lines[5:]) // tiers and checks go on at the same time
	want := []string{
		"submission", "  admit", "  apply", "  suite", "    ready",
		"    check db passed", "    check nodeport failed", "      tier backend ready", "      tier db ready", "      tier frontend ready",
		"  remove",
	}
	slices.Sort(want[5:])
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	for _, s := range []telemetry.Stage{telemetry.Admit, telemetry.Apply, telemetry.Suite, telemetry.Ready, telemetry.Remove} {
		if watched[s] != 1 {
			t.Errorf("stage %s was told %d times", s, watched[s])
		}
	}
	if ns := telemetrytest.Named(spans(), "submission")[0].Attributes["k8s.namespace.name"]; !strings.HasPrefix(ns, "labctl-test-") {
		t.Errorf("namespace %q", ns)
	}
}

// A submission that the API server refuses is no error of ours; a cluster that is gone is, and
// neither says what was in the submission.
func TestApplyIsTraced(t *testing.T) {
	for name, tt := range map[string]struct {
		refuses error
		failed  bool
	}{
		"refused": {fault.Inputf("Service annas-db: no"), false},
		"gone":    {fault.Environmentf("apply Service annas-db: the server is gone"), true},
	} {
		ctx, spans := telemetrytest.Record(t.Context())
		if _, err := graded(ctx, t, &willing{refuses: tt.refuses}); !errors.Is(err, tt.refuses) {
			t.Fatal(err)
		}
		s := telemetrytest.Named(spans(), "apply")[0]
		if s.Failed != tt.failed || s.Attributes["labctl.refused"] == "true" == tt.failed {
			t.Errorf("%s: %s", name, s)
		}
		for _, s := range spans() {
			if strings.Contains(s.String(), "annas") {
				t.Errorf("%s: it is in %s", name, s)
			}
		}
	}
}

// Where nobody records, the grader process writes down nothing.
func TestGradingIsNotTimedForNobody(t *testing.T) {
	r, told, err := gradedBy(t.Context(), t, &willing{})
	if err != nil || r.Count(result.Passed) != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	if _, err := told.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if task, err := ReadTask(told); err != nil || task.Report == "" || task.Laps != "" {
		t.Errorf("%+v, %v", task, err)
	}
}

// Of the waits for a tier only the first is a part of the stage; the others are a check's.
func TestLapsAreOrdered(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 11, 1, 12, 0, s, 0, time.UTC) }
	var l laps
	for _, lap := range []telemetry.Lap{
		{Name: "tier db", Began: at(1), Ended: at(9)}, {Name: "check a", Began: at(2), Ended: at(10)},
		{Name: "tier backend", Began: at(0), Ended: at(4), Failed: true}, {Name: "tier db", Began: at(11), Ended: at(30)},
	} {
		l.add(lap)
	}
	name := filepath.Join(t.TempDir(), "laps.json")
	if err := l.write(name); err != nil {
		t.Fatal(err)
	}
	got := readLaps(name)
	if len(got) != 2 || got[0].Stage != telemetry.Ready || !got[0].Began.Equal(at(0)) || !got[0].Ended.Equal(at(9)) ||
		!got[0].Failed || len(got[0].Parts) != 2 || got[1].Name != "check a" {
		t.Errorf("%+v", got)
	}
}
