package check

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/exercise"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
)

// What somebody who waits at a screen has patience for.
const (
	patience        = 20 * time.Second // until workloads are ready
	addressPatience = 40 * time.Second // until a load balancer has an address: it looks every 30 s
)

// bench is one lab with the student's work on it.
type bench struct {
	opts   *Options
	course *course.Course
	lab    *lab.Lab
	mine   *student.Lab
	checks []lab.Check // to carry out
}

// session opens the cluster and the student's namespace in it. The session's watches end
// with ctx.
func (b *bench) session(ctx context.Context, progress *ui.Progress) (*grader.Session, error) {
	t, err := b.opts.Target.Open(ctx, progress)
	if err != nil {
		return nil, err
	}
	place := &exercise.Place{
		API: t.API, Cluster: t.Cluster.Name, Context: t.Cluster.Context, Server: t.API.Host(), Kubeconfig: t.Cluster.UserKubeconfig,
	}
	switch there, err := place.Exercise(b.lab, progress.Begin).Look(ctx); {
	case err != nil:
		return nil, err
	case !there:
		return nil, fault.Inputf("cluster %q has no namespace for lab %s: it was removed, or the cluster was made anew", t.Cluster.Name, b.lab.ID).
			WithRemedy("labctl start %s%s", b.lab.ID, course.Option(t.Cluster.Name))
	}
	user, err := place.CheckContext()
	if err != nil {
		return nil, err
	}
	if user.Current != "" && user.Current != t.Cluster.Context {
		progress.Note(fmt.Sprintf("kubectl speaks to context %s, and this lab is in %s: kubectl config use-context %s", user.Current, t.Cluster.Context, t.Cluster.Context))
	}
	if err := t.Serves(ctx, b.lab); err != nil {
		return nil, err
	}
	namespace := b.mine.Namespace
	if namespace == "" {
		namespace = b.lab.ID
	}
	s, err := grader.Open(ctx, b.lab, t.API, grader.Target{Namespace: namespace, Cluster: t.Cluster.Name}, t.Places(namespace))
	if err != nil {
		return nil, err
	}
	s.Patience, s.Timeouts.Address = patience, addressPatience
	s.Answers, err = b.answers()
	return s, err
}

// answers reads what the student answered in the working folder.
func (b *bench) answers() (map[string][]string, error) {
	if b.mine.Folder == "" {
		return nil, nil
	}
	if _, err := os.Stat(b.mine.Folder); err != nil {
		return nil, nil // gone: "labctl reset" brings it back, and what is applied can be checked without
	}
	return submission.ReadAnswers(b.mine.Folder, b.lab.Questions())
}

// results gives every verdict as soon as it is there. What the checks depend on is among them
// where it did not pass: it is why they were skipped.
func (b *bench) results(ctx context.Context, s *grader.Session) <-chan result.Check {
	visible := b.lab.Visible()
	all := make(chan result.Check, len(visible))
	var group sync.WaitGroup
	for _, c := range visible {
		asked := slices.Contains(ids(b.checks), c.ID)
		if !asked && !slices.ContainsFunc(b.checks, func(a lab.Check) bool { return b.lab.DependsOn(a.ID, c.ID) }) {
			continue
		}
		group.Go(func() {
			if r := grader.ResultOf(c, s.Await(ctx, c.ID)); asked || r.Status != result.Passed {
				all <- r
			}
		})
	}
	go func() { group.Wait(); close(all) }()
	return all
}

// record keeps the verdicts: in the student's progress, and as the last report, which keeps
// what it knew of checks that were not carried out now.
func (b *bench) record(ctx context.Context, r result.Report) ([]student.Change, error) {
	var changes []student.Change
	mine, err := b.course.Update(ctx, b.lab, func(p *student.Progress, _ *student.Lab) {
		changes = p.Record(b.lab, r, time.Now())
	})
	if err != nil {
		return nil, err
	}
	b.mine = mine
	if before, ok, err := b.course.Store.LoadReport(b.lab.ID); err == nil && ok {
		for _, c := range before.Checks {
			if known, ok := b.lab.Check(c.ID); ok && !known.Hidden() && student.Verdict(r, c.ID) == nil {
				r.Checks = append(r.Checks, c)
			}
		}
		b.order(&r)
		r.Status = result.Graded
		r.Tally()
	}
	return changes, b.course.Store.SaveReport(b.lab.ID, r)
}

// standing is how the lab's checks stand by the progress.
func (b *bench) standing() map[string]result.CheckStatus {
	all := map[string]result.CheckStatus{}
	for _, c := range b.lab.Visible() {
		if known := b.mine.Checks[c.ID]; known != nil {
			all[c.ID] = known.Status
		}
	}
	return all
}

// outlook says where the student is in the lab, and the command to go on with. Withheld are
// checks that are left out while somebody watches, green those that have just passed: who has
// completed a step is led to the next one, and not to a hint on what is still to be learned there.
func (b *bench) outlook(status map[string]result.CheckStatus, withheld, green []string) []string {
	passed := func(c lab.Check) bool { return status[c.ID] == result.Passed }
	var open []lab.Check // the first step's first, as the student goes
	for _, s := range b.lab.Steps {
		open = append(open, slices.DeleteFunc(b.lab.StepChecks(s.ID), passed)...)
	}
	if len(open) == 0 {
		return b.solved()
	}
	left := slices.DeleteFunc(slices.Clone(open), func(c lab.Check) bool { return slices.Contains(withheld, c.ID) })
	at := slices.IndexFunc(b.lab.Steps, func(s lab.Step) bool { return !every(b.lab.StepChecks(s.ID), passed) })
	completed := at > 0 && slices.ContainsFunc(b.lab.StepChecks(b.lab.Steps[at-1].ID), func(c lab.Check) bool { return slices.Contains(green, c.ID) })
	failed := slices.IndexFunc(open, func(c lab.Check) bool { return status[c.ID] == result.Failed })
	switch {
	case failed >= 0 && (!completed || len(left) == 0):
		return []string{"Next: labctl hint " + open[failed].ID}
	case len(left) == 0:
		return []string{
			"All else passes. Left out here, for it takes pods away or restarts them: " + join(ids(open)), "Next: labctl check",
		}
	case at == 0:
		return []string{"Next: labctl show " + b.lab.Steps[at].ID}
	}
	return []string{fmt.Sprintf("Step %d of %d is complete.", at, len(b.lab.Steps)), "Next: labctl show " + b.lab.Steps[at].ID}
}

func every(checks []lab.Check, is func(lab.Check) bool) bool {
	return !slices.ContainsFunc(checks, func(c lab.Check) bool { return !is(c) })
}

// solved names what comes after the lab.
func (b *bench) solved() []string {
	lines := []string{fmt.Sprintf("Lab %s is solved: all %d checks pass.", b.lab.ID, len(b.lab.Visible())), "Next: labctl explain"}
	all := b.course.Catalog.Labs
	i := slices.IndexFunc(all, func(l *lab.Lab) bool { return l.ID == b.lab.ID })
	if i >= 0 && i+1 < len(all) {
		lines[1] += ", then labctl start " + all[i+1].ID
	}
	return lines
}

func join(names []string) string { return strings.Join(names, ", ") }
