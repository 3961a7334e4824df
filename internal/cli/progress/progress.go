// Package progress implements "labctl progress".
package progress

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Lab     string // "" is all that were started
	JSON    bool
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "progress [LAB]",
		Short: "Show how far you have come",
		Long: `Progress shows every lab that was started, step by step and check by check: when each check
passed first, which passed once and fails now, hints that were shown, steps given up.`,
		Example: `  labctl progress
  labctl progress clusterip --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.Lab = args[0]
			}
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.AddLabs(cmd)
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print JSON, with every lab that there is")
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Started)
	return cmd
}

// Progress is what "labctl progress --json" prints.
type Progress struct {
	Current string `json:"current,omitempty"`
	Labs    []Lab  `json:"labs"`
}

// Lab is how a lab stands.
type Lab struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	Status    string    `json:"status"` // not started, started or solved
	Passed    int       `json:"passed"`
	Checks    int       `json:"checks"`
	Points    float64   `json:"points"`
	MaxPoints float64   `json:"maxPoints"`
	Started   time.Time `json:"started,omitzero"`
	Solved    time.Time `json:"solved,omitzero"`
	Folder    string    `json:"folder,omitempty"`
	Cluster   string    `json:"cluster,omitempty"`
	Steps     []Step    `json:"steps"`
}

// Step is how a step stands.
type Step struct {
	ID     string    `json:"id"`
	Title  string    `json:"title"`
	Passed bool      `json:"passed"`
	GaveUp time.Time `json:"gaveUp,omitzero"`
	Checks []Check   `json:"checks"`
}

// Check is how a check stands.
type Check struct {
	ID          string             `json:"id"`
	Title       string             `json:"title"`
	Status      result.CheckStatus `json:"status,omitempty"` // "" where it was not tried
	Points      float64            `json:"points"`           // that there are for it
	FirstPassed time.Time          `json:"firstPassed,omitzero"`
	Changed     time.Time          `json:"changed,omitzero"`
	Hints       int                `json:"hints"`
	AllHints    int                `json:"allHints"` // that there are
	Regression  bool               `json:"regression,omitempty"`
	Regressions int                `json:"regressions"`
}

// Run shows the progress.
func Run(ctx context.Context, opts *Options) error {
	c, err := course.Open(ctx, opts.Streams, &opts.Target)
	if err != nil {
		return err
	}
	all := Progress{Current: c.Progress.Current, Labs: []Lab{}}
	for _, l := range c.Catalog.Labs {
		if opts.Lab == "" || opts.Lab == l.ID {
			all.Labs = append(all.Labs, stand(l, c.Progress.Labs[l.ID]))
		}
	}
	if opts.Lab != "" && len(all.Labs) == 0 {
		_, err := c.Catalog.Lab(opts.Lab)
		return err
	}
	if opts.JSON {
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	opts.print(all)
	return nil
}

// stand gathers how a lab stands; mine is nil where it was not started.
func stand(l *lab.Lab, mine *student.Lab) Lab {
	s := Lab{
		ID: l.ID, Title: l.Title, Status: course.Status(l, mine), Passed: mine.Count(l.Visible()), Checks: len(l.Visible()),
		Points: mine.Points(l), MaxPoints: l.VisiblePoints(), Steps: []Step{},
	}
	if mine == nil {
		mine = &student.Lab{}
	}
	s.Started, s.Solved, s.Folder, s.Cluster = mine.Started, mine.Solved, mine.Folder, mine.Cluster
	for _, step := range l.Steps {
		checks := l.StepChecks(step.ID)
		st := Step{ID: step.ID, Title: step.Title, Passed: mine.Count(checks) == len(checks), GaveUp: mine.GaveUp[step.ID], Checks: []Check{}}
		for _, c := range checks {
			st.Checks = append(st.Checks, check(c, mine.Checks[c.ID]))
		}
		s.Steps = append(s.Steps, st)
	}
	return s
}

func check(c lab.Check, mine *student.Check) Check {
	s := Check{ID: c.ID, Title: c.Title, Points: c.Points, AllHints: len(c.Hints)}
	if mine != nil {
		s.Status, s.FirstPassed, s.Changed = mine.Status, mine.FirstPassed, mine.Changed
		s.Hints, s.Regression, s.Regressions = mine.Hints, mine.Regressed(), mine.Regressions
	}
	return s
}

func (o *Options) print(all Progress) {
	begun := 0
	for _, l := range all.Labs {
		if l.Status == course.NotStarted && o.Lab == "" {
			continue
		}
		if begun > 0 && o.Streams.OutTerminal {
			fmt.Fprintln(o.Streams.Out)
		}
		begun++
		o.lab(l)
	}
	if begun == 0 {
		fmt.Fprintln(o.Streams.Out, "No lab has been started.")
	}
	next := "labctl show"
	if all.Current == "" {
		next = "labctl labs"
	}
	fmt.Fprintf(o.Streams.Err, "Next: %s\n", next)
}

func (o *Options) lab(l Lab) {
	t := course.Table{Streams: o.Streams}
	t.Head("lab", l.ID, fmt.Sprintf("%s, %d of %d checks, %g/%g points", l.Status, l.Passed, l.Checks, l.Points, l.MaxPoints))
	for _, s := range l.Steps {
		for _, c := range s.Checks {
			level := map[result.CheckStatus]course.Level{result.Passed: course.OK, result.Failed: course.Failed}[c.Status]
			if level == "" {
				level = course.Todo
			}
			t.Line(level, s.ID, c.ID, c.remarks(s))
		}
	}
	t.Flush()
}

// remarks says what is particular about a check.
func (c Check) remarks(s Step) string {
	var all []string
	switch {
	case c.Regression:
		all = append(all, "regression: it passed at "+at(c.FirstPassed)+" and fails since "+at(c.Changed))
	case c.Status == result.Passed:
		all = append(all, "passed "+at(c.FirstPassed))
	case c.Status == "":
		all = append(all, "not tried")
	case c.Status == result.Skipped:
		all = append(all, "skipped: what it depends on comes first")
	default:
		all = append(all, string(c.Status)+" "+at(c.Changed))
	}
	if c.Hints > 0 {
		all = append(all, fmt.Sprintf("%d of %d hints", c.Hints, c.AllHints))
	}
	if !s.GaveUp.IsZero() {
		all = append(all, "step given up")
	}
	return strings.Join(all, "; ")
}

func at(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
