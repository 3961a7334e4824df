package trace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/grader/probe"
)

// What was just applied may still be spreading: a request that fails is sent again.
const (
	tries = 3
	again = 400 * time.Millisecond
)

// shot is one request, and what came of it.
type shot struct {
	probe probe.Probe
	judge func(probe.Attempt) answer
	answer
	sent bool
}

// answer is what a request met.
type answer struct {
	ok       bool
	pod      string // who answered, where that is known
	why      string // why it counts for nothing
	stranger bool   // somebody answered who is none of the Service's pods
	class    probe.Class
	took     time.Duration
	records  []string
}

// batch collects requests, so that all from one place are sent by one call.
type batch struct {
	timeout         time.Duration
	inside, outside []*shot
}

func (b *batch) fromPod(p probe.Probe, judge func(probe.Attempt) answer) *shot {
	s := &shot{probe: p, judge: judge}
	b.inside = append(b.inside, s)
	return s
}

func (b *batch) fromOutside(p probe.Probe, judge func(probe.Attempt) answer) *shot {
	s := &shot{probe: p, judge: judge}
	b.outside = append(b.outside, s)
	return s
}

// run sends everything, from both places at the same time. Without a client those from
// inside are left out.
func (b *batch) run(ctx context.Context, places grader.Places, clients []corev1.Pod) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.send(ctx, places.Outside, b.outside) })
	group.Go(func() error {
		var last error
		for _, c := range clients {
			err := b.send(ctx, places.Pod(c.Name), b.inside)
			if !errors.Is(err, probe.ErrGone) {
				return err
			}
			last = err // it went away meanwhile: ask from another
		}
		return last
	})
	return group.Wait()
}

func (b *batch) send(ctx context.Context, from probe.Vantage, shots []*shot) error {
	if len(shots) == 0 {
		return nil
	}
	var plan probe.Plan
	for i, s := range shots {
		s.probe.ID, s.probe.Timeout = fmt.Sprint(i), b.timeout
		s.probe.Attempts, s.probe.Serial, s.probe.Interval, s.probe.Until = tries, true, again, probe.UntilOK
		plan.Probes = append(plan.Probes, s.probe)
	}
	results, err := from.Run(ctx, plan)
	if err != nil {
		return fmt.Errorf("trace from %s: %w", from.Name(), err)
	}
	if len(results.Results) != len(shots) {
		return fmt.Errorf("trace from %s: %d results for %d probes", from.Name(), len(results.Results), len(shots))
	}
	for i, r := range results.Results {
		if len(r.Attempts) == 0 {
			continue
		}
		last := r.Attempts[len(r.Attempts)-1]
		shots[i].answer, shots[i].sent = shots[i].judge(last), true
		shots[i].took = last.Duration
	}
	return nil
}

// failure says in words what a request met that got no answer.
func (s *shot) failure() string {
	switch {
	case !s.sent:
		return "not tried"
	case s.class != "":
		return fmt.Sprintf("%s after %d ms", s.class, s.took.Milliseconds())
	}
	return s.why
}

// connected accepts any connection: it proves no identity.
func connected(at probe.Attempt) answer {
	if at.Class != "" {
		return answer{class: at.Class, why: string(at.Class)}
	}
	return answer{ok: true}
}

// resolved accepts any record.
func resolved(at probe.Attempt) answer {
	if at.Class != "" || len(at.Records) == 0 {
		return answer{class: probe.DNS, why: "the name does not resolve"}
	}
	return answer{ok: true, records: at.Records}
}

// identified accepts the answers of an identifier's pods.
func identified(i *grader.Identifier) func(probe.Attempt) answer {
	return func(at probe.Attempt) answer {
		pod, why, stranger := i.Judge(at)
		return answer{ok: why == "", pod: pod, why: why, stranger: stranger, class: at.Class}
	}
}
