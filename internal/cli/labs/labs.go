// Package labs implements "labctl labs".
package labs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	JSON    bool
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "labs",
		Short: "List the labs, and how far you are in each",
		Example: `  labctl labs
  labctl labs --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	opts.Target.AddLabs(cmd)
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print JSON")
	return cmd
}

// row is one lab in the list. Hidden checks are in none of its numbers.
type row struct {
	ID       string  `json:"id"`
	Category string  `json:"category"`
	Title    string  `json:"title"`
	Summary  string  `json:"summary"`
	Minutes  int     `json:"minutes"`
	Checks   int     `json:"checks"`
	Points   float64 `json:"points"`
	Status   string  `json:"status"` // not started, started or solved
	Passed   int     `json:"passed"`
	Score    float64 `json:"score"` // of Points, locally
	Current  bool    `json:"current,omitempty"`

	standing string
}

// Run lists the labs.
func Run(ctx context.Context, opts *Options) error {
	c, err := course.Open(ctx, opts.Streams, &opts.Target)
	if err != nil {
		return err
	}
	rows := []row{}
	for _, l := range c.Catalog.Labs {
		mine := c.Progress.Labs[l.ID]
		rows = append(rows, row{
			ID: l.ID, Category: l.Category, Title: l.Title, Summary: l.Summary, Minutes: l.Minutes,
			Checks: len(l.Visible()), Points: l.VisiblePoints(), Status: course.Status(l, mine), Passed: mine.Count(l.Visible()),
			Score: mine.Points(l), Current: mine != nil && c.Progress.Current == l.ID, standing: course.Standing(l, mine),
		})
	}
	if opts.JSON {
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	}
	if !opts.Streams.OutTerminal {
		for _, r := range rows {
			fmt.Fprintf(opts.Streams.Out, "%s\t%d\t%d\t%v\t%s\t%s\t%s\n", r.ID, r.Minutes, r.Checks, r.Points, r.Category, r.standing, r.Title)
		}
		return nil
	}
	if err := opts.table(rows); err != nil {
		return err
	}
	fmt.Fprintf(opts.Streams.Err, "Next: %s\n", next(rows))
	return nil
}

// table prints the labs by category, in the order in which categories come up.
func (o *Options) table(rows []row) error {
	var categories []string
	for _, r := range rows {
		if !slices.Contains(categories, r.Category) {
			categories = append(categories, r.Category)
		}
	}
	w := tabwriter.NewWriter(o.Streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LAB\tMINUTES\tPOINTS\tPROGRESS\tTITLE")
	for _, category := range categories {
		// A heading without cells ends no column, so all categories share theirs.
		fmt.Fprintf(w, "%s\t\t\t\t\n", strings.ToUpper(category[:min(1, len(category))])+category[min(1, len(category)):])
		for _, r := range rows {
			if r.Category == category {
				mark := "  "
				if r.Current {
					mark = "> "
				}
				fmt.Fprintf(w, "%s%s\t%d\t%v\t%s\t%s\n", mark, r.ID, r.Minutes, r.Points, r.standing, r.Title)
			}
		}
	}
	return w.Flush()
}

// next names the command to go on with: the lab that is under way, else the next one.
func next(rows []row) string {
	for _, r := range rows {
		if r.Current && r.Status != course.Solved {
			return "labctl show"
		}
	}
	for _, r := range rows {
		if r.Status != course.Solved {
			return "labctl start " + r.ID
		}
	}
	return "labctl progress"
}
