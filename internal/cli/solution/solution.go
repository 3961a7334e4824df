// Package solution implements "labctl solution".
package solution

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Step    string
	GiveUp  bool
	Full    bool // whole files instead of what differs
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "solution STEP",
		Short: "Show how a step is solved, once it is passed or given up",
		Long: `Solution prints what the solution changes in the starter's files, as a diff, and the
answers to the step's questions with the reason. It is there for a step that you passed, to
compare; with --give-up also before, which your progress and your submission record.`,
		Example: `  labctl solution 2
  labctl solution backend --give-up --full`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Step = args[0]
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.AddLabs(cmd)
	cmd.Flags().BoolVar(&opts.GiveUp, "give-up", false, "show it before the step is passed; this is recorded")
	cmd.Flags().BoolVar(&opts.Full, "full", false, "print whole files")
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Steps)
	return cmd
}

// Run shows the solution of a step.
func Run(ctx context.Context, opts *Options) error {
	c, l, mine, err := course.OpenLab(ctx, opts.Streams, &opts.Target, "")
	if err != nil {
		return err
	}
	step, number, err := l.FindStep(opts.Step)
	if err != nil {
		return err
	}
	checks := l.StepChecks(step.ID)
	if mine.Count(checks) < len(checks) && !mine.Gave(step.ID) {
		if !opts.GiveUp {
			return fault.Inputf("step %s is not passed yet: %d of %d checks", step.ID, mine.Count(checks), len(checks)).
				WithRemedy("labctl hint; or labctl solution %s --give-up, which is recorded", step.ID)
		}
		if err := opts.giveUp(ctx, c, l, step, number); err != nil {
			return err
		}
	}
	if err := opts.files(l, number); err != nil {
		return err
	}
	opts.answers(checks)
	return nil
}

// giveUp records it: for every step where the solution cannot be shown for one alone.
func (o *Options) giveUp(ctx context.Context, c *course.Course, l *lab.Lab, step lab.Step, number int) error {
	steps := []lab.Step{step}
	if _, known, err := student.StepFiles(l, number); err != nil {
		return err
	} else if !known {
		steps = l.Steps
	}
	_, err := c.Update(ctx, l, func(_ *student.Progress, mine *student.Lab) {
		for _, s := range steps {
			mine.GiveUp(l, s.ID, c.Now())
		}
	})
	if err == nil {
		fmt.Fprintf(o.Streams.Err, "labctl: note: recorded as given up: %s\n", titles(steps))
	}
	return err
}

func titles(steps []lab.Step) string {
	ids := make([]string, len(steps))
	for i, s := range steps {
		ids[i] = s.ID
	}
	return strings.Join(ids, ", ")
}

// files prints what the solution changes in the step's files.
func (o *Options) files(l *lab.Lab, number int) error {
	changes, err := student.Solutions(l)
	if err != nil {
		return err
	}
	names, known, err := student.StepFiles(l, number)
	if err != nil {
		return err
	}
	if !known && len(changes) > 0 {
		fmt.Fprintf(o.Streams.Err, "labctl: note: the files do not say which step they belong to; this is the whole solution\n")
	}
	if known && len(names) == 0 {
		fmt.Fprintln(o.Streams.Out, "The solution changes no file in this step.")
	}
	for _, s := range changes {
		if known && !contains(names, s.Name) {
			continue
		}
		if err := o.file(s); err != nil {
			return err
		}
	}
	return nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// file prints one file, or what differs in it. Answers are printed with their questions.
func (o *Options) file(s student.Solution) error {
	if s.Name == "answers.yaml" || s.Name == "answers.yml" {
		return nil
	}
	if o.Full {
		text := string(s.Solved)
		if s.Solved == nil {
			text = "(the solution has no such file)\n"
		}
		_, err := fmt.Fprintf(o.Streams.Out, "# %s\n%s\n", s.Name, text)
		return err
	}
	text := diff.Diff("starter/"+s.Name, s.Starter, "solution/"+s.Name, s.Solved)
	for line := range strings.Lines(string(text)) {
		style := ui.Style("")
		switch {
		case strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
			style = ui.Bold
		case line[0] == '+':
			style = ui.Green
		case line[0] == '-':
			style = ui.Red
		}
		line = strings.TrimSuffix(line, "\n")
		if _, err := io.WriteString(o.Streams.Out, ui.Paint(o.Streams.OutTerminal && style != "", style, line)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// answers prints the answers to the questions among the checks, and why.
func (o *Options) answers(checks []lab.Check) {
	for _, c := range checks {
		q := c.Question
		if q == nil {
			continue
		}
		answer := q.Answer
		switch {
		case q.Order != nil:
			answer = strings.Join(q.Order, ", then ")
		case q.Predict != nil:
			answer = "whatever labctl check sees when it tries; the reason below says what that is"
		}
		course.PrintAsked(o.Streams, "Question "+c.ID, c)
		o.Streams.Line("  answer  ", answer)
		o.Streams.Line("  why     ", strings.TrimSpace(q.Why))
	}
}
