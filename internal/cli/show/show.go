// Package show implements "labctl show".
package show

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// everything is the word for all steps.
const everything = "all"

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	What    string // a step, a lab, "all", or ""
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "show [STEP|LAB|all]",
		Short: "Show the instructions: the introduction and the step you are at",
		Long: `Show prints the instructions of the lab that you started last: the introduction and the
first step that has a check which did not pass yet. With STEP, its id or number, only that
step; with "all", everything; with LAB, another lab, started or not.`,
		Example: `  labctl show
  labctl show 2
  labctl show all
  labctl show nodeport`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.What = args[0]
			}
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.AddLabs(cmd)
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Steps|course.Labs, cobra.CompletionWithDesc(everything, "the whole text"))
	return cmd
}

// Run shows the instructions.
func Run(ctx context.Context, opts *Options) error {
	c, err := course.Open(ctx, opts.Streams, &opts.Target)
	if err != nil {
		return err
	}
	l, mine, step, err := opts.choose(c)
	if err != nil {
		return err
	}
	text, err := l.Instructions()
	if err != nil {
		return err
	}
	v := view{Streams: opts.Streams, lab: l, mine: mine}
	switch {
	case opts.What == everything:
		v.markdown(text.All())
		for i := range l.Steps {
			v.step(i + 1)
		}
	case step > 0:
		v.markdown(text.Steps[step-1].Text)
		v.step(step)
	default:
		v.markdown(text.Intro)
		if _, number, ok := mine.Step(l); ok {
			v.markdown(text.Steps[number-1].Text)
			v.step(number)
		} else {
			v.markdown(text.After)
		}
	}
	if v.err != nil {
		return v.err
	}
	fmt.Fprintf(opts.Streams.Err, "Next: %s\n", next(l, mine))
	return nil
}

// choose finds out what is meant: step is 0 where no step was named.
func (o *Options) choose(c *course.Course) (l *lab.Lab, mine *student.Lab, step int, err error) {
	current, mine, errCurrent := c.Current("")
	if o.What == "" || o.What == everything {
		return current, mine, 0, errCurrent
	}
	var known []string
	if errCurrent == nil {
		if _, number, err := current.FindStep(o.What); err == nil {
			return current, mine, number, nil
		}
		for _, s := range current.Steps {
			known = append(known, s.ID)
		}
	}
	for _, l := range c.Catalog.Labs {
		if l.ID == o.What {
			return l, c.Progress.Labs[l.ID], 0, nil
		}
		known = append(known, l.ID)
	}
	what := "lab"
	if errCurrent == nil {
		what = "step of lab " + current.ID + " and no lab"
	}
	return nil, nil, 0, fault.Inputf("there is no %s %q%s", what, o.What, lab.Suggest(o.What, known)).
		WithRemedy("labctl show all, or labctl labs")
}

// next names the command to go on with.
func next(l *lab.Lab, mine *student.Lab) string {
	switch {
	case mine == nil || mine.Namespace == "":
		return "labctl start " + l.ID
	case mine.Complete(l):
		return "labctl explain"
	}
	return "labctl check"
}

// view prints parts of a lab's instructions.
type view struct {
	ui.Streams
	lab  *lab.Lab
	mine *student.Lab // nil where the lab was not started
	err  error
}

func (v *view) markdown(text string) {
	if v.err != nil || strings.TrimSpace(text) == "" {
		return
	}
	out, err := v.Markdown(text)
	if err != nil {
		v.err = err
		return
	}
	fmt.Fprintln(v.Out, out)
}

// step prints the step's questions, and its checks as they stand.
func (v *view) step(number int) {
	checks := v.lab.StepChecks(v.lab.Steps[number-1].ID)
	for _, c := range checks {
		if c.Question != nil {
			v.question(c)
		}
	}
	if len(checks) == 0 || v.err != nil {
		return
	}
	t := course.Table{Streams: v.Streams}
	heading := fmt.Sprintf("Checks of step %d:", number)
	fmt.Fprintln(v.Out, ui.Paint(v.OutTerminal, ui.Bold, heading))
	for _, c := range checks {
		t.Line(course.LevelOf(v.mine, c.ID), c.ID, c.Title)
	}
	t.Flush()
	fmt.Fprintln(v.Out)
}

// question prints a question with what there is to choose from, and how to answer it.
func (v *view) question(c lab.Check) {
	course.PrintQuestion(v.Streams, "Question "+c.ID, c)
	how := "NUMBER"
	if c.Question.Order != nil {
		numbers := make([]string, len(c.Question.Order))
		for i := range numbers {
			numbers[i] = fmt.Sprint(i + 1)
		}
		slices.Reverse(numbers)
		how = strings.Join(numbers, ",") + "   (the numbers in the order that you choose)"
	}
	fmt.Fprintf(v.Out, "  answer: labctl answer %s %s\n\n", c.ID, how)
}
