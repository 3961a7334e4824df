package grader

import (
	"fmt"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// Verdict is what became of one check.
type Verdict struct {
	Status   result.CheckStatus
	Message  string // one line: why
	Hint     string // one line: what to look at; "" leaves it to the lab's hints
	Evidence []result.Evidence
	Seconds  float64
	// final says that waiting longer cannot change a failure.
	final bool
	// incomplete says that no answer was wrong, and that some who must answer were not heard.
	incomplete bool
	// untimely says that a failure rests on something that did not come in time: on a machine that
	// has more to do than it can, it proves nothing.
	untimely bool
}

func passed(message string, evidence []result.Evidence) Verdict {
	return Verdict{Status: result.Passed, Message: message, Evidence: evidence}
}

// failed is a verdict that more time may still turn.
func failed(message string, evidence ...result.Evidence) Verdict {
	return Verdict{Status: result.Failed, Message: message, Evidence: evidence}
}

// refuted is a failure that no amount of waiting turns.
func refuted(message string, evidence ...result.Evidence) Verdict {
	v := failed(message, evidence...)
	v.final = true
	return v
}

// Refused are the verdicts on the checks which it costs, by the lab's policy, that objects of the
// submission were refused for so many faults.
func Refused(l *lab.Lab, faults int) map[string]Verdict {
	if faults == 0 {
		return nil
	}
	verdicts := map[string]Verdict{}
	for _, id := range l.Policy.RefusedObjectCosts {
		v := refuted(fmt.Sprintf("the submission holds what is not allowed: %s, listed with the report", plural(faults, "finding")))
		v.Hint = "take it out of the manifests, and hand in again"
		verdicts[id] = v
	}
	return verdicts
}

func skipped(dependency string) Verdict {
	return Verdict{Status: result.Skipped, Message: "depends on " + dependency + ", which did not pass"}
}

// ours is the verdict where the check could not be carried out; it costs nobody marks.
func ours(err error) Verdict {
	return Verdict{Status: result.Error, Message: err.Error()}
}

func (v Verdict) with(evidence []result.Evidence) Verdict {
	v.Evidence = append(evidence, v.Evidence...)
	return v
}

// orHint gives the hint where it knows better than the class of failure.
func (v Verdict) orHint(hint string) Verdict {
	v.Hint = orElse(hint, v.Hint)
	return v
}

// observed is evidence that was read from the API server.
func observed(object, want, got string) result.Evidence {
	return result.Evidence{From: "cluster", To: object, Want: want, Got: got, OK: want == got}
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
