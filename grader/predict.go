package grader

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// answersWord is the outcome of a request that a pod of the Service answers; every other
// outcome is the class of a failure.
const answersWord = "answers"

// outcomes are what a prediction may say.
func outcomes() []string {
	return []string{answersWord, string(probe.Timeout), string(probe.Refused), string(probe.DNS), string(probe.Reset)}
}

// outcomeOf returns the outcome that a prediction means. Beside the words themselves it takes
// what people say: "yes", "works", "reachable" for answers; "timed out", "no answer",
// "nothing" for TIMEOUT; "connection refused" for REFUSED; "name not found", "NXDOMAIN" for
// DNS; "connection reset" for RESET.
func outcomeOf(text string) (string, bool) {
	said := strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), " ")
	for outcome, words := range map[string][]string{
		answersWord:           {"answers", "answer", "answered", "it answers", "yes", "works", "it works", "reachable", "ok"},
		string(probe.Timeout): {"timeout", "time out", "timed out", "times out", "no answer", "nothing", "silence"},
		string(probe.Refused): {"refused", "connection refused", "refuses", "rejected"},
		string(probe.DNS):     {"dns", "dns error", "nxdomain", "name not found", "no such host", "unknown host", "does not resolve", "name does not resolve"},
		string(probe.Reset):   {"reset", "connection reset", "cut off"},
	} {
		if slices.Contains(words, said) {
			return outcome, true
		}
	}
	return "", false
}

// predict sends the request that a question is about, by all ways of its kind, and compares
// what comes of it with the prediction. An answer counts as one where it names a pod that
// the Service leads to and repeats this run's value.
func predict(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	given := s.answerTo(c.ID)
	if len(given) == 0 {
		return unanswered(c), nil
	}
	said := result.Evidence{From: answersFile, To: c.ID, Want: wanted(c.Question), Got: list(given)}
	guess, ok := outcomeOf(given[0])
	if !ok || len(given) > 1 {
		v := refuted(fmt.Sprintf("answered %q, which is no outcome of a request", list(given)), said)
		v.Hint = "answer with one of " + strings.Join(outcomes(), ", ") + lab.Suggest(given[0], outcomes())
		return v, nil
	}
	r := c.Question.Predict
	if err := s.calm(ctx, r.Service); err != nil {
		return Verdict{}, err
	}
	from, trouble, err := s.from(ctx, r.From)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	ways, trouble, err := s.predictedWays(ctx, r)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	seen, err := s.observe(ctx, from, r, ways, guess)
	if err != nil {
		return Verdict{}, err
	}
	said.OK = seen.outcome == guess
	evidence := append([]result.Evidence{said}, seen.evidence...)
	switch {
	case seen.outcome == "":
		return refuted("the ways to it differ, so that there is nothing to predict: "+seen.differ+"; was the starter changed?", evidence...), nil
	case !said.OK:
		v := refuted(fmt.Sprintf("predicted %q; it was tried, and something else came back", bounded(given[0])), evidence...)
		v.untimely = seen.outcome != answersWord
		return v, nil
	}
	return passed(oneLine(c.Question.Why), evidence), nil
}

// calm waits until nothing is on its way any more: workloads that become ready or do not, and
// endpoints of a Service that has ready pods.
func (s *Session) calm(ctx context.Context, service string) error {
	for name := range s.tiers {
		if _, _, err := s.ready(ctx, name); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Settle)
	defer cancel()
	_, err := s.Watcher.Await(ctx, func(st *kube.State) (bool, string) {
		svc := find(st, service)
		ready, _ := addresses(st, service)
		return svc == nil || len(ready) > 0 || len(behindSelector(st, svc)) == 0, "service/" + service + " has no endpoints yet"
	})
	if overdue(err) {
		return nil // the requests will show it
	}
	return err
}

// predictedWays lists the addresses that the request goes to. A name is asked for as whole
// from outside, so that no stranger of the same name there answers.
func (s *Session) predictedWays(ctx context.Context, r *lab.Predict) ([]way, *Verdict, error) {
	st := s.Watcher.State()
	svc := find(st, r.Service)
	if svc == nil {
		v := noService(st, r.Service)
		return nil, &v, nil
	}
	switch r.Via {
	case lab.ViaClusterIP:
		if !hasClusterIP(svc) {
			v := refuted(fmt.Sprintf("Service %s has no ClusterIP to ask", svc.Name), observed("service/"+svc.Name+" spec.clusterIP", "an address", orElse(svc.Spec.ClusterIP, "none")))
			return nil, &v, nil
		}
		return []way{{via: r.Via, host: svc.Spec.ClusterIP, port: r.Port}}, nil, nil
	case lab.ViaNodePort:
		var ways []way
		names, ips := Nodes(st)
		for i, ip := range ips {
			ways = append(ways, way{via: r.Via, host: ip, port: r.Port, name: names[i]})
		}
		return ways, nil, nil
	case lab.ViaLoadBalancer:
		address, trouble, err := s.awaitAddress(ctx, svc.Name)
		return []way{{via: r.Via, host: address, port: r.Port}}, trouble, err
	}
	host := r.Service
	if r.From == "" {
		host = fqdn(r.Service, s.Namespace)
	}
	return []way{{via: r.Via, host: host, port: r.Port}}, nil, nil
}

