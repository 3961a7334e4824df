package course

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/student"
)

// Names are the kinds of names that a command's argument may be.
type Names int

// What an argument may name. They add up: Labs|Steps.
const (
	Labs      Names = 1 << iota
	Started         // labs that were started
	Steps           // of the lab that the student is in
	Checks          // of that lab
	Questions       // its checks that are questions
)

// Completion is the type of cobra's ValidArgsFunction.
type Completion = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// Complete completes a command's first argument, each name with what it stands for. Completing
// neither prints nor changes anything: what cannot be read has no names.
func Complete(flags *target.Flags, names Names, more ...string) Completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return matching(append(flags.names(cmd.Context(), names), more...), typed), cobra.ShellCompDirectiveNoFileComp
	}
}
