package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
)

// answer is what one run of the probe program does.
type answer func(ctx context.Context, plan Plan, stdout, stderr io.Writer) error

// pods is a fake PodExec whose runs give the answers one after the other, the last for ever.
type pods struct {
	mu      sync.Mutex
	ensure  error
	answers []answer
	runs    int
}

func (p *pods) EnsureProbe(context.Context, string, string) (string, error) {
	return "labctl-probe", p.ensure
}

func (p *pods) Exec(ctx context.Context, namespace, pod, container string, cmd []string,
	stdin io.Reader, stdout, stderr io.Writer,
) error {
	if got := fmt.Sprint(namespace, pod, container, cmd); got != "nspodlabctl-probe[/probe run]" {
		return fmt.Errorf("unexpected exec: %s", got)
	}
	var plan Plan
	if err := json.NewDecoder(stdin).Decode(&plan); err != nil {
		return err
	}
	p.mu.Lock()
	next := p.answers[min(p.runs, len(p.answers)-1)]
	p.runs++
	p.mu.Unlock()
	return next(ctx, plan, stdout, stderr)
}

func good(_ context.Context, plan Plan, stdout, _ io.Writer) error {
	var r Results
	for _, p := range plan.Probes {
		r.Results = append(r.Results, Result{ID: p.ID, Attempts: []Attempt{{Status: 200}}})
	}
	return json.NewEncoder(stdout).Encode(r)
}

func says(stdout string) answer {
	return func(_ context.Context, _ Plan, w, _ io.Writer) error {
		_, err := io.WriteString(w, stdout)
		return err
	}
}

func fails(err error, said string) answer {
	return func(_ context.Context, _ Plan, _, stderr io.Writer) error {
		_, _ = io.WriteString(stderr, said)
		return err
	}
}

type exited int

func (e exited) Error() string    { return fmt.Sprintf("exit code %d", int(e)) }
func (e exited) CommandExit() int { return int(e) }

type vanished struct{}

func (vanished) Error() string { return "pod ns/pod is gone: deleted" }
func (vanished) Gone() bool    { return true }

func onePlan() Plan {
	return Plan{Probes: []Probe{{ID: "a", Kind: TCP, Target: "x:1"}, {ID: "b", Kind: TCP, Target: "x:2"}}}
}

func TestPodRun(t *testing.T) {
	lost := errors.New("connection lost")
	tests := map[string]struct {
		answers []answer
		ensure  error
		runs    int
		wrong   string // in the error; "" for none
		is      error
	}{
		"at once":                      {answers: []answer{good}, runs: 1},
		"transport failure once":       {answers: []answer{fails(lost, ""), good}, runs: 2},
		"transport failure for ever":   {answers: []answer{fails(lost, "")}, runs: 3, wrong: "tried 3 times", is: lost},
		"broken JSON, then good":       {answers: []answer{says(`{"results":[{"id`), good}, runs: 2},
		"nothing at all":               {answers: []answer{says("")}, runs: 3, wrong: "read the probe's results"},
		"too few results":              {answers: []answer{says(`{"results":[]}`)}, runs: 3, wrong: "0 results for 2 probes"},
		"results of another plan":      {answers: []answer{says(`{"results":[{"id":"a"},{"id":"c"}]}`)}, runs: 3, wrong: `probe "c"`},
		"too much output":              {answers: []answer{says(strings.Repeat("x", maxOutput+1)), good}, runs: 2},
		"plan refused":                 {answers: []answer{fails(exited(1), "probe: error: no target")}, runs: 1, wrong: "no target", is: exited(1)},
		"killed, then good":            {answers: []answer{fails(exited(137), ""), good}, runs: 2},
		"pod gone before the probe":    {answers: []answer{good}, ensure: vanished{}, runs: 0, wrong: "deleted", is: ErrGone},
		"pod gone during the probe":    {answers: []answer{fails(vanished{}, "")}, runs: 1, wrong: "deleted", is: ErrGone},
		"probe cannot be put into pod": {answers: []answer{good}, ensure: lost, runs: 0, wrong: "tried 3 times", is: lost},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &pods{answers: tt.answers, ensure: tt.ensure}
				r, err := Pod(c, "ns", "pod").Run(t.Context(), onePlan())
				if c.runs != tt.runs {
					t.Errorf("ran %d times, want %d", c.runs, tt.runs)
				}
				if tt.wrong == "" {
					if err != nil || len(r.Results) != 2 || r.Results[1].ID != "b" {
						t.Fatalf("got %v, %v", r, err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.Contains(err.Error(), "pod/pod") {
					t.Fatalf("error %v, want one with %q that names the pod", err, tt.wrong)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("error %v is not %v", err, tt.is)
				}
				if fault.KindOf(err) != fault.Environment {
					t.Errorf("kind %d: not ours", fault.KindOf(err))
				}
			})
		})
	}
}

func TestEmptyPlanAsksNobody(t *testing.T) {
	c := &pods{ensure: errors.New("must not be asked")}
	if r, err := Pod(c, "ns", "pod").Run(t.Context(), Plan{}); err != nil || len(r.Results) != 0 {
		t.Fatalf("got %v, %v", r, err)
	}
}

func TestHungRunIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context, _ Plan, _, _ io.Writer) error { <-ctx.Done(); return ctx.Err() }
		c := &pods{answers: []answer{hangs, good}}
		start := time.Now()
		if _, err := Pod(c, "ns", "pod").Run(t.Context(), onePlan()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Minute || c.runs != 2 {
			t.Errorf("took %s and %d runs", took, c.runs)
		}
	})
}

func TestContextEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := &pods{answers: []answer{func(ctx context.Context, _ Plan, _, _ io.Writer) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}}}
		_, err := Pod(c, "ns", "pod").Run(ctx, onePlan())
		if !errors.Is(err, context.Canceled) || c.runs != 1 {
			t.Errorf("got %v after %d runs", err, c.runs)
		}
	})
}

func TestFinalLooksOnlyAtTheCommandsOwnExit(t *testing.T) {
	for err, want := range map[error]bool{
		&engine.ExitError{Cmd: []string{"/probe"}, Code: 1}:   true,
		&engine.ExitError{Cmd: []string{"/probe"}, Code: 137}: false,
		&engine.CommandError{Args: []string{"docker"}}:        false,
	} {
		if got := final(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("final(%v) = %v", err, got)
		}
	}
}

func TestLongest(t *testing.T) {
	tests := map[string]struct {
		plan Plan
		want time.Duration
	}{
		"one with defaults": {Plan{Parallel: 1, Probes: []Probe{{}}}, 4 * time.Second},
		"a series with pauses": {
			Plan{Parallel: 10, Probes: []Probe{{Serial: true, Attempts: 10, Timeout: time.Second, Interval: time.Second}}},
			21 * time.Second,
		},
		"many at once": {Plan{Parallel: 10, Probes: []Probe{{Attempts: 100, Timeout: time.Second}}}, 11 * time.Second},
	}
	for name, tt := range tests {
		if got := tt.plan.longest(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
