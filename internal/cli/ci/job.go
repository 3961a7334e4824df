package ci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"labctl.dev/labctl/internal/ci"
	"labctl.dev/labctl/internal/cli/doctor"
	"labctl.dev/labctl/internal/cli/furnish"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
)

// handed is what there is for one lab.
type handed struct {
	lab    *lab.Lab
	path   string
	sub    *submission.Submission // nil: there is nothing to grade
	report result.Report
}

// job is one run.
type job struct {
	opts     *Options
	platform ci.Platform
	handed   []*handed
	findings []doctor.Finding
	tools    *furnish.Tools // nil: there is no engine
}

// read reads what was handed in, so that what is refused needs no cluster. Only what the
// caller did wrong is an error.
func (o *Options) read(catalog *lab.Catalog) ([]*handed, error) {
	if _, err := os.Stat(o.Path); err != nil {
		return nil, fault.Inputf("find the submission: %w", err).WithRemedy("labctl ci PATH --lab %s", o.Labs[0])
	}
	var all []*handed
	for _, id := range o.Labs {
		l, err := catalog.Lab(id)
		if err != nil {
			return nil, err
		}
		for _, h := range all {
			if h.lab == l {
				return nil, fault.Inputf("--lab names %s twice", id).WithRemedy("name each lab once")
			}
		}
		h := &handed{lab: l, path: o.Path, report: target.NewReport(l)}
		if len(o.Labs) > 1 {
			h.path = filepath.Join(o.Path, id)
		}
		all = append(all, h)
		if _, err := os.Stat(h.path); errors.Is(err, os.ErrNotExist) {
			h.report.Status, h.report.Message = result.Missing, fmt.Sprintf("there is no folder %s", h.path)
			h.report.Finished = time.Now().UTC()
			continue
		}
		h.sub, err = submission.Read(h.path, target.Limits(l))
		if err != nil {
			target.Explain(&h.report, err)
		}
	}
	return all, nil
}

// grade grades what can be graded; an error says why the rest could not.
func (j *job) grade(ctx context.Context) error {
	some := false
	for _, h := range j.handed {
		some = some || h.sub != nil
	}
	if !some {
		return nil
	}
	bounded, cancel, explain := furnish.Within(ctx, j.opts.Timeout, "run labctl ci again")
	defer cancel()
	err := j.examine(bounded)
	if err == nil {
		var existed bool
		existed, err = j.up(bounded)
		if !existed && !j.opts.Keep {
			defer j.down(ctx)
		}
	}
	if err == nil {
		err = j.gradeAll(bounded)
	}
	if ctx.Err() == nil && (err != nil || j.errored()) {
		j.diagnose(ctx)
	}
	return explain(err)
}

func (j *job) errored() bool {
	for _, h := range j.handed {
		if h.report.Status == result.Errored {
			return true
		}
	}
	return false
}

// examine asks the doctor. What stands in the way is one error that names the remedy of the
// pipeline, which is another than a person's.
func (j *job) examine(ctx context.Context) error {
	defer j.platform.Fold("Check the machine")()
	p := ui.NewProgress(j.opts.Streams)
	j.findings = doctor.Examine(ctx, j.opts.Target.Provider, p)
	p.Close()
	var first *doctor.Finding
	for i, f := range j.findings {
		j.say("%s\t%s\t%s", f.Level, f.Check, f.Found)
		if f.Remedy != "" {
			j.say("\tremedy\t%s", f.Remedy)
		}
		if f.Level == doctor.Failure && first == nil {
			first = &j.findings[i]
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case first == nil:
		return nil
	case first.Check == "engine" || first.Check == "capabilities":
		return fault.Environmentf("this job cannot run a cluster: %s", first.Found).WithRemedy("%s", j.platform.EngineRemedy())
	}
	return fault.Environmentf("this job cannot run a cluster: %s: %s", first.Check, first.Found).WithRemedy("%s", first.Remedy)
}

// up makes the cluster; one that was there stays afterwards.
func (j *job) up(ctx context.Context) (existed bool, err error) {
	defer j.platform.Fold("Make the cluster")()
	p := ui.NewProgress(j.opts.Streams)
	defer p.Close()
	if j.tools, err = furnish.Open(ctx, j.opts.Target.Provider, p); err != nil {
		return true, err
	}
	state, err := home.State()
	if err != nil {
		return true, err
	}
	if _, err := j.tools.Clusters.Find(ctx, j.opts.Target.Name); err == nil {
		existed = true
	} else if !errors.Is(err, cluster.ErrNone) {
		return true, err // somebody else's, or a broken one: not ours to remove
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return true, fault.Environmentf("make the state folder: %w", err).WithRemedy("set LABCTL_STATE to a folder that can be written")
	}
	_, err = j.tools.Up(ctx, furnish.Wanted{
		Name: j.opts.Target.Name, Workers: cluster.AsItIs, NodeImage: j.opts.NodeImage, LoadBalancer: j.opts.LoadBalancer,
		Kubeconfig: filepath.Join(state, "ci-kubeconfig"), Purpose: "labctl ci",
	}, p)
	return existed, err
}

// down removes the cluster, also after an interrupt.
func (j *job) down(ctx context.Context) {
	defer j.platform.Fold("Remove the cluster")()
	p := ui.NewProgress(j.opts.Streams)
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	unlock, err := j.tools.Clusters.Lock(ctx, j.opts.Target.Name, "labctl ci")
	if err == nil {
		_, err = j.tools.Down(ctx, j.opts.Target.Name, p)
		unlock()
	}
	if err != nil {
		p.Note(fmt.Sprintf("the cluster stays: %v", err))
	}
}

func (j *job) gradeAll(ctx context.Context) error {
	for _, h := range j.handed {
		if h.sub == nil {
			continue
		}
		if err := j.gradeOne(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// gradeOne grades one lab. Only what keeps the others from being graded, too, is an error.
func (j *job) gradeOne(ctx context.Context, h *handed) error {
	defer j.platform.Fold("Grade lab " + h.lab.ID)()
	p := ui.NewProgress(j.opts.Streams)
	defer p.Close()
	t, err := j.opts.Target.Open(ctx, p)
	if err != nil {
		return err
	}
	if err := t.Grade(ctx, h.lab, h.sub, &h.report, false, p, nil); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		target.Explain(&h.report, err)
	}
	p.Close()
	return ui.WriteReport(j.opts.Streams.Err, 0, h.report.ForStudent())
}
