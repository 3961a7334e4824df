package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
)

// ErrGone says that the pod to ask from does not exist any more, or is being deleted.
var ErrGone = errors.New("the pod is gone")

// Vantage is a place from which probes are sent.
type Vantage interface {
	// Name is how evidence calls the place: "pod/frontend-7c9", "outside", "node/labctl-worker".
	Name() string
	// Run carries out the plan and returns one Result a probe, in the plan's order. It may
	// carry it out more than once where the answer was lost on the way. A plan without probes
	// tells how the machine is.
	//
	// An error says that the plan could not be carried out: it is ours, of kind Environment,
	// and never the student's. It is ErrGone where the place does not exist any more.
	Run(ctx context.Context, plan Plan) (Results, error)
}

const (
	maxOutput = 16 << 20 // of one reply of the probe program, in bytes
	maxErrors = 4 << 10  // of one run's standard error
	maxTries  = 3
	backoff   = 100 * time.Millisecond // after the first try, and four times as long after each further one
	// overhead is what a reply may take beyond the plan itself.
	overhead = 15 * time.Second
)

// streams are what the probe program reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// place is where the probe program can be run.
type place interface {
	// ready makes sure that the program can be run there. afresh says that the last try
	// failed, so that nothing known before counts. A line to a program that is out of reach
	// since is hung up.
	ready(ctx context.Context, afresh bool) error
	// exec runs the program and waits for its end.
	exec(ctx context.Context, s streams) error
	// line leads to the program that is running there, where there is one.
	line() *line
}

// program is what is run at every place.
func program() []string { return []string{"/probe", "serve"} }

// carryOut runs the plan at the place. Anything that fails on the way there or back is one
// try and no verdict.
func carryOut(ctx context.Context, at place, name string, plan Plan) (Results, error) {
	var failures []error
	pause := backoff
	for try := range maxTries {
		results, err := once(ctx, at, plan, try > 0)
		if err == nil {
			return results, nil
		}
		failures = append(failures, err)
		if final(err) || ctx.Err() != nil || wait(ctx, pause) != nil {
			break
		}
		pause *= 4
	}
	last := failures[len(failures)-1]
	failed := fault.Environmentf("send probes from %s (tried %d times): %w", name, len(failures), last)
	failed.Remedy = fault.RemedyOf(last)
	return Results{}, failed
}

// once runs the plan one time.
func once(ctx context.Context, at place, plan Plan, afresh bool) (Results, error) {
	if err := at.ready(ctx, afresh); err != nil {
		return Results{}, gone(err)
	}
	within, cancel := context.WithTimeout(ctx, plan.longest()+overhead)
	defer cancel()
	results, err := at.line().ask(within, at.exec, plan)
	return results, gone(err)
}

// answers makes sure that the results are the plan's.
func answers(plan Plan, r Results) error {
	if len(r.Results) != len(plan.Probes) {
		return fmt.Errorf("the probe gave %d results for %d probes", len(r.Results), len(plan.Probes))
	}
	for i, result := range r.Results {
		if result.ID != plan.Probes[i].ID {
			return fmt.Errorf("result %d is for probe %q, not %q", i, result.ID, plan.Probes[i].ID)
		}
	}
	return nil
}

// gone turns an error that says the pod is gone into ErrGone.
func gone(err error) error {
	var e interface{ Gone() bool }
	if errors.As(err, &e) && e.Gone() {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}

// final tells whether another try is useless: the place does not exist any more, or the
// program refused the plan, or to run at all. One that was killed (by signal N: exit code
// 128+N) refused nothing.
func final(err error) bool {
	code := 0
	var inPod interface{ CommandExit() int }
	var inContainer *engine.ExitError
	var no refused
	switch {
	case errors.Is(err, ErrGone), errors.As(err, &no):
		return true
	case errors.As(err, &inPod):
		code = inPod.CommandExit()
	case errors.As(err, &inContainer):
		code = inContainer.Code
	}
	return code > 0 && code < 128
}

// wait pauses between two tries.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bounded keeps what is written to it up to a limit, and swallows the rest.
type bounded struct {
	max int

	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p[:min(len(p), b.max-b.buf.Len())])
	return len(p), nil
}

func (b *bounded) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
