// Package report implements "labctl report": the formats that are derived from reports, keys
// that reports are signed with, and the proof that a report is as it was signed.
package report

import (
	"context"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/ui"
)

// NewCmd returns the command with its subcommands.
func NewCmd(streams ui.Streams) *cobra.Command { return newReportCmd(streams, nil) }

func newReportCmd(streams ui.Streams, run func(context.Context, *exportOptions) error) *cobra.Command {
	cmd := newExportCmd(streams, run)
	cmd.AddCommand(newKeyCmd(streams, nil), newVerifyCmd(streams, nil))
	return cmd
}
