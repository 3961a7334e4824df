// Package schema implements "labctl lab schema".
package schema

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Out     string // file; "" is standard output
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of lab.yaml, for editors",
		Long: `Schema prints the JSON Schema (draft-07) of lab.yaml, made from the types that labctl
reads it into. An editor with the YAML language server completes and checks a
lab.yaml whose first line names it:

  # yaml-language-server: $schema=lab-v1.json

What refers to another part of the lab only "labctl lab verify --static" can check.`,
		Example: `  labctl lab schema --out lab-v1.json`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	cmd.Flags().StringVar(&opts.Out, "out", "", "write it to this file instead")
	return cmd
}

// Run prints or writes the schema.
func Run(_ context.Context, opts *Options) error {
	data, err := lab.Schema(grader.RunNames())
	if err != nil {
		return err
	}
	if opts.Out == "" {
		_, err := opts.Streams.Out.Write(data)
		return err
	}
	if err := os.WriteFile(opts.Out, data, 0o644); err != nil {
		return fault.Inputf("write the schema: %w", err)
	}
	fmt.Fprintf(opts.Streams.Err, "Schema: %s\n", opts.Out)
	return nil
}
