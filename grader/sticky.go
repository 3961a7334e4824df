package grader

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// stickyAttempts is how many answers in a row the same pod must give to one client, as
// Kubernetes' own tests want it: by chance two pods do so once in sixteen thousand times.
const stickyAttempts = 15

// stickyRound asks by all ways, one request after the other, and wants one and the same pod
// to answer each client. Affinity is kept where a connection enters the cluster, so ways may
// lead to different pods.
func (s *Session) stickyRound(ctx context.Context, from probe.Vantage, r *lab.Reach, ask *asker, ways []way) (Verdict, error) {
	if len(ask.pods) < 2 {
		v := refuted(fmt.Sprintf("%s of %s ready: whether one client stays with one pod shows only with two", plural(len(ask.pods), "pod"), r.Tier),
			observed("ready pods of "+r.Tier, "2 or more", fmt.Sprint(len(ask.pods))))
		v.Hint = "set replicas: 2"
		return v, nil
	}
	var questions []question
	for _, w := range ways {
		p := ask.probe("", w.host, w.port)
		p.Attempts, p.Serial = stickyAttempts, true
		questions = append(questions, question{probe: p, to: ask.label(w.host, w.port), judge: ask.judge})
	}
	answers, err := s.round(ctx, from, questions)
	if err != nil {
		return Verdict{}, err
	}
	svc := find(s.Watcher.State(), r.Service)
	var evidence []result.Evidence
	var pods []string
	for i := range answers {
		answers[i].want = fmt.Sprintf("the same pod of %s %d times", r.Tier, stickyAttempts)
		v, pod := judgeSticky(answers[i], ways[i], svc)
		evidence = append(evidence, v.Evidence...)
		if v.Status != result.Passed {
			v.Evidence = evidence
			return v, nil
		}
		pods = append(pods, pod)
	}
	slices.Sort(pods)
	return passed(fmt.Sprintf("%s answered %d times in a row", strings.Join(slices.Compact(pods), " and "), stickyAttempts), evidence), nil
}

// judgeSticky judges the answers by one way, and names the pod that gave them all.
func judgeSticky(a asked, w way, svc *corev1.Service) (Verdict, string) {
	evidence := a.evidence()
	n, pods := a.counted()
	if why, class, foreign := a.failure(); why != "" {
		if foreign {
			return refutedOr(a, fmt.Sprintf("%s: %s", a.to, why), evidence), ""
		}
		return withClass(failed(fmt.Sprintf("no reliable answer at %s: %s", describe(w, a.to), why)).with(evidence), class), ""
	}
	var names []string
	for p := range pods {
		names = append(names, "pod/"+p)
	}
	slices.Sort(names)
	if len(names) == 1 && n == stickyAttempts {
		return passed("", evidence), names[0]
	}
	for i := range evidence { // each pod by itself did well; that there are several is the fault
		evidence[i].OK = false
	}
	v := failed(fmt.Sprintf("one client was answered by %s at %s: %s", plural(len(names), "pod"), describe(w, a.to), list(names))).with(evidence)
	if svc != nil && svc.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		v.final = true
		e := observed("service/"+svc.Name+" spec.sessionAffinity", string(corev1.ServiceAffinityClientIP), orElse(string(svc.Spec.SessionAffinity), "None"))
		v.Evidence = append(v.Evidence, e)
		v.Hint = "a Service chooses a pod for each connection anew, unless its sessionAffinity says otherwise"
	}
	return v, ""
}
