package grader

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// app asks the application in every pod of a tier, from inside that pod, what it reaches.
func app(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	pods, trouble, err := s.ready(ctx, c.App.Tier)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	behind, trouble, err := s.ready(ctx, c.App.Answered)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	ask, err := s.asker(ctx, c.App.Answered, behind)
	if err != nil {
		return Verdict{}, err
	}
	t, _ := s.Lab.Tier(c.App.Tier)
	return s.settle(ctx, s.Timeouts.Settle, func(ctx context.Context, s *Session) (Verdict, error) {
		return s.appRound(ctx, c.App, ask, t.Port, pods)
	})
}

// appRound asks every pod once, all at the same time.
func (s *Session) appRound(ctx context.Context, a *lab.App, ask *asker, port int, pods []corev1.Pod) (Verdict, error) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	q := question{
		probe: probe.Probe{Kind: probe.HTTP, Target: "http://" + address + a.Path + "?nonce=" + url.QueryEscape(s.Nonce), Attempts: s.attempts(ask.pods), Timeout: 3 * s.Timeouts.Attempt},
		to:    "http://" + address + a.Path,
		judge: ask.behind,
	}
	answers := make([]asked, len(pods))
	group, gctx := errgroup.WithContext(ctx)
	for i, p := range pods {
		group.Go(func() error {
			got, err := s.round(gctx, s.Places.Pod(p.Name), []question{q})
			if err != nil {
				return err
			}
			answers[i] = got[0]
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Verdict{}, err
	}
	var evidence []result.Evidence
	why := ""
	for _, answer := range answers {
		answer.want = "an answer from a pod of " + a.Answered
		evidence = append(evidence, answer.evidence()...)
		if reason, _, _ := answer.failure(); reason != "" && why == "" {
			why = fmt.Sprintf("%s does not reach %s: %s", answer.from, a.Answered, reason)
		}
	}
	if why != "" {
		v := failed(why).with(evidence)
		v.Hint = unfilled(pods[0].Spec)
		return v, nil
	}
	return passed(fmt.Sprintf("%s of %s reached %s", plural(len(pods), "pod"), a.Tier, a.Answered), evidence), nil
}

// unfilled explains a variable that takes in another one which is defined below it, or nowhere:
// Kubernetes leaves "$(NAME)" as it is then. "" where there is none.
func unfilled(spec corev1.PodSpec) string {
	reference := regexp.MustCompile(`(?:^|[^$])\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)`)
	for _, c := range spec.Containers {
		for i, e := range c.Env {
			for _, m := range reference.FindAllStringSubmatch(e.Value, -1) {
				at := slices.IndexFunc(c.Env, func(other corev1.EnvVar) bool { return other.Name == m[1] })
				if at >= i || at < 0 && len(c.EnvFrom) == 0 {
					return fmt.Sprintf("%s takes in $(%s), which no variable above it defines: Kubernetes leaves that as it is", e.Name, m[1])
				}
			}
		}
	}
	return ""
}
