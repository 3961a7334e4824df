// Package gradescope implements "labctl gradescope": the autograder that an instructor uploads to
// Gradescope, and what it does there.
package gradescope

import (
	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/ui"
)

// NewCmd returns the group of commands.
func NewCmd(streams ui.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gradescope",
		Short: "Make an autograder for Gradescope",
		Long: `Gradescope runs an autograder in a container of its own, in which no cluster can run. The one
that build makes does one of two things with a submission:

  queue      hand it to the queue of "labctl worker", which grades it elsewhere by real
             traffic, and wait for the grade
  manifests  only read it, and say whether it can be graded, which is no grade`,
		Example: `  labctl gradescope build --lab clusterip --mode queue --queue-file queue.txt --out autograder.zip
  labctl gradescope build --lab clusterip --mode manifests --out autograder.zip`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBuildCmd(streams, nil), newRunCmd(streams, nil))
	return cmd
}
