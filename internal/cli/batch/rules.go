package batch

import (
	"crypto/ed25519"
	"time"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/cli/report"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// rules complete a report: what being late costs, and who made it.
type rules struct {
	due  time.Time
	late class.Rule
	key  ed25519.PrivateKey
}

// rules reads the options that say how, before anything is done.
func (o *Options) rules() (*rules, error) {
	r := &rules{}
	var err error
	if (o.Due == "") != (o.Late == "") {
		return nil, fault.Inputf("--due says when, and --late what being late costs: both are needed").
			WithRemedy("--due 2026-11-20 --late '10%%/day,max 50%%'")
	}
	if o.Due != "" {
		if r.due, err = class.ParseDue(o.Due, nil); err != nil {
			return nil, err
		}
		if r.late, err = class.ParseLate(o.Late); err != nil {
			return nil, err
		}
	}
	if o.Sign != "" {
		if r.key, err = report.ReadPrivateKey(o.Sign); err != nil {
			return nil, err
		}
	}
	if o.Similar < 0 || o.Similar > 1 {
		return nil, fault.Inputf("--similar %v is not between 0 and 1", o.Similar).WithRemedy("--similar 0.8")
	}
	return r, nil
}

// note writes the rule into the batch's book.
func (r *rules) note(b *batch.Book) {
	b.Due, b.Late = nil, ""
	if !r.due.IsZero() {
		due := r.due.UTC()
		b.Due, b.Late = &due, r.late.String()
	}
}

// finish completes a report before it is written.
func (r *rules) finish(report *result.Report) error {
	if !r.due.IsZero() {
		r.late.Apply(report, r.due)
	}
	if r.key == nil {
		return nil
	}
	return report.Sign(r.key)
}
