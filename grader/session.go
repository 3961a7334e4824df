package grader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/telemetry"
)

// Watcher shows the namespace's objects as they are, and waits until they are as wanted.
type Watcher interface {
	State() *kube.State
	Await(ctx context.Context, cond func(*kube.State) (done bool, why string)) (*kube.State, error)
}

// Cluster is what grading needs of the API beyond watching.
type Cluster interface {
	Env(ctx context.Context, namespace string, pod *corev1.Pod, container string) (map[string]string, error)
	Logs(ctx context.Context, namespace, pod, container string, tail int64) (string, error)
	DeletePod(ctx context.Context, namespace, name string) error
	// Restart rolls a workload ("Deployment", "StatefulSet") out anew, as it is.
	Restart(ctx context.Context, namespace, kind, name string) error
}

// Session is one lab being graded in one namespace.
type Session struct {
	Lab       *lab.Lab
	Namespace string
	Cluster   Cluster
	Watcher   Watcher
	Places    Places
	// Answers are the submission's to the lab's questions, by the check's id.
	Answers map[string][]string
	// IsImage tells whether a pod status's imageID is that of the fixture image.
	IsImage func(image, imageID string) bool
	// Nonce is the value that this run chose; it comes back in every answer that counts.
	Nonce    string
	Timeouts Timeouts
	// Patience, where it is not 0, is how long workloads get to become ready, whatever the
	// lab says: somebody who waits at a screen is told soon what is missing.
	Patience time.Duration
	// Known are verdicts that still hold: these checks are not carried out again.
	Known map[string]Verdict
	// Timed, where it is not nil, is told what took how long. It is called by several goroutines
	// at once.
	Timed func(telemetry.Lap)

	tiers    map[string]*future[tierState]
	verdicts map[string]*future[Verdict]
	strain   *strain // of the round that is under way; nil outside settle
	giveUp   context.CancelCauseFunc
}

// future is a value that is computed once and awaited by many.
type future[T any] struct {
	done  chan struct{}
	value T
}

func begin[T any](compute func() T) *future[T] {
	f := &future[T]{done: make(chan struct{})}
	go func() {
		defer close(f.done)
		f.value = compute()
	}()
	return f
}

