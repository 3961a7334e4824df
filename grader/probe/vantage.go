package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
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
	// carry it out more than once where the answer was lost on the way.
	//
	// An error says that the plan could not be carried out: it is ours, of kind Environment,
	// and never the student's. It is ErrGone where the place does not exist any more.
	Run(ctx context.Context, plan Plan) (Results, error)
}

const (
	maxOutput = 16 << 20 // of one run of the probe program, in bytes
	maxErrors = 4 << 10  // of its standard error
	maxTries  = 3
	backoff   = 100 * time.Millisecond // after the first try, and four times as long after each further one
	// overhead is what one run may take beyond the plan itself.
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
	// failed, so that nothing known before counts.
	ready(ctx context.Context, afresh bool) error
	exec(ctx context.Context, cmd []string, s streams) error
}

// carryOut runs the plan at the place. Anything that fails on the way there or back is one
// try and no verdict.
func carryOut(ctx context.Context, at place, name string, plan Plan) (Results, error) {
	if len(plan.Probes) == 0 {
		return Results{}, nil
	}
	body, err := json.Marshal(plan)
	if err != nil {
		return Results{}, fmt.Errorf("encode the plan: %w", err)
	}
	var failures []error
	pause := backoff
	for try := range maxTries {
		results, err := once(ctx, at, plan, body, try > 0)
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
func once(ctx context.Context, at place, plan Plan, body []byte, afresh bool) (Results, error) {
	if err := at.ready(ctx, afresh); err != nil {
		return Results{}, gone(err)
	}
	within, cancel := context.WithTimeout(ctx, plan.longest()+overhead)
	defer cancel()
	out, errs := &bounded{max: maxOutput}, &bounded{max: maxErrors}
	err := at.exec(within, []string{"/probe", "run"}, streams{in: bytes.NewReader(body), out: out, err: errs})
	if said := strings.TrimSpace(errs.buf.String()); err != nil && said != "" && !strings.Contains(err.Error(), said) {
		err = fmt.Errorf("%w: %s", err, said)
	}
	if err != nil {
		return Results{}, gone(err)
	}
	return decode(plan, out)
}

// decode reads the program's output and makes sure that it answers the plan.
func decode(plan Plan, out *bounded) (Results, error) {
	var results Results
	if out.cut {
		return results, fmt.Errorf("the probe wrote more than %d bytes", out.max)
	}
	if err := json.Unmarshal(out.buf.Bytes(), &results); err != nil {
		return Results{}, fmt.Errorf("read the probe's results: %w", err)
	}
	if len(results.Results) != len(plan.Probes) {
		return Results{}, fmt.Errorf("the probe gave %d results for %d probes", len(results.Results), len(plan.Probes))
	}
	for i, r := range results.Results {
		if r.ID != plan.Probes[i].ID {
			return Results{}, fmt.Errorf("result %d is for probe %q, not %q", i, r.ID, plan.Probes[i].ID)
		}
	}
	return results, nil
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
// program ran and refused the plan. One that was killed (by signal N: exit code 128+N) refused nothing.
func final(err error) bool {
	code := 0
	var inPod interface{ CommandExit() int }
	var inContainer *engine.ExitError
	switch {
	case errors.Is(err, ErrGone):
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
	buf bytes.Buffer
	max int
	cut bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.max - b.buf.Len()
	if len(p) > room {
		b.cut = true
		b.buf.Write(p[:room])
		return len(p), nil
	}
	return b.buf.Write(p)
}
