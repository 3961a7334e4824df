package grader

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// lossInterval lies between the requests that are sent while a pod is lost.
const lossInterval = 50 * time.Millisecond

// survivesPodLoss deletes one pod behind a Service while requests keep coming. The address
// must not fall silent for long, a replacement must become ready, and it must answer.
//
// Parameters: service, port, via, tier, as for round-trip.
func survivesPodLoss(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	r, err := serviceOf(c.Run.With)
	if err != nil {
		return Verdict{}, err
	}
	pods, trouble, err := s.ready(ctx, r.Tier)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	to, trouble, err := s.route(ctx, r)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	victim := pods[len(pods)-1]
	traffic := s.stream(ctx, r, to)
	if err := s.Cluster.DeletePod(ctx, s.Namespace, victim.Name); err != nil {
		return Verdict{}, fmt.Errorf("delete pod/%s: %w", victim.Name, err)
	}
	now, missing, err := s.awaitReplacement(ctx, r.Tier, victim, len(pods))
	if err != nil {
		return Verdict{}, err
	}
	during, err := traffic.wait(ctx)
	if err != nil || during.err != nil {
		return Verdict{}, errors.Join(err, during.err)
	}
	evidence := []result.Evidence{
		{From: "cluster", To: "pod/" + victim.Name, Got: "deleted", OK: true}, during.evidence(s.Timeouts.Outage),
	}
	switch {
	case during.gap > s.Timeouts.Outage && during.lag > s.Timeouts.Outage/8:
		return Verdict{}, fault.Environmentf("the machine was too busy to judge a silence: the probe itself was kept waiting for %s", millis(during.lag)).
			WithRemedy("let other programs end, then grade again")
	case during.gap > s.Timeouts.Outage:
		v := refuted(fmt.Sprintf("%s was silent for %s after one pod was lost", during.to, millis(during.gap))).with(evidence)
		v.untimely = true
		return v, nil
	case missing != "":
		v := refuted("pod/" + victim.Name + " was lost and nothing replaced it: " + missing).with(evidence)
		v.Hint, v.untimely = "a Deployment replaces pods that are lost; bare Pods are gone for good", true
		return v, nil
	}
	return s.everyoneAnswers(ctx, r, to, now, evidence)
}

// everyoneAnswers asks the Service until all pods of after the loss have answered.
func (s *Session) everyoneAnswers(ctx context.Context, r *lab.Reach, to *route, pods []corev1.Pod, evidence []result.Evidence) (Verdict, error) {
	ask, err := s.asker(ctx, r.Tier, pods)
	if err != nil {
		return Verdict{}, err
	}
	all := *r
	all.Pods = len(pods)
	v, err := s.settle(ctx, s.patience(r), func(ctx context.Context, s *Session) (Verdict, error) {
		v, err := s.reachRound(ctx, to.from, &all, ask, to.ways)
		v.final = false // the lost pod may still answer for a moment
		return v, err
	})
	if v.Status == result.Passed {
		v.Message = "one pod was lost; its replacement is ready and answers"
	}
	return v.with(evidence), err
}

// loss is what clients saw while a pod was lost.
type loss struct {
	to       string
	sent, ok int
	gap      time.Duration // the longest time without an answer
	lag      time.Duration // the longest that the probe itself was kept waiting
	err      error         // ours
}

func (l loss) evidence(limit time.Duration) result.Evidence {
	return result.Evidence{
		From: "outside", To: l.to, Want: "no silence of more than " + limit.String(),
		Got: fmt.Sprintf("%d of %d requests answered, longest silence %s", l.ok, l.sent, millis(l.gap)),
		OK:  l.gap <= limit, Count: l.sent,
	}
}

// stream begins to send requests one after the other, for as long as an outage that
// counts would last and a little more.
func (s *Session) stream(ctx context.Context, r *lab.Reach, to *route) *future[loss] {
	w := to.ways[0]
	address := w.host + ":" + strconv.Itoa(w.port)
	ask := &asker{tier: lab.Tier{Name: r.Tier}, nonce: s.Nonce}
	p := ask.probe("", w.host, w.port)
	p.Serial, p.Interval, p.Timeout = true, lossInterval, s.Timeouts.Attempt/4
	p.Attempts = int(s.Timeouts.Outage * 3 / 2 / lossInterval)
	return begin(func() loss {
		answers, err := s.round(ctx, to.from, []question{{probe: p, to: "http://" + address + "/whoami", judge: s.someone}})
		if err != nil {
			return loss{err: err}
		}
		return tally(answers[0])
	})
}

// tally finds the longest time between two answers.
func tally(a asked) loss {
	l := loss{to: a.to, sent: len(a.attempts), lag: a.lag}
	var last time.Time
	for i, at := range a.attempts {
		end := at.Start.Add(at.Duration)
		if last.IsZero() {
			last = at.Start
		}
		if a.judged[i].why == "" {
			l.ok++
			l.gap = max(l.gap, end.Sub(last))
			last = end
		} else if i == len(a.attempts)-1 {
			l.gap = max(l.gap, end.Sub(last))
		}
	}
	return l
}

// awaitReplacement waits until as many pods are ready as before, without the victim.
func (s *Session) awaitReplacement(ctx context.Context, tier string, victim corev1.Pod, want int) (pods []corev1.Pod, missing string, err error) {
	t, _ := s.Lab.Tier(tier)
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Replace)
	defer cancel()
	var last census
	_, err = s.Watcher.Await(ctx, func(st *kube.State) (bool, string) {
		last = s.census(st, t)
		gone := true
		for _, p := range last.pods {
			gone = gone && p.UID != victim.UID
		}
		return gone && len(last.pods) >= want, last.why
	})
	if overdue(err) {
		return nil, fmt.Sprintf("%d of %d pods ready after %s", len(last.pods), want, s.Timeouts.Replace), nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("wait for the replacement of pod/%s: %w", victim.Name, err)
	}
	return last.pods, "", nil
}
