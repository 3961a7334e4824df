package lab

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// The least that there is to choose from, and to put in order: with fewer, guessing wins.
const (
	minOptions = 2
	minOrder   = 3
)

// Questions returns the ids of the checks that are answered in answers.yaml.
func (l *Lab) Questions() []string {
	var ids []string
	for _, c := range l.Checks {
		if c.Question != nil && c.ID != "" {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// Unanswered returns the ids of the questions that students see and that have no answer.
func (l *Lab) Unanswered(answers map[string][]string) []string {
	var ids []string
	for _, c := range l.Visible() {
		if c.Question != nil && len(answers[c.ID]) == 0 {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// AnswersSuffice tells whether a submission needs no object: the lab asks questions, and
// tries nothing on a cluster.
func (l *Lab) AnswersSuffice() bool { return len(l.Tiers) == 0 }

// answersOnly tells whether every check is a question whose answer lab.yaml itself knows.
func (l *Lab) answersOnly() bool {
	for _, c := range l.Checks {
		if c.Question == nil || c.Question.Predict != nil {
			return false
		}
	}
	return len(l.Checks) > 0
}

func (p *problems) question(at string, l *Lab, q *Question) {
	p.required(at+".ask", q.Ask)
	p.required(at+".why", q.Why)
	var given []string
	if q.Choose != nil {
		given = append(given, "choose")
		p.choose(at, q)
	}
	if q.Order != nil {
		given = append(given, "order")
		p.distinct(at+".order", q.Order, minOrder)
	}
	if q.Predict != nil {
		given = append(given, "predict")
		p.predict(at+".predict", l, q.Predict)
	}
	switch {
	case len(given) > 1:
		p.at(at, "has %s; a question has exactly one of choose, order and predict", strings.Join(given, " and "))
	case len(given) == 0:
		p.at(at, "does not say how it is answered; a question has exactly one of choose, order and predict")
	}
	if q.Choose == nil && q.Answer != "" {
		p.at(at+".answer", "goes only with choose")
	}
}

// choose reports what makes a choice impossible to answer rightly.
func (p *problems) choose(at string, q *Question) {
	p.distinct(at+".choose", q.Choose, minOptions)
	if !p.required(at+".answer", q.Answer) {
		return
	}
	if !slices.Contains(q.Choose, q.Answer) {
		p.at(at+".answer", "%q is not among choose%s%s", q.Answer, choice(q.Choose), suggest(q.Answer, q.Choose))
	}
}

// distinct reports texts that are empty, too few, or alike but for case and space, which
// answers do not tell apart.
func (p *problems) distinct(at string, texts []string, least int) {
	seen := make(once)
	for i, t := range texts {
		field := fmt.Sprintf("%s[%d]", at, i)
		if p.required(field, t) {
			p.once(seen, field, strings.ToLower(strings.Join(strings.Fields(t), " ")))
		}
	}
	if len(texts) < least {
		p.at(at, "has %d of at least %d entries", len(texts), least)
	}
}

// predict is held to less than reach: that a name or a ClusterIP leads nowhere from outside
// is worth predicting, and so is a node's port that no Service has.
func (p *problems) predict(at string, l *Lab, r *Predict) {
	if p.required(at+".service", r.Service) && len(validation.IsDNS1035Label(r.Service)) > 0 {
		p.at(at+".service", "%q cannot be the name of a Service", r.Service)
	}
	if r.From != "" {
		p.tier(at+".from", l, r.From)
	}
	if p.required(at+".via", string(r.Via)) && p.known(at+".via", "way", string(r.Via), ways()) &&
		(r.Via == ViaNodePort || r.Via == ViaLoadBalancer) && r.From != "" {
		p.at(at+".via", "%s is asked from outside; leave out from", r.Via)
	}
	p.port(at+".port", r.Port)
}

// resolve reports a name that could not stand for what it should.
func (p *problems) resolve(at string, l *Lab, r *Resolve) {
	if p.required(at+".service", r.Service) && len(validation.IsDNS1035Label(r.Service)) > 0 {
		p.at(at+".service", "%q cannot be the name of a Service", r.Service)
	}
	p.tier(at+".from", l, r.From)
	if !p.required(at+".to", r.To) || !p.known(at+".to", "meaning of a name", r.To, []string{"service", "pods", "alias"}) {
		return
	}
	switch {
	case r.To == "pods":
		p.tier(at+".tier", l, r.Tier)
	case r.Tier != "":
		p.at(at+".tier", "goes only with to: pods")
	}
	switch {
	case r.To != "alias":
		if r.Target != "" {
			p.at(at+".target", "goes only with to: alias")
		}
	case !p.required(at+".target", r.Target):
	case len(validation.IsDNS1035Label(r.Target)) > 0:
		p.at(at+".target", "%q cannot be the name of a Service", r.Target)
	case r.Target == r.Service:
		p.at(at+".target", "%q cannot be an alias of itself", r.Target)
	}
}
