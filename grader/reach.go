package grader

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// sureAttempts is how many answers, all identified, one address must give to count.
const sureAttempts = 3

// spreadAttempts is how many answers are asked for where every pod has to be among those
// who answer: enough that missing one by chance is out of the question (each request
// chooses a pod at random), as Kubernetes' own tests do it.
func spreadAttempts(pods int) int { return min(pods*pods+30, 100) }

// attempts is how many answers to ask for where any of the pods may give them. Where a
// Service that leads to them leads to others, too, these must not stay unseen by chance.
func (s *Session) attempts(pods []corev1.Pod) int {
	n := sureAttempts
	st := s.Watcher.State()
	for _, svc := range st.Services {
		if !leadsTo(st, svc.Name, pods) {
			continue
		}
		ready, _ := addresses(st, svc.Name)
		if all := len(slices.Compact(ready)); all > len(pods) {
			n = max(n, spreadAttempts(all))
		}
	}
	return n
}

// way is one address by which a Service is asked.
type way struct {
	via  lab.Via
	host string
	port int
	name string // a node's, for messages
}

// reach sends identified requests to a Service by every way that the check names.
func reach(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	r := c.Reach
	pods, trouble, err := s.ready(ctx, r.Tier)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	to, trouble, err := s.route(ctx, r)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	if r.Assigned {
		return s.assigned(ctx, to.from, to.ways)
	}
	ask, err := s.asker(ctx, r.Tier, pods)
	if err != nil {
		return Verdict{}, err
	}
	round := (*Session).reachRound
	if r.Sticky {
		round = (*Session).stickyRound
	}
	v, err := s.settle(ctx, s.patience(r), func(ctx context.Context, s *Session) (Verdict, error) {
		return round(s, ctx, to.from, r, ask, to.ways)
	})
	if err == nil && v.Status == result.Failed {
		e, hint := s.endpoints(to.svc, pods)
		v.Evidence = append(v.Evidence, e)
		v.Hint = orElse(hint, v.Hint)
	}
	return v, err
}

// route is how a Service is reached: from where, and by which addresses.
type route struct {
	from probe.Vantage
	svc  *corev1.Service
	ways []way
}

// route finds the way to a Service, and waits until there is something to dial.
func (s *Session) route(ctx context.Context, r *lab.Reach) (*route, *Verdict, error) {
	from, trouble, err := s.from(ctx, r.From)
	if trouble != nil || err != nil {
		return nil, trouble, err
	}
	svc, trouble := s.service(r)
	if trouble != nil {
		return nil, trouble, nil
	}
	if err := s.awaitEndpoints(ctx, r.Service); err != nil {
		return nil, nil, err
	}
	ways, trouble, err := s.ways(ctx, svc, r)
	if trouble != nil || err != nil {
		return nil, trouble, err
	}
	return &route{from: from, svc: svc, ways: ways}, nil, nil
}

// ways lists the addresses by which the Service is asked.
func (s *Session) ways(ctx context.Context, svc *corev1.Service, r *lab.Reach) ([]way, *Verdict, error) {
	var ways []way
	for _, via := range r.Via {
		switch via {
		case lab.ViaName:
			ways = append(ways, way{via: via, host: r.Service, port: r.Port})
		case lab.ViaClusterIP:
			ways = append(ways, way{via: via, host: svc.Spec.ClusterIP, port: r.Port})
		case lab.ViaNodePort:
			port := int(portFor(svc, r).NodePort)
			if port == 0 {
				v := refuted(fmt.Sprintf("Service %s has no node port", svc.Name), observed("service/"+svc.Name+" spec.type", "NodePort", string(svc.Spec.Type)))
				return nil, &v, nil
			}
			names, ips := Nodes(s.Watcher.State())
			for i, ip := range ips {
				ways = append(ways, way{via: via, host: ip, port: port, name: names[i]})
			}
		case lab.ViaLoadBalancer:
			address, trouble, err := s.awaitAddress(ctx, svc.Name)
			if trouble != nil || err != nil {
				return nil, trouble, err
			}
			ways = append(ways, way{via: via, host: address, port: r.Port})
		}
	}
	return ways, nil, nil
}

func (s *Session) patience(r *lab.Reach) time.Duration {
	if slices.Contains(r.Via, lab.ViaLoadBalancer) {
		return s.Timeouts.SettleBalancer
	}
	return s.Timeouts.Settle
}

// reachRound asks by all ways once, and judges.
func (s *Session) reachRound(ctx context.Context, from probe.Vantage, r *lab.Reach, ask *asker, ways []way) (Verdict, error) {
	attempts := s.attempts(ask.pods)
	if r.Pods > 0 {
		attempts = max(attempts, spreadAttempts(len(ask.pods)))
	}
	var questions []question
	for _, w := range ways {
		p := ask.probe("", w.host, w.port)
		p.Attempts = attempts
		questions = append(questions, question{probe: p, to: ask.label(w.host, w.port), judge: ask.judge})
	}
	answers, err := s.round(ctx, from, questions)
	if err != nil {
		return Verdict{}, err
	}
	for i := range answers {
		answers[i].want = "an answer from a pod of " + r.Tier
	}
	return judgeReach(r, ask, ways, answers), nil
}

