// Package student keeps what a student has done: the progress over all labs, the last
// local report of each, and the working folders.
package student

import (
	"time"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// Version is the format of the progress file that this labctl writes. A file of a later
// one is left alone.
const Version = 1

// Progress is all that a student has done on this machine.
type Progress struct {
	Version int             `json:"version"`
	Current string          `json:"current,omitempty"` // the lab that was started last, by its id
	Labs    map[string]*Lab `json:"labs"`              // those that were started, by id

	// Note is what the student has to know about the file itself: that it was damaged, and
	// what became of it. It is told once.
	Note string `json:"-"`
}

// Lab is what a student has done in one lab. Times are UTC.
type Lab struct {
	ID        string            `json:"id"`
	Version   string            `json:"version"`             // of the lab that was worked on last
	Folder    string            `json:"folder,omitempty"`    // the working folder, absolute
	Cluster   string            `json:"cluster,omitempty"`   // labctl's name of it
	Namespace string            `json:"namespace,omitempty"` // where the lab's objects are
	Started   time.Time         `json:"started,omitzero"`
	Solved    time.Time         `json:"solved,omitzero"` // when all checks stood at passed for the first time
	Checks    map[string]*Check `json:"checks,omitempty"`
	// GaveUp is when the solution of a step was asked for before it was passed, by step.
	GaveUp map[string]time.Time `json:"gaveUp,omitempty"`
}

// Check is how a check of a lab stands.
type Check struct {
	Status      result.CheckStatus `json:"status,omitempty"`      // "" where it was not tried yet
	FirstPassed time.Time          `json:"firstPassed,omitzero"`  // zero where it never passed
	Held        bool               `json:"held,omitempty"`        // it passed since the lab was started or reset
	Changed     time.Time          `json:"changed,omitzero"`      // when the status became what it is
	Hints       int                `json:"hints,omitempty"`       // how many of the lab's hints were shown
	Regressions int                `json:"regressions,omitempty"` // how often it failed after it had passed
	Told        string             `json:"told,omitempty"`        // the hint from an observed failure that was shown last
}

// Regressed tells whether the check failed the last time, though it had passed before. What
// was before the lab was reset does not count.
func (c *Check) Regressed() bool {
	return c != nil && c.Status == result.Failed && c.Held
}

// Renew forgets how the checks stand, since the lab begins anew. What was reached stays known.
func (l *Lab) Renew(now time.Time) {
	for _, c := range l.Checks {
		c.Status, c.Held, c.Changed = "", false, now.UTC()
	}
}

// Change is a check whose status is another than it was.
type Change struct {
	Check      string             `json:"check"`
	From       result.CheckStatus `json:"from,omitempty"` // "" where it was not tried before
	To         result.CheckStatus `json:"to"`
	Regression bool               `json:"regression,omitempty"` // it had passed once, and fails now
}

// Record takes the verdicts of a report into the progress, and returns what changed, in the
// report's order. The report may hold some of the lab's checks only. Hidden checks are left
// out, and so are checks that could not be carried out: that says nothing about the work.
func (p *Progress) Record(l *lab.Lab, report result.Report, now time.Time) []Change {
	mine := p.Begin(l, now)
	mine.Version = l.Version
	var changes []Change
	for _, c := range report.Checks {
		known, ok := l.Check(c.ID)
		if !ok || known.Hidden() || c.Status == result.Error {
			continue
		}
		if change, ok := mine.Check(c.ID).record(c, now); ok {
			changes = append(changes, change)
		}
	}
	if mine.Solved.IsZero() && mine.Complete(l) {
		mine.Solved = now.UTC()
	}
	return changes
}

// record takes one verdict, and tells whether it is news.
func (c *Check) record(verdict result.Check, now time.Time) (Change, bool) {
	if c.Status == verdict.Status {
		return Change{}, false
	}
	change := Change{Check: verdict.ID, From: c.Status, To: verdict.Status}
	c.Status, c.Changed = verdict.Status, now.UTC()
	switch {
	case c.Status == result.Passed:
		c.Held = true
		if c.FirstPassed.IsZero() {
			c.FirstPassed = now.UTC()
		}
	case c.Regressed():
		change.Regression = true
		c.Regressions++
	}
	return change, true
}

// Begin returns what is known of the lab, and makes an entry where there is none.
func (p *Progress) Begin(l *lab.Lab, now time.Time) *Lab {
	if p.Labs == nil {
		p.Labs = map[string]*Lab{}
	}
	if p.Labs[l.ID] == nil {
		p.Labs[l.ID] = &Lab{ID: l.ID, Version: l.Version, Started: now.UTC()}
	}
	return p.Labs[l.ID]
}

// Check returns how the check stands, and makes an entry where there is none.
func (l *Lab) Check(id string) *Check {
	if l.Checks == nil {
		l.Checks = map[string]*Check{}
	}
	if l.Checks[id] == nil {
		l.Checks[id] = &Check{}
	}
	return l.Checks[id]
}

// Passed tells whether the check passed the last time. A lab that was not started is nil.
func (l *Lab) Passed(check string) bool {
	return l != nil && l.Checks[check] != nil && l.Checks[check].Status == result.Passed
}

// Count returns how many of the checks passed the last time.
func (l *Lab) Count(checks []lab.Check) int {
	n := 0
	for _, c := range checks {
		if l.Passed(c.ID) {
			n++
		}
	}
	return n
}

// Complete tells whether every check that students see passed the last time.
func (l *Lab) Complete(of *lab.Lab) bool {
	checks := of.Visible()
	return len(checks) > 0 && l.Count(checks) == len(checks)
}

// Points returns the sum over the checks that students see and that passed the last time.
func (l *Lab) Points(of *lab.Lab) float64 {
	sum := 0.0
	for _, c := range of.Visible() {
		if l.Passed(c.ID) {
			sum += c.Points
		}
	}
	return sum
}

// Step returns the step to work on, which is the first with a check that did not pass, and
// its 1-based number. Where all are passed it returns false.
func (l *Lab) Step(of *lab.Lab) (step lab.Step, number int, ok bool) {
	for i, s := range of.Steps {
		if checks := of.StepChecks(s.ID); l.Count(checks) < len(checks) {
			return s, i + 1, true
		}
	}
	return lab.Step{}, 0, false
}

// Gave tells whether the student gave the step up.
func (l *Lab) Gave(step string) bool {
	return l != nil && !l.GaveUp[step].IsZero()
}

// GaveAll tells whether every step was either passed or given up.
func (l *Lab) GaveAll(of *lab.Lab) bool {
	for _, s := range of.Steps {
		if checks := of.StepChecks(s.ID); !l.Gave(s.ID) && l.Count(checks) < len(checks) {
			return false
		}
	}
	return true
}

// GiveUp records that the step's solution was asked for before the step was passed.
func (l *Lab) GiveUp(of *lab.Lab, step string, now time.Time) {
	checks := of.StepChecks(step)
	if l.Gave(step) || l.Count(checks) == len(checks) {
		return
	}
	if l.GaveUp == nil {
		l.GaveUp = map[string]time.Time{}
	}
	l.GaveUp[step] = now.UTC()
}
