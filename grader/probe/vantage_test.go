package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
)

// answer is what the probe program does when it is called; an error ends it.
type answer func(ctx context.Context, call Call, stdout, stderr io.Writer) error

// pods is a fake PodExec whose programs give the answers one after the other, the last for ever.
type pods struct {
	ensure  error
	uid     string
	answers []answer

	calls   atomic.Int32
	runs    atomic.Int32 // programs started
	running atomic.Int32
}

func (p *pods) EnsureProbe(context.Context, string, string) (uid, container string, err error) {
	return p.uid, "labctl-probe", p.ensure
}

func (p *pods) Exec(ctx context.Context, namespace, pod, container string, cmd []string,
	stdin io.Reader, stdout, stderr io.Writer,
) error {
	if got := fmt.Sprint(namespace, pod, container, cmd); got != "nspodlabctl-probe[/probe serve]" {
		return fmt.Errorf("unexpected exec: %s", got)
	}
	p.runs.Add(1)
	p.running.Add(1)
	defer p.running.Add(-1)
	return serve(ctx, stdin, stdout, stderr, func() answer {
		return p.answers[min(int(p.calls.Add(1)), len(p.answers))-1]
	})
}

// serve is the fake program: it answers each call at once, in a goroutine of its own.
func serve(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, next func() answer) error {
	ended := make(chan error, 100)
	go func() {
		calls := json.NewDecoder(stdin)
		for {
			var call Call
			if err := calls.Decode(&call); err != nil {
				ended <- nil
				return
			}
			do := next()
			go func() {
				if err := do(ctx, call, stdout, stderr); err != nil {
					ended <- err
				}
			}()
		}
	}()
	select {
	case err := <-ended:
		if errors.Is(err, errEnds) {
			return nil
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errEnds = errors.New("the program ends with exit code 0")

func good(_ context.Context, call Call, stdout, _ io.Writer) error {
	reply := Reply{Number: call.Number}
	for _, p := range call.Plan.Probes {
		reply.Results.Results = append(reply.Results.Results, Result{ID: p.ID, Attempts: []Attempt{{Status: 200}}})
	}
	return json.NewEncoder(stdout).Encode(reply)
}

// replies to the call with the number that is r's beyond it.
func replies(r Reply) answer {
	return func(_ context.Context, call Call, w, _ io.Writer) error {
		r := r
		r.Number += call.Number
		return json.NewEncoder(w).Encode(r)
	}
}

func says(stdout string) answer {
	return func(_ context.Context, _ Call, w, _ io.Writer) error {
		_, _ = io.WriteString(w, stdout)
		return nil
	}
}

func fails(err error, said string) answer {
	return func(_ context.Context, _ Call, _, stderr io.Writer) error {
		_, _ = io.WriteString(stderr, said)
		return err
	}
}

func hangs(context.Context, Call, io.Writer, io.Writer) error { return nil }

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
		calls   int32
		wrong   string // in the error; "" for none
		is      error
	}{
		"at once":                      {answers: []answer{good}, calls: 1},
		"transport failure once":       {answers: []answer{fails(lost, ""), good}, calls: 2},
		"transport failure for ever":   {answers: []answer{fails(lost, "")}, calls: 3, wrong: "tried 3 times", is: lost},
		"broken JSON, then good":       {answers: []answer{says("{\"results\":[{\"id\n"), good}, calls: 2},
		"half a reply, then good":      {answers: []answer{says(`{"results":[{"id`), good}, calls: 2},
		"nothing at all":               {answers: []answer{fails(errEnds, "")}, calls: 3, wrong: "the probe ended"},
		"too few results":              {answers: []answer{replies(Reply{})}, calls: 3, wrong: "0 results for 2 probes"},
		"results of another plan":      {answers: []answer{replies(Reply{Results: Results{Results: []Result{{ID: "a"}, {ID: "c"}}}})}, calls: 3, wrong: `probe "c"`},
		"reply to another call":        {answers: []answer{replies(Reply{Number: 7}), good}, calls: 2},
		"too much output":              {answers: []answer{says(strings.Repeat("x", maxOutput+1)), good}, calls: 2},
		"plan refused":                 {answers: []answer{replies(Reply{Refused: "no target"})}, calls: 1, wrong: "no target", is: refused("no target")},
		"program refuses to run":       {answers: []answer{fails(exited(1), "probe: error: unknown command")}, calls: 1, wrong: "unknown command", is: exited(1)},
		"killed, then good":            {answers: []answer{fails(exited(137), ""), good}, calls: 2},
		"pod gone before the probe":    {answers: []answer{good}, ensure: vanished{}, calls: 0, wrong: "deleted", is: ErrGone},
		"pod gone during the probe":    {answers: []answer{fails(vanished{}, "")}, calls: 1, wrong: "deleted", is: ErrGone},
		"probe cannot be put into pod": {answers: []answer{good}, ensure: lost, calls: 0, wrong: "tried 3 times", is: lost},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := &pods{answers: tt.answers, ensure: tt.ensure}
				r, err := Pods(c, "ns")("pod").Run(t.Context(), onePlan())
				if c.calls.Load() != tt.calls {
					t.Errorf("called %d times, want %d", c.calls.Load(), tt.calls)
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

// How the machine is has to be asked there, too.
func TestAPlanWithoutProbesIsCarriedOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &pods{answers: []answer{replies(Reply{Results: Results{Pressure: 97}})}}
		if r, err := Pods(c, "ns")("pod").Run(t.Context(), Plan{}); err != nil || r.Pressure != 97 {
			t.Fatalf("got %v, %v", r, err)
		}
	})
}

func TestHungRunIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &pods{answers: []answer{hangs, good}}
		start := time.Now()
		if _, err := Pods(c, "ns")("pod").Run(t.Context(), onePlan()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Minute || c.calls.Load() != 2 {
			t.Errorf("took %s and %d calls", took, c.calls.Load())
		}
		if synctest.Wait(); c.running.Load() != 1 {
			t.Errorf("%d programs are running", c.running.Load())
		}
	})
}

func TestContextEndsRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := &pods{answers: []answer{func(context.Context, Call, io.Writer, io.Writer) error {
			cancel()
			return nil
		}, good}}
		pod := Pods(c, "ns")("pod")
		_, err := pod.Run(ctx, onePlan())
		if !errors.Is(err, context.Canceled) || c.calls.Load() != 1 {
			t.Errorf("got %v after %d calls", err, c.calls.Load())
		}
		if _, err := pod.Run(t.Context(), onePlan()); err != nil || c.runs.Load() != 1 {
			t.Errorf("who gave up took the program along: %v, %d programs", err, c.runs.Load())
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
