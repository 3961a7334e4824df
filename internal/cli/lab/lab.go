// Package lab groups the commands of lab authors below "labctl lab".
package lab

import (
	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/lab/newlab"
	"labctl.dev/labctl/internal/cli/lab/preview"
	"labctl.dev/labctl/internal/cli/lab/schema"
	"labctl.dev/labctl/internal/cli/lab/verify"
	"labctl.dev/labctl/internal/ui"
)

// NewCmd returns the group of commands.
func NewCmd(streams ui.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Work on labs",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newlab.NewCmd(streams, nil), preview.NewCmd(streams, nil), verify.NewCmd(streams, nil), schema.NewCmd(streams, nil))
	return cmd
}
