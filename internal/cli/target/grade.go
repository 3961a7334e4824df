package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/version"
)

// NewReport is a report on the lab that has no verdicts yet.
func NewReport(l *lab.Lab) result.Report {
	return result.Report{
		Schema: result.Schema, Labctl: version.Current().Version, Started: time.Now().UTC(),
		Lab: result.Lab{ID: l.ID, Title: l.Title, Version: l.Version}, MaxScore: l.Points(), Checks: []result.Check{},
	}
}

// Explain makes it the report of what kept the submission from being graded.
func Explain(r *result.Report, err error) {
	r.Finished = time.Now().UTC()
	r.Status, r.Message = result.Errored, fmt.Sprint(err)
	var refused *submission.Error
	switch {
	case errors.As(err, &refused):
		r.Status, r.Message, r.Findings = result.Rejected, "the submission was refused", refused.Findings
		r.Student, r.Submission = refused.Student, refused.Digest
	case fault.KindOf(err) == fault.Input:
		r.Status, r.Message = result.Rejected, "the API server refused the submission"
		for _, e := range kube.ApplyErrors(err) {
			r.Findings = append(r.Findings, result.Finding{File: e.Object, Field: e.Field, Message: e.Reason})
		}
	}
}

// Steps shows progress.
type Steps interface {
	Begin(step string) (end func(error))
	Note(text string)
}

// Grade grades the submission and puts the verdicts into the report. The namespace is on its
// way out when it returns, unless it is to be kept. An error says why there are no verdicts.
func (t *Target) Grade(ctx context.Context, l *lab.Lab, sub *submission.Submission, head *result.Report, keep bool, steps Steps, log io.Writer) error {
	head.Student, head.Submission = sub.Student, sub.Digest
	if err := t.Serves(ctx, l); err != nil {
		return err
	}
	g, err := t.Grading(l, sub, steps.Begin, log)
	if err != nil {
		return err
	}
	g.Keep = keep
	r, err := g.Run(ctx)
	end := steps.Begin("remove namespace " + g.Target.Namespace)
	errClean := g.Clean(ctx)
	end(errClean)
	if keep && g.Target.Namespace != "" {
		steps.Note("kept namespace " + g.Target.Namespace)
	}
	if err != nil {
		return errors.Join(err, errClean)
	}
	r.Findings = sub.Refused
	r.Labctl, r.Started, r.Student, r.Submission = head.Labctl, head.Started, head.Student, head.Submission
	*head = r
	return nil
}
