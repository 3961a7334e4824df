// Package answer implements "labctl answer".
package answer

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Check   string   // "" lists the questions
	Values  []string // options, or their numbers
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "answer [CHECK [VALUE...]]",
		Short: "Answer a question of the lab, or list the questions",
		Long: `Answer writes an answer into answers.yaml in the working folder. A value is one of the
options that are shown, or its number. For a question about an order, give all of them, as
several values or separated by commas. labctl check tells whether the answer is right.`,
		Example: `  labctl answer
  labctl answer type-for-database 2
  labctl answer hops-of-a-nodeport 3,1,4,2`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.Check, opts.Values = args[0], args[1:]
			}
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.AddLabs(cmd)
	cmd.ValidArgsFunction = opts.complete
	return cmd
}

// complete completes the question, then its options.
func (o *Options) complete(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return course.Complete(&o.Target, course.Questions)(cmd, args, typed)
	}
	return course.Matching(course.Options(&o.Target, args[0]), typed), cobra.ShellCompDirectiveNoFileComp
}

// Run answers a question, or lists them.
func Run(ctx context.Context, opts *Options) error {
	_, l, mine, err := course.OpenLab(ctx, opts.Streams, &opts.Target, "")
	if err != nil {
		return err
	}
	questions := visible(l)
	if len(questions) == 0 {
		return fault.Inputf("lab %s asks no questions", l.ID).WithRemedy("labctl show")
	}
	folder, err := student.OpenFolder(mine.Folder)
	if err != nil {
		return err
	}
	if mine.Folder == "" || !folder.Exists() {
		return fault.Inputf("the working folder of lab %s is gone", l.ID).WithRemedy("labctl reset")
	}
	answers, err := submission.ReadAnswers(folder.Dir, l.Questions())
	if err != nil {
		return err
	}
	if opts.Check == "" {
		for _, q := range questions {
			opts.print(q, answers[q.ID])
		}
		fmt.Fprintln(opts.Streams.Err, "Next: labctl answer CHECK VALUE, then labctl check")
		return nil
	}
	q, err := find(l, questions, opts.Check)
	if err != nil {
		return err
	}
	if len(opts.Values) == 0 {
		opts.print(q, answers[q.ID])
		return nil
	}
	texts, err := choose(q, opts.Values)
	if err != nil {
		return err
	}
	if err := folder.SetAnswer(q.ID, texts); err != nil {
		return err
	}
	fmt.Fprintf(opts.Streams.Out, "%s: %s\n", q.ID, strings.Join(texts, ", "))
	fmt.Fprintln(opts.Streams.Err, "Next: labctl check")
	return nil
}

// visible returns the questions that students see.
func visible(l *lab.Lab) []lab.Check {
	var all []lab.Check
	for _, c := range l.Visible() {
		if c.Question != nil {
			all = append(all, c)
		}
	}
	return all
}

// find returns the question with the id.
func find(l *lab.Lab, questions []lab.Check, id string) (lab.Check, error) {
	var ids []string
	for _, q := range questions {
		if q.ID == id {
			return q, nil
		}
		ids = append(ids, q.ID)
	}
	if c, err := l.FindCheck(id); err == nil {
		return lab.Check{}, fault.Inputf("check %s is no question: it is tried on your objects", c.ID).WithRemedy("labctl answer lists the questions")
	}
	return lab.Check{}, fault.Inputf("lab %s asks no question %q%s", l.ID, id, lab.Suggest(id, ids)).WithRemedy("labctl answer lists them")
}

// choose turns what was typed into options.
func choose(c lab.Check, values []string) ([]string, error) {
	options := c.Options()
	wanted := 1
	if c.Question.Order != nil {
		wanted = len(options)
		values = separate(values, options)
	} else if len(values) > 1 {
		values = []string{strings.Join(values, " ")} // a text that was not quoted
	}
	var texts []string
	for _, v := range values {
		text, err := option(c, v, options)
		if err != nil {
			return nil, err
		}
		for _, t := range texts {
			if t == text {
				return nil, fault.Inputf("%q is given twice; each has one place", text).WithRemedy("labctl answer %s", c.ID)
			}
		}
		texts = append(texts, text)
	}
	if len(texts) != wanted {
		return nil, fault.Inputf("question %s is answered by %d values in order, not by %d", c.ID, wanted, len(texts)).
			WithRemedy("labctl answer %s", c.ID)
	}
	return texts, nil
}

// separate cuts values at commas, unless the value is an option with a comma in it.
func separate(values, options []string) []string {
	var all []string
	for _, v := range values {
		if _, ok := match(v, options); ok {
			all = append(all, v)
			continue
		}
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

// match finds the option that a value is, or that has its number.
func match(value string, options []string) (string, bool) {
	for _, o := range options {
		if strings.EqualFold(strings.TrimSpace(value), strings.TrimSpace(o)) {
			return o, true
		}
	}
	if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && n >= 1 && n <= len(options) {
		return options[n-1], true
	}
	return "", false
}

func option(c lab.Check, value string, options []string) (string, error) {
	if o, ok := match(value, options); ok {
		return o, nil
	}
	return "", fault.Inputf("%q is none of the options of question %s%s", value, c.ID, lab.Suggest(value, options)).
		WithRemedy("labctl answer %s shows them", c.ID)
}

// print shows a question, its options and its answer.
func (o *Options) print(c lab.Check, answer []string) {
	w, terminal := o.Streams.Out, o.Streams.OutTerminal
	course.PrintQuestion(o.Streams, c.ID, c)
	if len(answer) == 0 {
		fmt.Fprintf(w, "  answer: %s\n", ui.Paint(terminal, ui.Faint, "none yet"))
		return
	}
	fmt.Fprintf(w, "  answer: %s\n", ui.Clean(strings.Join(answer, ", "), 0))
}
