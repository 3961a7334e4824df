package grader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/result"
)

// settle repeats a round until the verdict passes or is final, or patience ends; the last
// verdict counts. A cluster needs a moment until rules and names have spread, so a first
// failure proves nothing.
//
// Nor does silence on a machine that has more to do than it can: where answers were late and
// processors are wanted by more than they can serve, the round goes on beyond patience, and
// gives answers more time. A refusal is doubted there, too, for a quarter as long: until a node
// that is late has learned of a Service's endpoints, it refuses, or leads to some of the pods
// only. Where somebody waits at a screen, and no marks depend on it, all that gets a quarter of
// the time.
// The Session that a round gets is the one to ask with.
func (s *Session) settle(ctx context.Context, patience time.Duration, round func(context.Context, *Session) (Verdict, error)) (Verdict, error) {
	began := time.Now()
	doubt := s.Timeouts.Strain
	if s.Patience > 0 {
		doubt /= 4
	}
	asking := *s
	for {
		asking.strain = &strain{}
		v, err := round(ctx, &asking)
		if err != nil || v.Status != result.Failed || v.final {
			return v, err
		}
		if v.incomplete {
			asking.strain.miss()
		}
		v.untimely = asking.strain.unanswered()
		if waited := time.Since(began); waited > patience {
			if waited > patience+asking.strain.doubt(s.Timeouts, doubt) {
				return v, nil
			}
			asking.Timeouts.Attempt = strainedAttempts * s.Timeouts.Attempt
		}
		if err := pause(ctx, s.Timeouts.Pause); err != nil {
			return v, nil // out of time: what was last seen is the verdict
		}
	}
}

// errOverloaded says that the machine was too busy for a verdict to the end of all patience.
var errOverloaded = errors.New("the machine has more to do than it can, so that silence proves nothing")

// unlessOverloaded returns the verdict, where it can be one: what did not come in time proves
// nothing where many processes wait for each processor. That is a fault of ours, but for
// somebody at a screen, on whose verdict no marks depend.
func (s *Session) unlessOverloaded(ctx context.Context, v Verdict) (Verdict, error) {
	if v.Status != result.Failed || !v.untimely || s.Patience > 0 {
		return v, nil
	}
	demand, err := s.Places.Demand(context.WithoutCancel(ctx)) // a check may have used up its time
	if err != nil {
		return Verdict{}, fmt.Errorf("%w; before that: %s", err, v.Message)
	}
	if demand.Load > s.Timeouts.Overload {
		return Verdict{}, fault.Environmentf("%w (%s)", errOverloaded, v.Message).
			WithRemedy("grade fewer at a time, as with --concurrency 1, or when the machine has less to do")
	}
	return v, nil
}

// awaitWorkloads waits as the Watcher does, for the time that workloads get; on a machine that
// is too busy by then, for Strain longer. It tells whether that was too short as well.
func (s *Session) awaitWorkloads(ctx context.Context, cond func(*kube.State) (done bool, why string)) (overworked bool, err error) {
	for _, patience := range []time.Duration{s.readyTimeout(), s.Timeouts.Strain} {
		within, cancel := context.WithTimeout(ctx, patience)
		_, err = s.Watcher.Await(within, cond)
		cancel()
		if err == nil || !overdue(err) || s.Patience > 0 {
			return false, err
		}
		busy, unknown := s.busy(ctx)
		if unknown != nil {
			return false, unknown
		}
		if !busy {
			return false, err
		}
	}
	return true, err
}

// busy tells whether processes wait too long for a processor now.
func (s *Session) busy(ctx context.Context) (bool, error) {
	demand, err := s.Places.Demand(ctx)
	return demand.Pressure > s.Timeouts.Pressure, err
}

// strainedAttempts is how much more time an answer gets on a machine that is too busy.
const strainedAttempts = 4

// strain is what one round tells about the machine. A nil strain notes nothing.
type strain struct {
	mu      sync.Mutex
	late    bool          // some answer did not come in time
	refused bool          // somebody said that there is none
	lag     time.Duration // the most that the probe was kept waiting for a processor
	busy    float64       // the pressure on the processors, in percent
}

func (s *strain) note(results probe.Results) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag, s.busy = max(s.lag, results.Lag), max(s.busy, results.Pressure)
	for _, r := range results.Results {
		for _, at := range r.Attempts {
			// An application tells in its own answer what it waited for in vain.
			s.late = s.late || at.Class == probe.Timeout || inVain(at, probe.Timeout)
			s.refused = s.refused || at.Class != "" || inVain(at, probe.Refused) || inVain(at, probe.DNS)
		}
	}
}

// miss notes that somebody who must answer was not heard.
func (s *strain) miss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = true
}

// unanswered tells whether something was asked for in vain.
func (s *strain) unanswered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late || s.refused
}

// inVain tells whether an application got no answer itself.
func inVain(at probe.Attempt, class probe.Class) bool {
	return at.Status/100 == 5 && strings.Contains(at.Body, `"`+string(class)+`"`)
}

// doubt is for how much longer the machine may be to blame: at most so long for silence, and a
// quarter of it for refusals. The lag alone does not tell: a process that mostly sleeps, as the
// probe does, is soon given a processor even where one that works, as a database does, waits
// long for it.
func (s *strain) doubt(t Timeouts, most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch strained := s.lag > t.Lag || s.busy > t.Pressure; {
	case strained && s.late:
		return most
	case strained && s.refused:
		return most / 4
	}
	return 0
}