func (f *future[T]) wait(ctx context.Context) (T, error) {
	select {
	case <-f.done:
		return f.value, nil
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// Start begins the checks with the ids and those that they depend on, all at the same
// time as far as their dependencies allow and none disturbs the others. They end when ctx does,
// or when one of them finds the machine overloaded: there are no marks then, whatever the others find.
func (s *Session) Start(ctx context.Context, ids []string) {
	ctx, s.giveUp = context.WithCancelCause(ctx)
	s.await(ctx)
	// The map is complete before anything reads it; closed lets the checks go.
	closed := make(chan struct{})
	s.verdicts = map[string]*future[Verdict]{}
	started := s.closure(ids)
	for _, id := range started {
		c, _ := s.Lab.Check(id)
		if v, known := s.Known[id]; known {
			s.verdicts[id] = begin(func() Verdict { return v })
			continue
		}
		turn := s.turn(started, c)
		s.verdicts[id] = begin(func() Verdict {
			<-closed
			return s.check(ctx, c, turn)
		})
	}
	close(closed)
}

// await begins to wait for every tier of the lab.
func (s *Session) await(ctx context.Context) {
	s.tiers = map[string]*future[tierState]{}
	began := time.Now()
	for _, t := range s.Lab.Tiers {
		s.tiers[t.Name] = begin(func() tierState {
			st := s.awaitTier(ctx, t)
			s.timed(tierLap+t.Name, began, st.outcome(), st.err != nil)
			return st
		})
	}
}

// turn lists the checks that must have ended before this one may begin, whatever became of
// them. Checks that disturb go one after the other in the lab's order, behind all calm ones
// but those that depend on a disturbance; these go between. Every check but the calm ones,
// which wait for nothing here, waits for earlier ones and calm ones only: there is no cycle.
func (s *Session) turn(started []string, c lab.Check) []string {
	late := s.afterDisturbance(c)
	if !disturbs(c) && !late {
		return nil
	}
	var before []string
	earlier := true
	for _, id := range started {
		other, _ := s.Lab.Check(id)
		earlier = earlier && id != c.ID
		calm := !disturbs(other) && !s.afterDisturbance(other)
		switch {
		case id == c.ID:
		case disturbs(c) && (calm || earlier), !disturbs(c) && earlier && disturbs(other):
			before = append(before, id)
		}
	}
	return before
}

// afterDisturbance tells whether the check depends on one that disturbs.
func (s *Session) afterDisturbance(c lab.Check) bool {
	return slices.ContainsFunc(s.Lab.Checks, func(o lab.Check) bool {
		return disturbs(o) && s.Lab.DependsOn(c.ID, o.ID)
	})
}

// Await returns the verdict on a check that was started.
func (s *Session) Await(ctx context.Context, id string) Verdict {
	f, ok := s.verdicts[id]
	if !ok {
		return ours(fmt.Errorf("check %s was not started", id))
	}
	v, err := f.wait(ctx)
	if err != nil {
		return ours(fmt.Errorf("wait for check %s: %w", id, err))
	}
	return v
}

// closure returns ids and all that they depend on, in the lab's order.
func (s *Session) closure(ids []string) []string {
	wanted := map[string]bool{}
	checks := s.Lab.Checks
	for i := len(checks) - 1; i >= 0; i-- { // dependencies are listed earlier
		if slices.Contains(ids, checks[i].ID) || wanted[checks[i].ID] {
			wanted[checks[i].ID] = true
			for _, d := range checks[i].DependsOn {
				wanted[d] = true
			}
		}
	}
	var all []string
	for _, c := range checks {
		if wanted[c.ID] {
			all = append(all, c.ID)
		}
	}
	return all
}

// check gives the verdict on one check: skipped where a dependency did not pass, tried
// again where the fault is ours. It begins when those of its turn have ended.
func (s *Session) check(ctx context.Context, c lab.Check, turn []string) Verdict {
	for _, d := range c.DependsOn {
		if v := s.Await(ctx, d); v.Status != result.Passed {
			return skipped(d)
		}
	}
	for _, id := range turn {
		s.Await(ctx, id)
	}
	start := time.Now()
	within, cancel := context.WithTimeout(ctx, s.budget(c))
	defer cancel()
	v := s.attempt(within, c)
	v.Seconds = time.Since(start).Seconds()
	s.timed("check "+c.ID, start, string(v.Status), v.Status == result.Error)
	if disturbs(c) {
		s.await(ctx) // the pods are others now; nobody else looks at them in this moment
	}
	return v
}

func (s *Session) attempt(ctx context.Context, c lab.Check) Verdict {
	run := runnerOf(c)
	if run == nil {
		return ours(fmt.Errorf("no check in Go is called %q", c.Run.Name))
	}
	for try := 1; ; try++ {
		v, err := run(ctx, s, c)
		if err == nil {
			v, err = s.unlessOverloaded(ctx, v)
		}
		if given := context.Cause(ctx); errors.Is(given, errOverloaded) {
			return ours(fmt.Errorf("not carried out to the end, since another check found out: %w", given))
		}
		if err == nil {
			return v
		}
		if errors.Is(err, errOverloaded) {
			s.giveUp(err)
			return ours(err)
		}
		if try == s.Timeouts.Retries || ctx.Err() != nil {
			return ours(err)
		}
		if pause(ctx, s.Timeouts.Pause) != nil {
			return ours(err)
		}
		if disturbs(c) {
			s.await(ctx) // the try before may have replaced pods already
		}
	}
}

// budget is what a check may take in all, waiting for its workloads included.
func (s *Session) budget(c lab.Check) time.Duration {
	check := time.Duration(c.Timeout)
	if check == 0 {
		check = s.Timeouts.Check
	}
	return s.readyTimeout() + check + s.Timeouts.Address + s.Timeouts.SettleBalancer + 2*s.Timeouts.Strain
}

func (s *Session) readyTimeout() time.Duration {
	if s.Patience > 0 {
		return s.Patience
	}
	if s.Lab.Ready > 0 {
		return time.Duration(s.Lab.Ready)
	}
	return s.Timeouts.Ready
}

// pause waits between two rounds of a poll.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// runner carries out one kind of check. An error is ours, never the student's.
type runner func(ctx context.Context, s *Session, c lab.Check) (Verdict, error)

// runnerOf returns what carries out the check, or nil where its name is unknown.
func runnerOf(c lab.Check) runner {
	switch {
	case c.Reach != nil:
		return reach
	case c.App != nil:
		return app
	case c.Internal != nil:
		return internal
	case c.Resolve != nil:
		return resolve
	case c.Question != nil && c.Question.Predict != nil:
		return predict
	case c.Question != nil:
		return answer
	case c.Run != nil:
		return named()[c.Run.Name].run
	}
	return nil
}

// namedCheck is a check written in Go that a lab.yaml refers to by name.
type namedCheck struct {
	run runner
	// disturbs says that it changes what other checks look at, so that it has to wait.
	disturbs bool
}

func named() map[string]namedCheck {
	return map[string]namedCheck{
		"round-trip":               {run: roundTrip},
		"survives-pod-loss":        {run: survivesPodLoss, disturbs: true},
		"data-survives-restart":    {run: dataSurvivesRestart, disturbs: true},
		"rolling-update":           {run: rollingUpdate, disturbs: true},
		"tiers-on-different-nodes": {run: tiersApart},
	}
}

// RunNames lists the names that a lab.yaml's run may use, sorted.
func RunNames() []string {
	var names []string
	for name := range named() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func disturbs(c lab.Check) bool {
	return c.Run != nil && named()[c.Run.Name].disturbs
}