// judgeReach turns the answers by all ways into a verdict.
func judgeReach(r *lab.Reach, ask *asker, ways []way, answers []asked) Verdict {
	var evidence []result.Evidence
	var silent []string // ways that did not answer
	seen := map[string]bool{}
	var why string
	var class probe.Class
	nodesUp := 0
	for i, a := range answers {
		evidence = append(evidence, a.evidence()...)
		reason, cl, foreign := a.failure()
		if foreign {
			return refutedOr(a, fmt.Sprintf("%s: %s", a.to, reason), evidence)
		}
		n, pods := a.counted()
		for p := range pods {
			seen[p] = true
		}
		if n == len(a.attempts) && n > 0 {
			if ways[i].via == lab.ViaNodePort {
				nodesUp++
			}
			continue
		}
		if ways[i].via == lab.ViaNodePort && r.Nodes != "every" {
			continue
		}
		silent = append(silent, describe(ways[i], a.to))
		why, class = orElse(why, reason), probe.Class(orElse(string(class), string(cl)))
	}
	switch {
	case len(silent) > 0:
		return withClass(failed(fmt.Sprintf("no reliable answer at %s: %s", strings.Join(silent, ", "), why)).with(evidence), class)
	case slices.Contains(r.Via, lab.ViaNodePort) && nodesUp == 0:
		reason, cl, _ := answers[0].failure()
		return withClass(failed("no node answers: "+reason).with(evidence), cl)
	case r.Pods > len(ask.pods):
		return refuted(fmt.Sprintf("%s of %s ready, at least %d must answer", plural(len(ask.pods), "pod"), r.Tier, r.Pods)).with(evidence)
	case r.Pods > 0 && len(seen) < len(ask.pods):
		v := failed(fmt.Sprintf("only %d of %d pods of %s answered", len(seen), len(ask.pods), r.Tier)).with(evidence)
		v.incomplete = true
		return v
	}
	return passed(fmt.Sprintf("%s answered by %s", strings.Join(targets(answers), ", "), plural(len(seen), "pod")), evidence)
}

// refutedOr is the verdict on an unexpected responder. A gateway's own error behind a
// load balancer may still settle; a stranger's identity does not.
func refutedOr(a asked, message string, evidence []result.Evidence) Verdict {
	for i, j := range a.judged {
		if j.foreign && a.attempts[i].Who != nil {
			return refuted(message).with(evidence)
		}
	}
	return failed(message).with(evidence)
}

func describe(w way, to string) string {
	if w.name != "" {
		return fmt.Sprintf("%s (node %s)", to, w.name)
	}
	return to
}

func targets(answers []asked) []string {
	var to []string
	for _, a := range answers {
		if n, _ := a.counted(); n > 0 {
			to = append(to, a.to)
		}
	}
	return to
}

// withClass adds the hint that the class of failure suggests.
func withClass(v Verdict, class probe.Class) Verdict {
	switch class {
	case probe.DNS:
		v.Hint = "the name does not resolve: is there a Service of exactly this name in the namespace?"
	case probe.Refused:
		v.Hint = "the address is there but nothing listens behind it: compare the Service's selector with the pods' labels, and targetPort with the port that the container listens on"
	case probe.Timeout:
		v.Hint = "nothing came back: check the Service's endpoints and whether the way that was tried exists"
	case probe.Reset:
		v.Hint = "the connection was accepted and cut off: is there a ready pod behind the Service?"
	}
	return v
}

// assigned asks that the load balancer's address accepts connections.
func (s *Session) assigned(ctx context.Context, from probe.Vantage, ways []way) (Verdict, error) {
	return s.settle(ctx, s.Timeouts.SettleBalancer, func(ctx context.Context, s *Session) (Verdict, error) {
		var questions []question
		for _, w := range ways {
			to := fmt.Sprintf("%s:%d", w.host, w.port)
			questions = append(questions, question{probe: probe.Probe{Kind: probe.TCP, Target: to}, to: to, judge: connected})
		}
		answers, err := s.round(ctx, from, questions)
		if err != nil {
			return Verdict{}, err
		}
		var evidence []result.Evidence
		for _, a := range answers {
			a.want = "a connection"
			evidence = append(evidence, a.evidence()...)
			if why, class, _ := a.failure(); why != "" {
				return withClass(failed(fmt.Sprintf("the address %s is assigned but takes no connection: %s", a.to, why)).with(evidence), class), nil
			}
		}
		return passed("the address "+ways[0].host+" is assigned and takes connections", evidence), nil
	})
}

// connected accepts any connection: it proves no identity.
func connected(at probe.Attempt) judged {
	if at.Class != "" {
		return judged{why: fmt.Sprintf("%s after %s", at.Class, millis(at.Duration))}
	}
	return judged{}
}
