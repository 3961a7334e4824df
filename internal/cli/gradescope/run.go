package gradescope

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/gradescope"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
)

// RunOptions are the inputs of "labctl gradescope run".
type RunOptions struct {
	Streams ui.Streams
	Root    string
}

func newRunCmd(streams ui.Streams, run func(context.Context, *RunOptions) error) *cobra.Command {
	opts := &RunOptions{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Do the autograder's work in Gradescope's container",
		Long: `Run is what the autograder that build made calls in Gradescope's container: it reads the
submission, does what the autograder was built for, and writes results/results.json.
It ends with 0 whenever that file says what became of the submission, as Gradescope
wants it, also where there is no grade. What it prints is for instructors.`,
		Example: `  labctl gradescope run --root /autograder`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	cmd.Flags().StringVar(&opts.Root, "root", string(gradescope.DefaultRoot), "the folder in which Gradescope has everything")
	return cmd
}

// job is the work on one submission.
type job struct {
	opts    *RunOptions
	root    gradescope.Root
	config  gradescope.Config
	lab     *lab.Lab
	report  result.Report
	began   time.Time
	secrets []string // never printed
}

// trouble is a fault of ours: what students read of it. The error is the instructor's.
type trouble struct {
	error
	told string
}

func (t *trouble) Unwrap() error { return t.error }

// Run works on the submission in the container.
func Run(ctx context.Context, opts *RunOptions) error {
	if info, err := os.Stat(opts.Root); err != nil || !info.IsDir() {
		return fault.Inputf("there is no folder %s: this is not Gradescope's container", opts.Root).
			WithRemedy("to make an autograder: labctl gradescope build; to try it elsewhere: --root DIR")
	}
	j := &job{opts: opts, root: gradescope.Root(opts.Root), began: time.Now()}
	j.report = result.Report{Schema: result.Schema, Started: j.began.UTC(), Checks: []result.Check{}}
	err := j.open()
	if err == nil {
		err = j.grade(ctx)
	}
	j.explain(err)
	if err := j.root.Write(j.config, j.report); err != nil {
		return fault.Environmentf("tell Gradescope: %w", err).WithRemedy("labctl gradescope run --root DIR, where DIR can be written")
	}
	return nil
}

// open finds out what the autograder was built for. Until there is more to say, the results say
// that it was ended.
func (j *job) open() error {
	var err error
	if j.config, err = j.root.Config(); err != nil {
		return err
	}
	ended := j.report
	ended.Finished, ended.Status = ended.Started, result.Errored
	ended.Message = "The grader was ended before it was done. Your instructor can run the autograder again."
	if err := j.root.Write(j.config, ended); err != nil {
		return err
	}
	flags := target.Flags{}
	if j.config.Own {
		flags.Labs = []string{j.root.Labs()}
	}
	catalog, err := flags.Catalog()
	if err != nil {
		return err
	}
	if j.lab, err = catalog.Lab(j.config.Lab); err != nil {
		return err
	}
	if j.lab.Version != j.config.LabVersion {
		return fault.Environmentf("the autograder was built for version %s of lab %s, and its labctl has %s", j.config.LabVersion, j.lab.ID, j.lab.Version).
			WithRemedy("build it anew, with a labctl of the same release: labctl gradescope build")
	}
	started := j.report.Started
	j.report = target.NewReport(j.lab)
	j.report.Started = started
	return nil
}

// grade reads what was handed in, and does with it what the mode says.
func (j *job) grade(ctx context.Context) error {
	meta, err := j.root.Metadata()
	if err != nil {
		j.say("note: %v; no grade depends on it", err)
	}
	j.say("submission\t%s\t%s", meta.ID, meta.Names())
	j.say("lab\t%s\tversion %s\tmode %s", j.lab.ID, j.lab.Version, j.config.Mode)
	defer meta.Apply(&j.report)
	path, err := j.root.Handed()
	if err != nil {
		return err
	}
	if j.config.Mode == gradescope.Queue {
		return j.queue(ctx, path)
	}
	sub, err := submission.Read(path, target.Limits(j.lab))
	if err != nil {
		return err
	}
	j.report.Submission = sub.Digest
	gradescope.Examine(j.lab, sub, j.config.Points, &j.report)
	return nil
}

// explain completes the report, and tells the instructor what came of it.
func (j *job) explain(err error) {
	r := &j.report
	r.Finished = time.Now().UTC()
	var refused *submission.Error
	var known *trouble
	switch {
	case err == nil:
	case errors.As(err, &refused):
		student, person := r.Student, r.Person
		target.Explain(r, err)
		r.Student, r.Person = student, person
	default:
		// What went wrong in detail names machines that are none of a student's business.
		r.Status, r.Checks = result.Errored, []result.Check{}
		r.Message = "The grader could not do its work. Your instructor sees why in the autograder's output, and can run it again."
		if errors.As(err, &known) {
			r.Message = known.told
		}
		j.say("error: %v", err)
		if remedy := fault.RemedyOf(err); remedy != "" {
			j.say("hint: %s", remedy)
		}
	}
	status := string(r.Status)
	if r.Status == result.Graded && j.config.Mode == gradescope.Manifests {
		status = "read"
	}
	j.say("%s\t%s", status, r.Submission)
	for _, f := range r.Findings {
		j.say("refused\t%s\t%s\t%s", f.File, f.Field, f.Message)
	}
	if r.Status == result.Graded {
		j.say("score\t%s/%s", result.Points(r.Score), result.Points(r.MaxScore))
	}
	for _, c := range r.Checks {
		j.say("%s\t%s\t%s/%s\t%s", c.Status, c.ID, result.Points(c.Points), result.Points(c.MaxPoints), c.Message)
	}
}

// say prints a line for instructors: Gradescope keeps what is printed from students.
func (j *job) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, s := range j.secrets {
		text = strings.ReplaceAll(text, s, "xxxxx")
	}
	fmt.Fprintln(j.opts.Streams.Out, ui.CleanLines(text))
}
