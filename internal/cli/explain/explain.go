// Package explain implements "labctl explain".
package explain

import (
	"context"
	"fmt"
	"io"
	"strings"

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
	Check   string // "" is the lab's explanation
	GiveUp  bool
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "explain [CHECK]",
		Short: "Explain a check's verdict, or the lab once it is solved",
		Long: `Explain CHECK shows what the last "labctl check" tried, hop by hop, and what came back, for
a check that passed as well as for one that did not. Without CHECK it shows the lab's own
explanation, once the lab is solved, or every step is, or with --give-up, which is recorded.`,
		Example: `  labctl explain
  labctl explain backend-reaches-db`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.Check = args[0]
			}
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.AddLabs(cmd)
	cmd.Flags().BoolVar(&opts.GiveUp, "give-up", false, "show the lab's explanation before it is solved; this is recorded")
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Checks)
	return cmd
}

// Run explains a check, or the lab.
func Run(ctx context.Context, opts *Options) error {
	c, l, mine, err := course.OpenLab(ctx, opts.Streams, &opts.Target, "")
	if err != nil {
		return err
	}
	if opts.Check == "" {
		return opts.lab(ctx, c, l, mine)
	}
	check, err := l.FindCheck(opts.Check)
	if err != nil {
		return err
	}
	report, _, err := c.Store.LoadReport(l.ID)
	if err != nil {
		return err
	}
	verdict := student.Verdict(report, check.ID)
	if verdict == nil {
		return fault.Inputf("check %s was not tried yet", check.ID).WithRemedy("labctl check")
	}
	opts.check(check, *verdict, report)
	if mine.Complete(l) {
		fmt.Fprintln(opts.Streams.Out)
		return opts.text(l)
	}
	return nil
}

// lab shows the lab's explanation where the student has come that far.
func (o *Options) lab(ctx context.Context, c *course.Course, l *lab.Lab, mine *student.Lab) error {
	if !mine.Solved.IsZero() || mine.Complete(l) || mine.GaveAll(l) {
		return o.text(l)
	}
	if !o.GiveUp {
		return fault.Inputf("lab %s is not solved yet: %d of %d checks passed", l.ID, mine.Count(l.Visible()), len(l.Visible())).
			WithRemedy("labctl explain CHECK explains one check; labctl explain --give-up shows the lab's explanation")
	}
	_, err := c.Update(ctx, l, func(_ *student.Progress, mine *student.Lab) {
		for _, s := range l.Steps {
			mine.GiveUp(l, s.ID, c.Now())
		}
	})
	if err != nil {
		return err
	}
	return o.text(l)
}

func (o *Options) text(l *lab.Lab) error {
	text, err := l.Explanation()
	if err != nil {
		return err
	}
	if strings.TrimSpace(text) == "" {
		return fault.Environmentf("lab %s has no explanation", l.ID).WithRemedy("labctl show all")
	}
	out, err := o.Streams.Markdown(text)
	if err != nil {
		return err
	}
	_, err = io.WriteString(o.Streams.Out, out)
	return err
}

// check shows one verdict with everything that it rests on.
func (o *Options) check(c lab.Check, v result.Check, r result.Report) {
	w := o.Streams.Out
	t := course.Table{Streams: o.Streams}
	level := map[result.CheckStatus]course.Level{result.Passed: course.OK, result.Failed: course.Failed, result.Error: course.Warn}[v.Status]
	if level == "" {
		level = course.Todo
	}
	t.Line(level, c.ID, string(v.Status), c.Title)
	t.Flush()
	o.field("why", v.Message)
	for _, e := range v.Evidence {
		o.evidence(e)
	}
	o.field("hint", v.Hint)
	if c.Question != nil && v.Status == result.Passed {
		o.field("because", c.Question.Why)
	}
	if len(v.Evidence) == 0 && v.Status == result.Skipped {
		o.field("tried", "nothing: what it depends on comes first")
	}
	fmt.Fprintf(w, "  %-8s %s, in %.1fs\n", "seen", r.Finished.Local().Format("2006-01-02 15:04:05"), v.Seconds)
}

// evidence shows one attempt, hop by hop.
func (o *Options) evidence(e result.Evidence) {
	level := course.Mark(course.Failed)
	if e.OK {
		level = course.Mark(course.OK)
	}
	if !o.Streams.OutTerminal {
		level = map[bool]string{true: "ok", false: "failed"}[e.OK]
	}
	got := e.Got
	if e.Class != "" && !strings.Contains(got, e.Class) {
		got = e.Class + ": " + got
	}
	o.line("  "+level+" ", e.From+" → "+e.To)
	detail := "got " + got
	if e.Answered != "" && !strings.Contains(got, e.Answered) {
		detail += ", answered by " + e.Answered
	}
	if e.Count > 1 {
		detail += fmt.Sprintf(", %d times", e.Count)
	}
	if e.Seconds > 0 && !strings.Contains(got, " after ") { // a failure says itself how long it took
		detail += fmt.Sprintf(", after %.0f ms", e.Seconds*1000)
	}
	o.line("      ", detail)
	if !e.OK && e.Want != "" {
		o.line("      wanted ", e.Want)
	}
}

func (o *Options) field(name, text string) {
	if text != "" {
		o.line(fmt.Sprintf("  %-8s ", name), strings.TrimSpace(text))
	}
}

func (o *Options) line(head, text string) {
	o.Streams.Line(head, ui.Clean(text, 0))
}
