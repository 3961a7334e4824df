package ci

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/ci"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/export"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// publish writes the results, tells the pipeline, and turns them into the exit code.
func (j *job) publish(trouble error) error {
	o := ci.Outcome{Sources: map[string]string{}, Dir: j.opts.Out}
	var summary strings.Builder
	for _, h := range j.handed {
		if h.report.Status == "" { // nobody came to it
			target.Explain(&h.report, trouble)
		}
		h.report.Student = j.student(h.report)
		if !j.opts.submitted.IsZero() {
			at := j.opts.submitted.UTC()
			h.report.Submitted = &at
		}
		if err := j.write(h, &summary); err != nil {
			return err
		}
		o.Reports = append(o.Reports, h.report)
		o.Sources[h.lab.ID] = source(h.path)
	}
	o.Status = status(o, j.opts.MinScore)
	if trouble == nil {
		trouble = errored(o.Reports)
	}
	o.Trouble, o.Summary = trouble, summary.String()
	if trouble != nil {
		o.Summary = fmt.Sprintf("> **Not everything could be graded**, which costs no marks. The results have the diagnostics.\n\n%s", o.Summary)
	}
	if err := home.Replace(filepath.Join(j.opts.Out, "summary.md"), []byte(o.Summary), 0o644); err != nil {
		return fault.Environmentf("write the summary: %w", err).WithRemedy("choose another folder: --out DIR")
	}
	if err := j.platform.Publish(o); err != nil {
		return fault.Environmentf("tell %s: %w", j.platform.Name(), err)
	}
	if score, most := o.Score(); o.Status != ci.Errored {
		fmt.Fprintf(j.opts.Streams.Out, "Score: %s/%s (%.1f%%)\n", result.Points(score), result.Points(most), o.Percent())
	}
	fmt.Fprintf(j.opts.Streams.Err, "Results: %s\n", j.opts.Out)
	switch o.Status {
	case ci.Errored:
		return trouble
	case ci.Rejected:
		return &ui.ExitError{Code: int(fault.Input)}
	case ci.Failed:
		return &ui.ExitError{Code: 1}
	case ci.Passed:
	}
	return nil
}

// student is whose report it is: who was named, who the pipeline runs for, or what the
// folder is called.
func (j *job) student(r result.Report) string {
	for _, name := range []string{j.opts.Student, j.platform.Student(), r.Student} {
		if name != "" {
			return name
		}
	}
	return "student"
}

// status is the worst of all.
func status(o ci.Outcome, minScore float64) ci.Status {
	worst := ci.Passed
	if o.Percent() < minScore {
		worst = ci.Failed
	}
	for _, r := range o.Reports {
		switch {
		case r.Status == result.Errored:
			return ci.Errored
		case r.Status == result.Rejected:
			worst = ci.Rejected
		case r.Status == result.Missing && worst == ci.Passed && minScore > 0:
			worst = ci.Failed
		}
	}
	return worst
}

// errored is the error of the reports that have one.
func errored(reports []result.Report) error {
	for _, r := range reports {
		if r.Status == result.Errored {
			return fault.Environmentf("lab %s is not graded, no marks given or taken: %s", r.Lab.ID, r.Message).
				WithRemedy("look at the diagnostics in the results, then run the job again")
		}
	}
	return nil
}

// write writes one lab's results into a folder of its own.
func (j *job) write(h *handed, summary *strings.Builder) error {
	dir := filepath.Join(j.opts.Out, h.lab.ID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Environmentf("make the folder for the results: %w", err).WithRemedy("choose another: --out DIR")
	}
	seen := h.report.ForStudent() // a pipeline of a student's is open to the student
	if err := grader.WriteReport(filepath.Join(dir, "report.json"), seen); err != nil {
		return err
	}
	class := &export.Class{Lab: h.report.Lab, Reports: []result.Report{seen}}
	options := export.Options{Environment: environment(), Submitted: j.opts.submitted}
	for _, name := range append([]string{"html", "junit", "markdown"}, j.opts.Formats...) {
		made, err := class.Export(name, options)
		if err != nil && seen.Status == result.Errored {
			continue // such a format has no word for what is not graded
		}
		if err != nil {
			return err
		}
		for _, f := range made.Files {
			file := filepath.Join(dir, fileName(name, f.Name))
			if err := home.Replace(file, f.Data, 0o644); err != nil {
				return fault.Environmentf("write %s: %w", file, err).WithRemedy("choose another folder: --out DIR")
			}
			if name == "markdown" {
				summary.Write(f.Data)
				summary.WriteString("\n")
			}
		}
	}
	return nil
}

// fileName is one that a pipeline can know beforehand.
func fileName(format, made string) string {
	switch format {
	case "html":
		return "report.html"
	case "markdown":
		return "summary.md"
	}
	return format + filepath.Ext(made)
}

func environment() map[string]string {
	all := map[string]string{}
	for _, name := range export.Classroom50Variables() {
		if value, ok := os.LookupEnv(name); ok {
			all[name] = value
		}
	}
	return all
}
