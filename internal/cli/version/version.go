// Package version implements "labctl version".
package version

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/internal/version"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	JSON    bool
	Check   bool
	Lookup  version.Lookup // what Check asks
}

// output is what --json prints.
type output struct {
	version.Info
	Latest *version.Latest `json:"latest,omitempty"` // with --check only
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams, Lookup: version.Lookup{Env: os.Getenv, Client: http.DefaultClient}}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print labctl's version, commit and date",
		Long: `Version prints what this labctl was built from. With --check, and only then, it also asks
the Go module proxy of GOPROXY whether there is a newer one, and says how to get it.`,
		Example: `  labctl version
  labctl version --check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&opts.Check, "check", false, "ask the Go module proxy for a newer version")
	return cmd
}

// Run prints the version, and the latest one where it is asked for.
func Run(ctx context.Context, opts *Options) error {
	v := output{Info: version.Current()}
	if opts.Check {
		latest, err := opts.Lookup.Latest(ctx, v.Info)
		if err != nil {
			return err
		}
		v.Latest = &latest
	}
	if opts.JSON {
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	write(opts.Streams.Out, v)
	return nil
}

func write(out io.Writer, v output) {
	fmt.Fprintf(out, "labctl %s\n", v.Version)
	if v.Commit != "" {
		dirty := ""
		if v.Dirty {
			dirty = ", with uncommitted changes"
		}
		fmt.Fprintf(out, "commit %s%s\ndate   %s\n", v.Commit, dirty, v.Date)
	}
	fmt.Fprintf(out, "%s %s/%s\n", v.Go, v.OS, v.Arch)
	if v.Latest == nil {
		return
	}
	switch v.Latest.Update {
	case version.UpdateNone:
		fmt.Fprintf(out, "latest %s: nothing newer\n", v.Latest.Version)
		return
	case version.UpdateAvailable:
		fmt.Fprintf(out, "latest %s is newer\n", v.Latest.Version)
	default:
		fmt.Fprintf(out, "latest %s; this build has no version to compare with it\n", v.Latest.Version)
	}
	fmt.Fprintf(out, "Next: %s\n", v.Latest.Install)
}
