package grader

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// answersFile is where evidence says that an answer stands.
const answersFile = "answers.yaml"

// answer compares the submission's answer with the one that lab.yaml knows. Neither message
// nor evidence gives the right one away.
func answer(_ context.Context, s *Session, c lab.Check) (Verdict, error) {
	q := c.Question
	given := s.answerTo(c.ID)
	if len(given) == 0 {
		return unanswered(c), nil
	}
	if q.Order != nil {
		return judgeOrder(c, given), nil
	}
	return judgeChoice(c, given), nil
}

// answerTo is the submission's answer without texts that are empty.
func (s *Session) answerTo(id string) []string {
	return slices.DeleteFunc(slices.Clone(s.Answers[id]), func(t string) bool { return strings.TrimSpace(t) == "" })
}

func unanswered(c lab.Check) Verdict {
	v := refuted("not answered yet", result.Evidence{From: answersFile, To: c.ID, Want: wanted(c.Question), Got: "no answer"})
	v.Hint = fmt.Sprintf("labctl answer %s, or a line in %s: %q", c.ID, answersFile, c.ID+": …")
	return v
}

// wanted says what an answer looks like.
func wanted(q *lab.Question) string {
	switch {
	case q.Order != nil:
		return fmt.Sprintf("all %d in their order", len(q.Order))
	case q.Predict != nil:
		return "one of " + strings.Join(outcomes(), ", ")
	}
	return "one of " + list(q.Choose)
}

func judgeChoice(c lab.Check, given []string) Verdict {
	q := c.Question
	e := result.Evidence{From: answersFile, To: c.ID, Want: wanted(q), Got: list(given)}
	switch {
	case len(given) > 1:
		v := refuted("answered "+list(given)+": one answer is asked for", e)
		v.Hint = "choose one of " + list(q.Choose)
		return v
	case alike(given[0], q.Answer):
		e.OK = true
		return passed(oneLine(q.Why), []result.Evidence{e})
	case !among(given[0], q.Choose):
		v := refuted(fmt.Sprintf("answered %q, which is not one of the choices", bounded(given[0])), e)
		v.Hint = "choose one of " + list(q.Choose) + lab.Suggest(given[0], q.Choose)
		return v
	}
	return refuted(fmt.Sprintf("answered %q, which is not right", bounded(given[0])), e)
}

func judgeOrder(c lab.Check, given []string) Verdict {
	q := c.Question
	if len(given) == 1 { // written on one line
		given = fields(given[0])
	}
	e := result.Evidence{From: answersFile, To: c.ID, Want: wanted(q), Got: bounded(strings.Join(given, " → "))}
	var unknown, missing []string
	for _, g := range given {
		if !among(g, q.Order) {
			unknown = append(unknown, g+lab.Suggest(g, q.Order))
		}
	}
	for _, o := range q.Order {
		if !among(o, given) {
			missing = append(missing, o)
		}
	}
	switch {
	case slices.EqualFunc(given, q.Order, alike):
		e.OK = true
		return passed(oneLine(q.Why), []result.Evidence{e})
	case len(unknown) > 0:
		return refuted("answered with what is not to be put in order: "+list(unknown), e)
	case len(missing) > 0:
		return refuted("the answer leaves out "+list(missing), e)
	case len(given) != len(q.Order):
		return refuted("the answer names something twice", e)
	}
	return refuted(fmt.Sprintf("not in this order: %s of %d in the right place", fmt.Sprint(inPlace(given, q.Order)), len(q.Order)), e)
}

func inPlace(given, order []string) int {
	n := 0
	for i := range order {
		if alike(given[i], order[i]) {
			n++
		}
	}
	return n
}

// fields splits an order that was written on one line.
func fields(text string) []string {
	var parts []string
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '→' || r == '>' || r == ';' }) {
		part = strings.TrimSpace(strings.Trim(strings.TrimSpace(part), "-="))
		if part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func among(text string, all []string) bool {
	return slices.ContainsFunc(all, func(o string) bool { return alike(text, o) })
}

// alike compares as a person would: without regard to case and space.
func alike(a, b string) bool { return strings.EqualFold(oneLine(a), oneLine(b)) }

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
