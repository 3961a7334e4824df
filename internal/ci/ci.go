// Package ci speaks to the pipelines that labctl runs in: it folds their logs, annotates what
// failed, and leaves the summary and the outputs where they look for them. Text of a
// submission never becomes a command of theirs.
package ci

import (
	"fmt"
	"io"
	"path"
	"strings"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
)

// Platform is a pipeline.
type Platform interface {
	// Name is "GitHub Actions", "GitLab CI/CD", or "" where labctl runs on its own.
	Name() string
	// Student is whose work it is, as far as the pipeline knows; or "".
	Student() string
	// Fold begins a part of the log that people can fold away. Whatever is printed until its
	// end is text and nothing else.
	Fold(title string) (end func())
	// Publish tells the pipeline what came out.
	Publish(o Outcome) error
	// EngineRemedy is how a job gets a container engine there.
	EngineRemedy() string
}

// Outcome is what a run of labctl ci came to.
type Outcome struct {
	Reports []result.Report // one a lab
	// Sources are the submissions' paths from the top of the repository, by lab.
	Sources map[string]string
	Status  Status
	Summary string // Markdown
	Dir     string // where results are; files for the pipeline go there, too
	// Trouble is why not everything could be graded; nil where it could.
	Trouble error
}

// Status is the whole run in a word.
type Status string

// The ends of a run, by their gravity.
const (
	Passed   Status = "passed"
	Failed   Status = "failed"   // fewer points than asked for
	Rejected Status = "rejected" // some submission was refused
	Errored  Status = "error"    // ours: something could not be graded
)

// Score returns the points of all labs, and how many there are. What is not graded has none
// of the first.
func (o *Outcome) Score() (score, most float64) {
	for i := range o.Reports {
		r := &o.Reports[i]
		if r.Status == result.Graded {
			score += r.Score
		}
		most += r.MaxScore
	}
	return score, most
}

// Percent is the score of a hundred; 0 where nothing can be had.
func (o *Outcome) Percent() float64 {
	score, most := o.Score()
	if most == 0 {
		return 0
	}
	return 100 * score / most
}

// values are the outputs, in order. A run that is not graded has no score, which is not 0.
func (o *Outcome) values() [][2]string {
	points, most := o.Score()
	score, percent := result.Points(points), fmt.Sprintf("%.1f", o.Percent())
	if o.Status == Errored {
		score, percent = "", ""
	}
	return [][2]string{
		{"status", string(o.Status)}, {"score", score}, {"max-score", result.Points(most)}, {"percent", percent}, {"report", o.Dir},
	}
}

// Detect finds out where labctl runs. env is os.Getenv; the log is where the pipeline reads
// commands.
func Detect(env func(string) string, log io.Writer) Platform {
	switch {
	case env("GITHUB_ACTIONS") == "true":
		return &gitHub{env: env, log: log}
	case env("GITLAB_CI") == "true":
		return &gitLab{env: env, log: log}
	}
	return plain{log}
}

// plain is no pipeline that labctl knows.
type plain struct{ log io.Writer }

func (plain) Name() string          { return "" }
func (plain) Student() string       { return "" }
func (plain) Publish(Outcome) error { return nil }

func (p plain) Fold(title string) func() {
	fmt.Fprintf(p.log, "== %s\n", oneLine(title, titleLimit))
	return func() {}
}

func (plain) EngineRemedy() string {
	return "give the job Docker on a Linux machine, or a privileged container with an engine of its own (docs/ci.md); then see: labctl doctor"
}

// notice is one thing that people should see without opening a log.
type notice struct {
	bad         bool
	title, text string
	file        string // from the top of the repository; "" where it is about no file
}

// notices are the findings, the failed checks and the trouble, the worst first.
func (o *Outcome) notices() []notice {
	var all []notice
	if o.Trouble != nil {
		all = append(all, notice{true, "labctl: not everything could be graded", o.Trouble.Error(), ""})
	}
	for i := range o.Reports {
		full := &o.Reports[i]
		seen := full.ForStudent()
		for _, f := range full.Findings {
			text := f.Message
			if f.Field != "" {
				text = f.Field + ": " + text
			}
			if f.Document > 0 {
				text = fmt.Sprintf("document %d: %s", f.Document, text)
			}
			what := ": the submission is refused"
			if full.Status == result.Graded {
				what = ": an object is refused and left out"
			}
			all = append(all, notice{true, full.Lab.ID + what, text, o.file(full.Lab.ID, f.File)})
		}
		if full.Status == result.Missing {
			all = append(all, notice{true, full.Lab.ID + ": nothing was handed in", full.Message, ""})
		}
		if full.Status != result.Graded {
			continue
		}
		for _, c := range seen.Checks {
			if c.Status != result.Failed {
				continue
			}
			text := c.Message
			if c.Hint != "" {
				text += ". Hint: " + c.Hint
			}
			title := fmt.Sprintf("%s: %s (%s of %s points)", full.Lab.ID, c.ID, result.Points(c.Points), result.Points(c.MaxPoints))
			all = append(all, notice{true, title, text, o.Sources[full.Lab.ID]})
		}
	}
	if o.Status == Errored {
		return all
	}
	score, most := o.Score()
	title := fmt.Sprintf("labctl: %s of %s points", result.Points(score), result.Points(most))
	return append(all, notice{false, title, fmt.Sprintf("%s (%.1f%%)", o.Status, o.Percent()), ""})
}

// file is where a finding's file is in the repository, as far as it is a file there.
func (o *Outcome) file(labID, name string) string {
	source := o.Sources[labID]
	if source == "" || name == "" || submission.ArchiveKind(source) != "" || strings.Contains(name, "..") {
		return source
	}
	if path.Base(source) == name {
		return source // a single file
	}
	return path.Join(source, name)
}
