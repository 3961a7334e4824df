package grader

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// dataSurvivesRestart writes a message at the application's outermost address, deletes every
// pod of one tier, waits for those that replace them, and reads the message back: in the
// database's own pod, and through the application.
//
// Parameters: restart (the tier whose pods are deleted), and service, port, nodePort, via,
// from, tier, database as for round-trip.
func dataSurvivesRestart(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	with := c.Run.With
	lost, database := with["restart"], orElse(with["database"], "db")
	r, err := serviceOf(with)
	if err != nil {
		return Verdict{}, err
	}
	var databases, victims []corev1.Pod
	for _, tier := range []string{database, lost, r.Tier} {
		pods, trouble, err := s.ready(ctx, tier)
		if trouble != nil || err != nil {
			return valueOr(trouble, Verdict{}), err
		}
		if tier == database {
			databases = pods
		}
		if tier == lost {
			victims = pods
		}
	}
	to, trouble, err := s.route(ctx, r)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	text := fmt.Sprintf("labctl %s %s", s.Nonce, c.ID)
	written, err := s.settle(ctx, s.patience(r), func(ctx context.Context, s *Session) (Verdict, error) {
		return s.writeAndRead(ctx, to, text, database, databases)
	})
	if err != nil || written.Status != result.Passed {
		return written, err
	}
	gone, trouble, err := s.replaceAll(ctx, lost, victims)
	if err != nil {
		return Verdict{}, err
	}
	evidence := append(written.Evidence, gone...)
	if trouble != nil {
		return trouble.with(evidence), nil
	}
	v, err := s.stillThere(ctx, r, database, text, lost)
	return v.with(evidence), err
}

// replaceAll deletes the pods and waits until as many others are ready. The evidence says
// what was deleted; the verdict is not nil where nothing came in its place.
func (s *Session) replaceAll(ctx context.Context, tier string, victims []corev1.Pod) ([]result.Evidence, *Verdict, error) {
	evidence := make([]result.Evidence, len(victims))
	group, gctx := errgroup.WithContext(ctx)
	for i, p := range victims {
		evidence[i] = result.Evidence{From: "cluster", To: "pod/" + p.Name, Got: "deleted", OK: true}
		group.Go(func() error { return s.Cluster.DeletePod(gctx, s.Namespace, p.Name) })
	}
	if err := group.Wait(); err != nil {
		return nil, nil, fmt.Errorf("delete the pods of %s: %w", tier, err)
	}
	t, _ := s.Lab.Tier(tier)
	wait, cancel := context.WithTimeout(ctx, s.Timeouts.Rollout)
	defer cancel()
	var last census
	back := false
	_, err := s.Watcher.Await(wait, func(st *kube.State) (bool, string) {
		last = s.census(st, t)
		back = len(last.pods) >= len(victims) && !anyOf(last.pods, victims)
		return back || last.hopeless, last.why
	})
	switch {
	case back:
		return evidence, nil, nil
	case err != nil && (ctx.Err() != nil || !overdue(err)):
		return nil, nil, fmt.Errorf("wait for new pods of %s: %w", tier, err)
	}
	v := s.lacking(ctx, last, fmt.Sprintf("all pods of %s were lost, and %d of %d came back: %s", tier, len(last.pods), len(victims), last.why))
	v.Hint = "a Deployment replaces pods that are lost; bare Pods are gone for good"
	return evidence, &v, nil
}

// anyOf tells whether one of the pods is among the others.
func anyOf(pods, others []corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(p corev1.Pod) bool {
		return slices.ContainsFunc(others, func(o corev1.Pod) bool { return o.UID == p.UID })
	})
}

// stillThere looks for the message in the database and through the application, until both
// have it or patience ends: the new pods need a moment to find each other.
func (s *Session) stillThere(ctx context.Context, r *lab.Reach, database, text, lost string) (Verdict, error) {
	to, trouble, err := s.route(ctx, r) // the pod that was asked from may be among the lost
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	t, _ := s.Lab.Tier(database)
	return s.settle(ctx, s.patience(r), func(ctx context.Context, s *Session) (Verdict, error) {
		now := s.census(s.Watcher.State(), t)
		if len(now.pods) == 0 {
			v := failed("no pod of "+database+" is ready: "+now.why, observed("pods of "+database, "ready", now.why))
			v.incomplete = true
			return v, nil
		}
		stored, err := s.inDatabase(ctx, now.pods, database, text)
		if err != nil {
			return Verdict{}, err
		}
		shown, err := s.throughApp(ctx, to, text)
		if err != nil {
			return Verdict{}, err
		}
		evidence := append(stored, shown.Evidence...)
		if !stored[len(stored)-1].OK {
			v := failed("the message that was written before the pods of " + lost + " were lost is in no database any more").with(evidence)
			v.Hint = "what a pod keeps in its own files goes with the pod: where does the database run, and on what volume are its files?"
			return v, nil
		}
		if shown.Status != result.Passed {
			shown.Evidence = evidence
			return shown, nil
		}
		return passed(fmt.Sprintf("a message outlived all pods of %s: it was read in the database and through the application", lost), evidence), nil
	})
}

// inDatabase looks for the text in each database pod and ends at the first that has it.
func (s *Session) inDatabase(ctx context.Context, pods []corev1.Pod, tier, text string) ([]result.Evidence, error) {
	var evidence []result.Evidence
	for _, p := range pods {
		e, err := s.readBack(ctx, p, tier, text)
		if err != nil {
			return nil, err
		}
		evidence = append(evidence, e)
		if e.OK {
			break
		}
	}
	return evidence, nil
}

// throughApp reads the newest messages by every way at once; one that shows the text suffices.
func (s *Session) throughApp(ctx context.Context, to *route, text string) (Verdict, error) {
	shows := func(at probe.Attempt) judged {
		switch {
		case at.Class != "":
			return judged{why: fmt.Sprintf("%s after %s", at.Class, millis(at.Duration))}
		case at.Status != 200:
			return judged{why: refusal(at)}
		case !strings.Contains(at.Body, strconv.Quote(text)): // the newest come first
			return judged{why: "the message is not among the newest"}
		case at.Who == nil:
			return judged{why: "an answer without an identity"}
		}
		return judged{pod: at.Who.Pod}
	}
	var questions []question
	for _, w := range to.ways {
		at := "http://" + net.JoinHostPort(w.host, strconv.Itoa(w.port)) + "/api/messages"
		questions = append(questions, question{probe: probe.Probe{Kind: probe.HTTP, Target: at, Timeout: 3 * s.Timeouts.Attempt}, to: at, judge: shows})
	}
	answers, err := s.round(ctx, to.from, questions)
	if err != nil {
		return Verdict{}, err
	}
	best := answers[max(0, slices.IndexFunc(answers, func(a asked) bool { why, _, _ := a.failure(); return why == "" }))]
	best.want = "the message that was written"
	if why, class, _ := best.failure(); why != "" {
		return withClass(failed("the message cannot be read at "+best.to+": "+why).with(best.evidence()), class), nil
	}
	return passed("", best.evidence()), nil
}
