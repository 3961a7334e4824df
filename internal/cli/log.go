package cli

import (
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/ui"
)

// The variables that stand for the flags. They reach the processes that labctl starts, too.
const (
	verboseVariable = "LABCTL_VERBOSE"
	formatVariable  = "LABCTL_LOG_FORMAT"
)

// addLogFlags gives every command that does something the flags of the log. kubectl has its
// own.
func addLogFlags(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.Name() != "kubectl" {
			addLogFlags(c)
		}
	}
	if cmd.Runnable() && !cmd.Hidden {
		cmd.Flags().CountP("verbose", "v", "tell more: -v what the grader tells, -vv every command and API call (also "+verboseVariable+"=2)")
		cmd.Flags().String("log-format", "", "text, or json: a record a line on standard error (also "+formatVariable+")")
	}
}

// setLog directs the log as the flags, or else the variables say.
func setLog(streams ui.Streams, cmd *cobra.Command) error {
	verbosity, format := 0, ui.LogText
	if text := os.Getenv(verboseVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fault.Inputf("%s is %q, which is no number", verboseVariable, text).WithRemedy("unset %s, or set it to 2", verboseVariable)
		}
		verbosity = n
	}
	if text := os.Getenv(formatVariable); text != "" {
		format = text
	}
	if n, err := cmd.Flags().GetCount("verbose"); err == nil && n > 0 {
		verbosity = n
	}
	if text, err := cmd.Flags().GetString("log-format"); err == nil && text != "" {
		format = text
	}
	if err := ui.SetLog(streams.Err, verbosity, format); err != nil {
		return err
	}
	if verbosity > 0 {
		_ = os.Setenv(verboseVariable, strconv.Itoa(verbosity))
	}
	if format != ui.LogText {
		_ = os.Setenv(formatVariable, format)
	}
	return nil
}
