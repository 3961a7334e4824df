// Package grader turns a lab's checks into Ginkgo specs, runs them against the objects of
// one namespace and returns a report. A verdict rests on identity-checked traffic: every
// answer that counts names the pod that gave it and repeats a value that this run chose.
//
// Data flows one way: ready → probes → evidence → specs → report. The probes of
// independent checks run at the same time, before the specs assert on their evidence.
package grader

import (
	"context"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	ginkgotypes "github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// Connect opens the session that the specs of one suite share.
type Connect func(ctx context.Context) (*Session, error)

// Specs builds the specs of a lab: one Ordered container that goes on after failures, one
// spec a check, labelled with the lab's id, the check's id and "step:<id>".
// It must be called while Ginkgo builds its tree. The returned function gives the verdicts.
func Specs(l *lab.Lab, connect Connect) func() map[string]Verdict {
	verdicts := map[string]Verdict{}
	ginkgo.Describe("Lab "+l.ID, ginkgo.Ordered, ginkgo.ContinueOnFailure, ginkgo.Label(l.ID), func() {
		var session *Session
		ginkgo.BeforeAll(func(ctx ginkgo.SpecContext) {
			var err error
			session, err = connect(ctx)
			gomega.Expect(err).NotTo(gomega.HaveOccurred(), "connect to the cluster")
			// The checks outlive this node, whose own context ends with it.
			running, stop := context.WithCancel(context.WithoutCancel(ctx))
			ginkgo.DeferCleanup(stop)
			session.Start(running, selected(l))
		}, ginkgo.NodeTimeout(time.Minute))
		for _, c := range l.Checks {
			ginkgo.It(c.Title, specLabels(c), func(ctx ginkgo.SpecContext) {
				v := session.Await(ctx, c.ID)
				verdicts[c.ID] = v
				if v.Status == result.Skipped {
					ginkgo.Skip(v.Message)
				}
				gomega.Expect(v).To(pass())
			}, ginkgo.SpecTimeout(specTimeout(l)))
		}
	})
	return func() map[string]Verdict { return verdicts }
}

func specLabels(c lab.Check) ginkgo.Labels { return ginkgo.Label(c.ID, "step:"+c.Step) }

// SpecLabels returns the labels of the specs that Specs builds, in their order.
func SpecLabels(l *lab.Lab) []ginkgo.Labels {
	var all []ginkgo.Labels
	for _, c := range l.Checks {
		all = append(all, append(ginkgo.Label(l.ID), specLabels(c)...))
	}
	return all
}

// specTimeout is the hard bound of one spec: beyond all of a session's own, so that it
// only ever ends what hangs.
func specTimeout(l *lab.Lab) time.Duration {
	s := &Session{Lab: l, Timeouts: DefaultTimeouts()}
	longest := time.Duration(0)
	for _, c := range l.Checks {
		longest = max(longest, s.budget(c))
	}
	return time.Duration(s.Timeouts.Retries) * longest
}

// selected lists the checks that Ginkgo's label filter lets run. A focus by text is not
// seen here: it starts more than it shows, which costs time and no marks.
func selected(l *lab.Lab) []string {
	filter := ginkgo.GinkgoLabelFilter()
	var ids []string
	for i, labels := range SpecLabels(l) {
		if filter == "" || labels.MatchesLabelFilter(filter) {
			ids = append(ids, l.Checks[i].ID)
		}
	}
	return ids
}

// pass matches a verdict that gives the points, and otherwise tells its evidence.
func pass() types.GomegaMatcher { return &passMatcher{} }

type passMatcher struct{}

func (*passMatcher) Match(actual any) (bool, error) {
	return actual.(Verdict).Status == result.Passed, nil
}

func (*passMatcher) FailureMessage(actual any) string {
	v := actual.(Verdict)
	text := string(v.Status) + ": " + v.Message
	for _, e := range v.Evidence {
		if !e.OK {
			text += "\n  " + e.From + " → " + e.To + ": " + e.Got
		}
	}
	if v.Hint != "" {
		text += "\n  hint: " + v.Hint
	}
	return text
}

func (*passMatcher) NegatedFailureMessage(actual any) string {
	return "did not expect to pass: " + actual.(Verdict).Message
}

// Report makes the report of a lab from what Ginkgo says of its specs and from the
// verdicts. Specs that Ginkgo ended by itself (a panic, a time-out, an interrupt) are
// faults of ours.
func Report(l *lab.Lab, suite ginkgo.Report, verdicts map[string]Verdict) result.Report {
	r := result.Report{
		Schema: result.Schema, Lab: result.Lab{ID: l.ID, Title: l.Title, Version: l.Version},
		Started: suite.StartTime.UTC(), Finished: suite.EndTime.UTC(), Status: result.Graded, Checks: []result.Check{},
	}
	for _, c := range l.Checks {
		i := slices.IndexFunc(suite.SpecReports, func(s ginkgo.SpecReport) bool {
			return slices.Contains(s.Labels(), c.ID)
		})
		if i < 0 {
			continue
		}
		r.Checks = append(r.Checks, entry(c, suite.SpecReports[i], verdicts))
	}
	r.Tally()
	return r
}

func entry(c lab.Check, spec ginkgo.SpecReport, verdicts map[string]Verdict) result.Check {
	v, judged := verdicts[c.ID]
	switch {
	case !judged:
		v = Verdict{Status: result.Error, Message: orElse(spec.FailureMessage(), "the check did not run: "+spec.State.String())}
	case v.Status == result.Passed && !spec.State.Is(ginkgotypes.SpecStatePassed):
		v.Status, v.Message = result.Error, spec.FailureMessage()
	}
	return ResultOf(c, v)
}

// ResultOf is a verdict as a report has it.
func ResultOf(c lab.Check, v Verdict) result.Check {
	check := result.Check{
		ID: c.ID, Title: c.Title, Step: c.Step, Status: v.Status, MaxPoints: c.Points,
		Message: v.Message, Hint: v.Hint, Seconds: v.Seconds, Evidence: v.Evidence, Visibility: c.Visibility,
	}
	switch v.Status {
	case result.Passed:
		check.Points, check.Hint = c.Points, ""
	case result.Failed:
		if check.Hint == "" && len(c.Hints) > 0 {
			check.Hint = c.Hints[0]
		}
	}
	return check
}
