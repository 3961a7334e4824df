// Package result defines labctl's report, from which every other format is derived.
// It imports nothing of labctl's.
package result

import (
	"fmt"
	"strings"
	"time"
)

// Schema names the version of the report's format.
const Schema = "labctl.dev/result/v1"

// Status says what became of a submission as a whole.
type Status string

// The ends of a submission.
const (
	Graded   Status = "graded"   // every check has a verdict
	Rejected Status = "rejected" // the submission was refused before it was applied
	Errored  Status = "error"    // our fault: no marks were given or taken
	Missing  Status = "missing"  // nothing was handed in
)

// CheckStatus is the verdict on one check.
type CheckStatus string

// The four ends of a check.
const (
	Passed  CheckStatus = "passed"
	Failed  CheckStatus = "failed"  // the student's
	Error   CheckStatus = "error"   // ours: the check could not be carried out
	Skipped CheckStatus = "skipped" // a check that it depends on did not pass
)

// Report is the result of grading one submission for one lab.
type Report struct {
	Schema     string    `json:"schema"`
	Labctl     string    `json:"labctl"` // labctl's version
	Lab        Lab       `json:"lab"`
	Student    string    `json:"student"`
	Submission string    `json:"submission,omitempty"` // digest, "sha256:…"
	Started    time.Time `json:"started"`              // UTC
	Finished   time.Time `json:"finished"`             // UTC
	Status     Status    `json:"status"`
	Score      float64   `json:"score"` // meaningful only where Status is Graded
	MaxScore   float64   `json:"maxScore"`
	Message    string    `json:"message,omitempty"`  // why, where Status is not Graded
	Findings   []Finding `json:"findings,omitempty"` // why, or where Graded, for what objects were left out
	Checks     []Check   `json:"checks"`
	// What a class adds: whose it is, when it was handed in (UTC; nil where nobody knows), and
	// what that costs.
	Person    *Person    `json:"person,omitempty"`
	Submitted *time.Time `json:"submitted,omitempty"`
	Late      *Late      `json:"late,omitempty"`
	// Signature is there where the grading was asked to sign; see Verify.
	Signature *Signature `json:"signature,omitempty"`
}

// Lab identifies the lab that was graded.
type Lab struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Version string `json:"version"`
}

// Person is what the course's roster says of a student.
type Person struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	// Columns are the roster's other cells by the names of their columns, as they stand there.
	Columns map[string]string `json:"columns,omitempty"`
}

// Late is what being handed in after it was due costs a submission.
type Late struct {
	Due     time.Time `json:"due"`     // UTC
	Rule    string    `json:"rule"`    // as in "10%/day,max 50%"
	Seconds float64   `json:"seconds"` // how late
	Percent float64   `json:"percent"` // of the score that is lost, 0 to 100
	Points  float64   `json:"points"`  // the same in points
}

// Final is the score after what being late costs.
func (r *Report) Final() float64 {
	if r.Late == nil {
		return r.Score
	}
	return max(0, r.Score-r.Late.Points)
}

// Finding is one reason for which a submission, or an object of it, was refused.
type Finding struct {
	File     string `json:"file"`
	Document int    `json:"document,omitempty"` // 1-based within the file
	Field    string `json:"field,omitempty"`
	Rule     string `json:"rule,omitempty"` // of the policy, as in "no-host"
	Message  string `json:"message"`
}

// Place is where it is: "app.yaml, document 2, spec.type".
func (f Finding) Place() string {
	place := f.File
	if f.Document > 0 {
		place += fmt.Sprintf(", document %d", f.Document)
	}
	if f.Field != "" {
		place += ", " + f.Field
	}
	return place
}

func (f Finding) String() string { return f.Place() + ": " + f.Message }

// Check is the verdict on one check with the evidence that it rests on.
type Check struct {
	ID        string      `json:"id"`
	Title     string      `json:"title"`
	Step      string      `json:"step"`
	Status    CheckStatus `json:"status"`
	Points    float64     `json:"points"`
	MaxPoints float64     `json:"maxPoints"`
	Message   string      `json:"message,omitempty"` // one line: why this verdict
	Hint      string      `json:"hint,omitempty"`    // one line: what to look at next
	Seconds   float64     `json:"seconds"`
	Evidence  []Evidence  `json:"evidence,omitempty"`
	// Visibility "hidden" marks what only instructors may see; see Report.ForStudent.
	Visibility string `json:"visibility,omitempty"`
}

// Hidden tells whether students must not see the check.
func (c Check) Hidden() bool { return c.Visibility == "hidden" }

// Evidence is one thing that was tried, and what came of it. Equal attempts are folded
// into one with a Count.
type Evidence struct {
	From     string  `json:"from"`               // "pod/frontend-7c9", "outside", "cluster" (the API)
	To       string  `json:"to"`                 // "http://backend/whoami", "10.96.3.4:5432", "service/db"
	Want     string  `json:"want,omitempty"`     // what would have passed
	Got      string  `json:"got"`                // what came back, bounded in length
	Class    string  `json:"class,omitempty"`    // TIMEOUT, REFUSED, DNS, RESET or OTHER, where there was no answer
	Answered string  `json:"answered,omitempty"` // the pod that answered
	Seconds  float64 `json:"seconds,omitempty"`
	Count    int     `json:"count,omitempty"` // how often; 0 and 1 mean once
	OK       bool    `json:"ok"`
}

// Points writes a number of points as people do, without needless decimals.
func Points(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}

// Tally sets Score and MaxScore from the checks, and Status to Errored where a check is:
// such a report gives no marks and takes none.
func (r *Report) Tally() {
	r.Score, r.MaxScore = 0, 0
	for _, c := range r.Checks {
		r.Score += c.Points
		r.MaxScore += c.MaxPoints
		if c.Status == Error && r.Status == Graded {
			r.Status = Errored
			r.Message = "check " + c.ID + " could not be carried out: " + c.Message
		}
	}
	if r.Status != Graded {
		r.Score = 0
	}
}

// Count returns how many checks have the status.
func (r *Report) Count(s CheckStatus) int {
	n := 0
	for _, c := range r.Checks {
		if c.Status == s {
			n++
		}
	}
	return n
}

// ForStudent returns the report as if the hidden checks and their points did not exist. A
// report that only a hidden check kept from being graded is graded for the student.
func (r Report) ForStudent() Report {
	checks := make([]Check, 0, len(r.Checks))
	for _, c := range r.Checks {
		if !c.Hidden() {
			checks = append(checks, c)
		}
	}
	if len(checks) == len(r.Checks) {
		return r
	}
	r.Checks = checks
	r.Signature = nil // it covers what was taken out
	if r.Status == Errored {
		r.Message = "" // it may name a hidden check; Tally says which of the others it was
		r.Status = Graded
	}
	r.Tally()
	return r
}
