// Package report implements "labctl report": keys that reports are signed with, and the proof
// that a report is as it was signed.
package report

import (
	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/ui"
)

// NewCmd returns the command with its subcommands.
func NewCmd(streams ui.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Prove that reports are as they were signed",
		Long: `Reports can be signed while they are made (labctl grade --sign), so that whoever gets one
can tell that it came from the grader and that nothing in it was changed since.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyCmd(streams, nil), newVerifyCmd(streams, nil))
	return cmd
}
