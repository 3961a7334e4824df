// Package hint implements "labctl hint".
package hint

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Check   string // "" is the first of the current step that does not pass
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "hint [CHECK]",
		Short: "Show the next hint on a check",
		Long: `Hint tells one thing more at each call: first what the last "labctl check" saw, then the
lab's own hints, from gentle to plain. Without CHECK it is about the first check of the
step that you are at which does not pass.`,
		Example: `  labctl hint
  labctl hint backend-reaches-db`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.Check = args[0]
			}
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.AddLabs(cmd)
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Checks)
	return cmd
}

// Run shows the next hint.
func Run(ctx context.Context, opts *Options) error {
	c, l, mine, err := course.OpenLab(ctx, opts.Streams, &opts.Target, "")
	if err != nil {
		return err
	}
	check, ok, err := opts.choose(l, mine)
	if err != nil {
		return err
	}
	if !ok {
		fmt.Fprintln(opts.Streams.Out, "All checks passed: there is nothing left to hint at.")
		fmt.Fprintln(opts.Streams.Err, "Next: labctl explain")
		return nil
	}
	if mine.Passed(check.ID) {
		fmt.Fprintf(opts.Streams.Out, "Check %s passed: it needs no hint.\n", check.ID)
		fmt.Fprintf(opts.Streams.Err, "Next: labctl explain %s\n", check.ID)
		return nil
	}
	report, _, err := c.Store.LoadReport(l.ID)
	if err != nil {
		return err
	}
	seen := student.Verdict(report, check.ID)
	var next student.Hint
	if _, err := c.Update(ctx, l, func(_ *student.Progress, mine *student.Lab) { next = mine.NextHint(check, seen) }); err != nil {
		return err
	}
	opts.print(check, seen, next)
	return nil
}

// choose returns the check that was named, or the first that can be worked on.
func (o *Options) choose(l *lab.Lab, mine *student.Lab) (lab.Check, bool, error) {
	if o.Check != "" {
		check, err := l.FindCheck(o.Check)
		return check, err == nil, err
	}
	step, _, ok := mine.Step(l)
	if !ok {
		return lab.Check{}, false, nil
	}
	var first *lab.Check
	for _, c := range l.StepChecks(step.ID) {
		if mine.Passed(c.ID) {
			continue
		}
		if stands := mine.Checks[c.ID]; stands != nil && stands.Status == result.Failed {
			return c, true, nil
		}
		if first == nil {
			first = &c
		}
	}
	if first == nil {
		return lab.Check{}, false, fault.Inputf("step %s has no check to hint at", step.ID).WithRemedy("labctl show")
	}
	return *first, true, nil
}

func (o *Options) print(c lab.Check, seen *result.Check, h student.Hint) {
	w, terminal := o.Streams.Out, o.Streams.OutTerminal
	fmt.Fprintln(w, ui.Paint(terminal, ui.Bold, "Check "+c.ID+":")+" "+c.Title)
	if h.Observed {
		o.Streams.Line("seen   ", ui.Clean(seen.Message, 0))
	}
	if h.Text != "" {
		o.Streams.Line("hint   ", ui.Clean(h.Text, 0))
	}
	switch {
	case h.Left > 1:
		fmt.Fprintf(w, "left   %d more hints\n", h.Left)
	case h.Left == 1:
		fmt.Fprintln(w, "left   1 more hint")
	case h.Again:
		fmt.Fprintf(w, "left   no more; that was the last. labctl solution %s --give-up shows the solution\n", c.Step)
	default:
		fmt.Fprintln(w, "left   no more")
	}
	next := "labctl check"
	if seen == nil {
		next += ", which finds out what is wrong: the hint that follows is about that"
	}
	fmt.Fprintf(o.Streams.Err, "Next: %s\n", next)
}