// observation is what came of a request by all ways.
type observation struct {
	outcome  string // "" where the ways differ
	differ   string // how
	settled  bool   // every way gave one and the same outcome each time
	why      string // where it did not settle
	evidence []result.Evidence
}

// observe sends the request again and again until its outcome holds: an answer twice in a
// row, silence or a refusal for a while, since what is not there yet looks like this, too.
// What contradicts the prediction has until the end of patience to turn out otherwise. An
// outcome that never holds is ours.
func (s *Session) observe(ctx context.Context, from probe.Vantage, r *lab.Predict, ways []way, guess string) (observation, error) {
	patience, hold := s.Timeouts.Settle, s.Timeouts.Hold
	if r.Via == lab.ViaLoadBalancer {
		patience, hold = s.Timeouts.SettleBalancer, s.Timeouts.HoldBalancer
	}
	deadline := time.Now().Add(patience + hold)
	var last observation
	var since time.Time
	rounds := 0
	for {
		now, err := s.observeOnce(ctx, from, r, ways)
		if err != nil {
			return now, err
		}
		if rounds == 0 || !now.settled || now.outcome != last.outcome || now.differ != last.differ {
			since, rounds = time.Now(), 0
		}
		rounds++
		last = now
		holds := now.settled && rounds > 1 && (now.outcome == answersWord || time.Since(since) >= hold)
		over := time.Now().After(deadline)
		switch {
		case holds && (now.outcome == guess || now.outcome == answersWord || over):
			return now, nil
		case over && (!now.settled || time.Since(since) >= hold):
			return now, fmt.Errorf("what comes of the request to %s does not settle: %s", r.Service, orElse(now.why, now.outcome))
		}
		if err := pause(ctx, s.Timeouts.Pause); err != nil {
			return now, fmt.Errorf("wait until what comes of the request to %s settles: %w", r.Service, err)
		}
	}
}

// observeOnce sends the request by all ways, several times each.
func (s *Session) observeOnce(ctx context.Context, from probe.Vantage, r *lab.Predict, ways []way) (observation, error) {
	ask, err := s.anyoneBehind(ctx, r.Service)
	if err != nil {
		return observation{}, err
	}
	var questions []question
	for _, w := range ways {
		p := ask.probe("", w.host, w.port)
		p.Attempts = sureAttempts
		questions = append(questions, question{probe: p, to: ask.label(w.host, w.port), judge: ask.judge})
	}
	controls := s.controls(s.Timeouts.Attempt)
	for i := range controls {
		controls[i].probe.Attempts = 1
	}
	answers, err := s.round(ctx, from, slices.Concat(questions, controls))
	if err != nil {
		return observation{}, err
	}
	o := observation{settled: true}
	for _, a := range answers[len(ways):] {
		if why, _, _ := a.failure(); why != "" { // then silence elsewhere proves nothing
			o.settled, o.why = false, a.to+" did not answer in time either: the machine is too busy"
		}
	}
	var each []string
	for i, a := range answers[:len(ways)] {
		outcome, why := outcomeSeen(a)
		if why != "" {
			o.settled, o.why = false, orElse(o.why, why)
		}
		each = append(each, outcome)
		o.differ = strings.TrimPrefix(o.differ+", "+orElse(ways[i].name, a.to)+": "+outcome, ", ")
		for _, e := range a.evidence() {
			// Nothing is as it should be or not here: it is what it is, when all agree.
			e.OK = why == ""
			o.evidence = append(o.evidence, e)
		}
	}
	if slices.Equal(slices.Compact(slices.Clone(each)), each[:1]) {
		o.outcome, o.differ = each[0], ""
	}
	return o, nil
}

// outcomeSeen is the outcome of all attempts by one way, or why there is none.
func outcomeSeen(a asked) (outcome, why string) {
	for i, at := range a.attempts {
		now := string(at.Class)
		switch {
		case a.judged[i].foreign:
			return "", a.judged[i].why
		case at.Class == "":
			now = answersWord
		}
		if outcome != "" && now != outcome {
			return "", outcome + " and " + now + " at " + a.to
		}
		outcome = now
	}
	if !slices.Contains(outcomes(), outcome) {
		return outcome, orElse(outcome, "nothing") + " at " + a.to
	}
	return outcome, ""
}

// anyoneBehind prepares to ask the pods that a Service selects, whatever tier they are of.
func (s *Session) anyoneBehind(ctx context.Context, service string) (*asker, error) {
	st := s.Watcher.State()
	svc := find(st, service)
	if svc == nil {
		return nil, fmt.Errorf("service/%s is gone", service)
	}
	pods := behindSelector(st, svc)
	for _, t := range s.Lab.Tiers {
		if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return runs(p.Spec, t.Image) }) {
			return s.asker(ctx, t.Name, pods)
		}
	}
	return &asker{tier: lab.Tier{Name: "service " + service}, nonce: s.Nonce, pods: pods}, nil
}

// behindSelector are the ready pods that a Service's selector matches.
func behindSelector(st *kube.State, svc *corev1.Service) []corev1.Pod {
	var pods []corev1.Pod
	for _, p := range st.Pods {
		match := len(svc.Spec.Selector) > 0 && isReady(p) && p.DeletionTimestamp == nil
		for k, v := range svc.Spec.Selector {
			match = match && p.Labels[k] == v
		}
		if match {
			pods = append(pods, p)
		}
	}
	return pods
}
