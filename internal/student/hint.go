package student

import (
	"slices"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// Hint is one hint on a check.
type Hint struct {
	Text string
	// Observed tells that the hint comes from what was seen at the last check, and is none of
	// the lab's own.
	Observed bool
	Number   int  // of the lab's own hints that were shown, this one included
	Left     int  // of the lab's own hints
	Again    bool // it was shown before: there are no more
}

// NextHint returns the next hint on a check and counts it: first what the last report saw,
// once for each thing that it sees; then the lab's own, from gentle to plain; then the last of
// them again. seen is the check's verdict in the last report, nil where there is none.
func (l *Lab) NextHint(c lab.Check, seen *result.Check) Hint {
	mine := l.Check(c.ID)
	mine.Hints = min(mine.Hints, len(c.Hints)) // an earlier version of the lab may have had more
	left := len(c.Hints) - mine.Hints
	if text, ok := observed(c, seen); ok && mine.Told != text {
		mine.Told = text
		return Hint{Text: text, Observed: true, Number: mine.Hints, Left: left}
	}
	if left == 0 {
		hint := Hint{Number: mine.Hints, Again: true}
		if mine.Hints > 0 {
			hint.Text = c.Hints[mine.Hints-1]
		}
		return hint
	}
	mine.Hints++
	return Hint{Text: c.Hints[mine.Hints-1], Number: mine.Hints, Left: left - 1}
}

// observed returns the hint that the grader drew from the failure. Where it had none, the
// report repeats the lab's first.
func observed(c lab.Check, seen *result.Check) (string, bool) {
	if seen == nil || seen.Status != result.Failed || seen.Hint == "" || slices.Contains(c.Hints, seen.Hint) {
		return "", false
	}
	return seen.Hint, true
}

// Verdict returns the report's verdict on the check, nil where it has none.
func Verdict(r result.Report, check string) *result.Check {
	for i := range r.Checks {
		if r.Checks[i].ID == check {
			return &r.Checks[i]
		}
	}
	return nil
}
