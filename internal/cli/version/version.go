// Package version implements "labctl version".
package version

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/internal/version"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	JSON    bool
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print labctl's version, commit and date",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print JSON")
	return cmd
}

// Run prints the version.
func Run(_ context.Context, opts *Options) error {
	v := version.Current()
	if opts.JSON {
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	fmt.Fprintf(opts.Streams.Out, "labctl %s\n", v.Version)
	if v.Commit != "" {
		dirty := ""
		if v.Dirty {
			dirty = ", with uncommitted changes"
		}
		fmt.Fprintf(opts.Streams.Out, "commit %s%s\ndate   %s\n", v.Commit, dirty, v.Date)
	}
	fmt.Fprintf(opts.Streams.Out, "%s %s/%s\n", v.Go, v.OS, v.Arch)
	return nil
}
