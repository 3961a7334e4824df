// Package check implements "labctl check": the lab's checks on what runs in the student's
// own namespace, once or as long as somebody watches.
package check

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/internal/version"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Lab     string // "" means the one that was started last
	Step    string // its id or number; "" means all
	Watch   bool
	All     bool // with Watch: also checks that disturb others
	JSON    bool

	useCluster func(*course.Course, *student.Lab)
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "check [LAB]",
		Short: "Check your work where it runs, and say what to do next",
		Long: `Check sends the lab's requests to what runs in your namespace now (what you applied, not
what your files say) and shows every verdict with its evidence. Your progress is kept.

With --watch it stays, and checks again what a change can affect as soon as you apply it.
Checks that take pods away or restart them are left out there, unless --all is given.
Keys: q quit, a all steps, h next hint, r run all again.

Exit codes: 0 all passed, 1 some check failed, 2 usage, 3 environment, 130 interrupted.`,
		Example: `  labctl check
  labctl check --step 2
  labctl check --watch`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.Lab = args[0]
			}
			opts.useCluster = func(c *course.Course, mine *student.Lab) { c.UseCluster(cmd, &opts.Target, mine) }
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.Add(cmd)
	cmd.Flags().StringVar(&opts.Step, "step", "", "only this step: its id or number")
	cmd.Flags().BoolVarP(&opts.Watch, "watch", "w", false, "stay, and check again what changes")
	cmd.Flags().BoolVar(&opts.All, "all", false, "with --watch: also checks that take pods away or restart them")
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print the report as JSON")
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Started)
	return cmd
}

// Run checks the student's work.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	if opts.All && !opts.Watch {
		return fault.Inputf("--all goes with --watch: without it every check runs anyway").WithRemedy("labctl check")
	}
	if opts.Watch && opts.JSON {
		return fault.Inputf("only one of --watch and --json is possible").WithRemedy("labctl check --watch | cat tells what happens line by line")
	}
	c, l, mine, err := course.OpenLab(ctx, opts.Streams, &opts.Target, opts.Lab)
	if err != nil {
		return err
	}
	checks := l.Visible()
	if opts.Step != "" {
		step, _, err := l.FindStep(opts.Step)
		if err != nil {
			return err
		}
		checks = l.StepChecks(step.ID)
	}
	opts.useCluster(c, mine)
	b := &bench{opts: opts, course: c, lab: l, mine: mine, checks: checks}
	if opts.Watch {
		return b.watch(ctx)
	}
	return b.once(ctx)
}

// once carries every check out one time.
func (b *bench) once(ctx context.Context) error {
	progress := ui.NewProgress(b.opts.Streams)
	defer progress.Close()
	s, err := b.session(ctx, progress)
	if err != nil {
		return err
	}
	r := b.head()
	end := progress.Begin(fmt.Sprintf("check %d checks of lab %s", len(b.checks), b.lab.ID))
	show := b.shower(progress)
	s.Start(ctx, ids(b.checks))
	for c := range b.results(ctx, s) {
		r.Checks = append(r.Checks, c)
		show(r.Checks)
	}
	progress.Drop(end)
	progress.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.order(&r)
	r.Finished = time.Now().UTC()
	r.Tally()
	changes, err := b.record(ctx, r)
	if err != nil {
		return err
	}
	return b.report(r, changes)
}

// head is a report before anything was checked.
func (b *bench) head() result.Report {
	return result.Report{
		Schema: result.Schema, Labctl: version.Current().Version, Started: time.Now().UTC(), Status: result.Graded,
		Lab: result.Lab{ID: b.lab.ID, Title: b.lab.Title, Version: b.lab.Version}, Checks: []result.Check{},
	}
}

// order sorts a report's checks as the lab has them.
func (b *bench) order(r *result.Report) {
	at := func(c result.Check) int {
		return slices.IndexFunc(b.lab.Checks, func(o lab.Check) bool { return o.ID == c.ID })
	}
	slices.SortFunc(r.Checks, func(x, y result.Check) int { return at(x) - at(y) })
}

// shower prints each check on a terminal as soon as it and those before it have a verdict. In
// a pipe the report comes as a whole.
func (b *bench) shower(progress *ui.Progress) func([]result.Check) {
	if b.opts.JSON || !b.opts.Streams.OutTerminal {
		return func([]result.Check) {}
	}
	printed, width := 0, ui.Width(ids(b.checks))
	put := func(c result.Check) {
		progress.Above(func() { _ = ui.WriteCheck(b.opts.Streams.Out, b.opts.Streams.Columns(), width, c) })
	}
	return func(have []result.Check) {
		if latest := have[len(have)-1]; !slices.Contains(ids(b.checks), latest.ID) { // what they depend on
			put(latest)
		}
		for printed < len(b.checks) {
			i := slices.IndexFunc(have, func(c result.Check) bool { return c.ID == b.checks[printed].ID })
			if i < 0 {
				return
			}
			put(have[i])
			printed++
		}
	}
}

// report prints what came of it, and returns what the exit code is made of.
func (b *bench) report(r result.Report, changes []student.Change) error {
	out, err := b.opts.Streams.Out, error(nil)
	switch {
	case b.opts.JSON:
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	case b.opts.Streams.OutTerminal:
		err = ui.WriteHead(out, b.opts.Streams.Columns(), r)
	default:
		err = ui.WriteReport(out, 0, r)
	}
	if err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	for _, line := range b.told(changes) {
		fmt.Fprintln(b.opts.Streams.Err, line)
	}
	switch {
	case r.Status == result.Errored:
		return fault.Environmentf("not checked completely: %s", r.Message).WithRemedy("labctl doctor")
	case r.Count(result.Passed) < len(r.Checks):
		return &ui.ExitError{Code: 1}
	}
	return nil
}

// told says what has changed since the last time, and what to do next.
func (b *bench) told(changes []student.Change) []string {
	var green, lost []string
	for _, c := range changes {
		switch {
		case c.Regression:
			lost = append(lost, c.Check)
		case c.To == result.Passed:
			green = append(green, c.Check)
		}
	}
	var lines []string
	if len(green) > 0 {
		lines = append(lines, "Turned green: "+join(green))
	}
	if len(lost) > 0 {
		lines = append(lines, "Regression (passed before, fails now): "+join(lost))
	}
	if b.opts.Step != "" { // who asks for a step that is complete goes on, whoever saw it turn green
		green = append(green, ids(b.checks)...)
	}
	return append(lines, b.outlook(b.standing(), nil, green)...)
}

func ids(checks []lab.Check) []string {
	var all []string
	for _, c := range checks {
		all = append(all, c.ID)
	}
	return all
}
