package grader

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
)

// question is a probe with the words that evidence uses for it.
type question struct {
	probe probe.Probe
	to    string
	judge func(probe.Attempt) judged
}

// round sends the questions from one place, all at the same time.
func (s *Session) round(ctx context.Context, from probe.Vantage, questions []question) ([]asked, error) {
	plan := probe.Plan{}
	for i, q := range questions {
		q.probe.ID = fmt.Sprint(i)
		if q.probe.Timeout == 0 {
			q.probe.Timeout = s.Timeouts.Attempt
		}
		plan.Probes = append(plan.Probes, q.probe)
	}
	results, err := from.Run(ctx, plan)
	if err != nil {
		return nil, fmt.Errorf("probe from %s: %w", from.Name(), err)
	}
	if len(results.Results) != len(questions) {
		return nil, fmt.Errorf("probe from %s: %d results for %d probes", from.Name(), len(results.Results), len(questions))
	}
	answers := make([]asked, len(questions))
	for i, r := range results.Results {
		a := asked{from: from.Name(), to: questions[i].to, attempts: r.Attempts, lag: results.Lag}
		for _, at := range r.Attempts {
			a.judged = append(a.judged, questions[i].judge(at))
		}
		answers[i] = a
	}
	s.strain.note(results)
	return answers, nil
}

// from returns the vantage point: a pod of the tier, or outside where tier is "".
// The pod only has to run; whether it is ready is another check's matter.
func (s *Session) from(ctx context.Context, tier string) (probe.Vantage, *Verdict, error) {
	if tier == "" {
		return s.Places.Outside, nil, nil
	}
	t, ok := s.Lab.Tier(tier)
	if !ok {
		return nil, nil, fmt.Errorf("the lab has no tier %q", tier)
	}
	running := func(c census) *corev1.Pod { return firstRunning(append(c.pods, c.troubled...), t.Image) }
	last, err := s.awaitCensus(ctx, t, func(c census) bool { return running(c) != nil })
	if err != nil {
		return nil, nil, fmt.Errorf("wait for a pod of %s: %w", tier, err)
	}
	if p := running(last); p != nil {
		return s.Places.Pod(p.Name), nil, nil
	}
	v := s.lacking(ctx, last, fmt.Sprintf("there is no %s pod to ask from: %s", tier, last.why))
	return nil, &v, nil
}

func firstRunning(pods []corev1.Pod, image string) *corev1.Pod {
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodRunning && runs(pods[i].Spec, image) {
			return &pods[i]
		}
	}
	return nil
}
