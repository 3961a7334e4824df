// Package labs implements "labctl labs".
package labs

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

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
		Short: "List the labs",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	opts.Target.AddLabs(cmd)
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print JSON")
	return cmd
}

// row is one lab in the list.
type row struct {
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Summary string  `json:"summary"`
	Minutes int     `json:"minutes"`
	Checks  int     `json:"checks"`
	Points  float64 `json:"points"`
}

// Run lists the labs.
func Run(_ context.Context, opts *Options) error {
	catalog, err := opts.Target.Catalog()
	if err != nil {
		return err
	}
	rows := []row{}
	for _, l := range catalog.Labs {
		rows = append(rows, row{ID: l.ID, Title: l.Title, Summary: l.Summary, Minutes: l.Minutes, Checks: len(l.Checks), Points: l.Points()})
	}
	if opts.JSON {
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	}
	if !opts.Streams.OutTerminal {
		for _, r := range rows {
			fmt.Fprintf(opts.Streams.Out, "%s\t%d\t%d\t%v\t%s\n", r.ID, r.Minutes, r.Checks, r.Points, r.Title)
		}
		return nil
	}
	w := tabwriter.NewWriter(opts.Streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LAB\tMINUTES\tCHECKS\tPOINTS\tTITLE")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%v\t%s\n", r.ID, r.Minutes, r.Checks, r.Points, r.Title)
	}
	return w.Flush()
}
