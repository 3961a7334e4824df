// Package preview implements "labctl lab preview".
package preview

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Lab     string // its id, or its folder
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "preview ID|DIR",
		Short: "Show a lab as students will see it, with all its hints",
		Long: `Preview shows the instructions of a lab, step by step, each with its checks, their
points and hints as students get them one by one, and what they read once the lab is
solved. Checks that students never see are marked as hidden.`,
		Example: `  labctl lab preview clusterip
  labctl lab preview ./my-first`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Lab = args[0]
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.AddLabs(cmd)
	return cmd
}

// Run shows the lab.
func Run(_ context.Context, opts *Options) error {
	l, err := find(opts)
	if err != nil {
		return err
	}
	text, err := document(l)
	if err != nil {
		return err
	}
	if text, err = opts.Streams.Markdown(text); err != nil {
		return err
	}
	if _, err := io.WriteString(opts.Streams.Out, text); err != nil {
		return fmt.Errorf("print the preview: %w", err)
	}
	fmt.Fprintf(opts.Streams.Err, "Next: labctl lab verify %s --static\n", nextArgs(opts, l))
	return nil
}

// find loads the lab from the folder, or looks it up by its id.
func find(opts *Options) (*lab.Lab, error) {
	if isFolder(opts.Lab) {
		return lab.LoadDir(opts.Lab, grader.RunNames())
	}
	catalog, err := opts.Target.Catalog()
	if err != nil {
		return nil, err
	}
	return catalog.Lab(opts.Lab)
}

// isFolder tells whether a lab's folder is meant, rather than its id.
func isFolder(name string) bool {
	_, err := os.Stat(filepath.Join(name, lab.FileName))
	return err == nil || filepath.Base(name) != name
}

func nextArgs(opts *Options, l *lab.Lab) string {
	if isFolder(opts.Lab) {
		return l.ID + " --labs " + opts.Lab
	}
	return l.ID
}
