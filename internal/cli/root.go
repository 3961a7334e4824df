// Package cli builds labctl's commands and is the one place that turns an error into
// text and an exit code. Each command has a package of its own below this one.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/answer"
	"labctl.dev/labctl/internal/cli/batch"
	"labctl.dev/labctl/internal/cli/bundle"
	"labctl.dev/labctl/internal/cli/check"
	"labctl.dev/labctl/internal/cli/ci"
	"labctl.dev/labctl/internal/cli/doctor"
	"labctl.dev/labctl/internal/cli/down"
	"labctl.dev/labctl/internal/cli/explain"
	"labctl.dev/labctl/internal/cli/grade"
	"labctl.dev/labctl/internal/cli/graderprocess"
	"labctl.dev/labctl/internal/cli/gradescope"
	"labctl.dev/labctl/internal/cli/hint"
	"labctl.dev/labctl/internal/cli/kubectl"
	"labctl.dev/labctl/internal/cli/lab"
	"labctl.dev/labctl/internal/cli/labs"
	"labctl.dev/labctl/internal/cli/loadbalancer"
	"labctl.dev/labctl/internal/cli/progress"
	"labctl.dev/labctl/internal/cli/repair"
	"labctl.dev/labctl/internal/cli/report"
	"labctl.dev/labctl/internal/cli/reset"
	"labctl.dev/labctl/internal/cli/show"
	"labctl.dev/labctl/internal/cli/solution"
	"labctl.dev/labctl/internal/cli/start"
	"labctl.dev/labctl/internal/cli/status"
	"labctl.dev/labctl/internal/cli/submit"
	"labctl.dev/labctl/internal/cli/trace"
	"labctl.dev/labctl/internal/cli/up"
	"labctl.dev/labctl/internal/cli/version"
	"labctl.dev/labctl/internal/cli/worker"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/ui"
)

// cleanupGrace is how long a command may take to tidy up after Ctrl-C.
const cleanupGrace = 4500 * time.Millisecond

// Main runs labctl with the process's arguments and returns its exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the process at once
		time.AfterFunc(cleanupGrace, func() { os.Exit(int(fault.Interrupted)) })
	}()
	return Execute(ctx, ui.System(), os.Args[1:])
}

// Execute runs labctl with the arguments and returns its exit code.
func Execute(ctx context.Context, streams ui.Streams, args []string) int {
	out := watch(&streams)
	root := NewCmd(streams)
	root.SetArgs(args)
	return exitCode(ctx, streams.Err, out.judge(root.ExecuteContext(ctx)))
}

// NewCmd returns the tree of commands.
func NewCmd(streams ui.Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "labctl",
		Short: "Hands-on Kubernetes Service labs on a real cluster, graded by real traffic",
		Long: `labctl creates a Kubernetes cluster with kind, gives step-by-step exercises on
Service types (ClusterIP, NodePort, LoadBalancer) and grades them by sending real
traffic: from inside pods, through NodeIP:NodePort, and through a load balancer.

Exit codes: 0 full marks, 1 some check failed, 2 usage or invalid input,
3 environment, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.Inputf("%w", err).WithRemedy("%s --help", cmd.CommandPath())
	})
	root.AddGroup(
		&cobra.Group{ID: "cluster", Title: "Cluster:"},
		&cobra.Group{ID: "learn", Title: "Learning:"},
		&cobra.Group{ID: "grade", Title: "Grading:"},
		&cobra.Group{ID: "author", Title: "Lab authors:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("cluster", up.NewCmd(streams, nil), status.NewCmd(streams, nil), down.NewCmd(streams, nil),
		repair.NewCmd(streams, nil), doctor.NewCmd(streams, nil), bundle.NewCmd(streams))
	add("learn", labs.NewCmd(streams, nil), start.NewCmd(streams, nil), show.NewCmd(streams, nil), check.NewCmd(streams, nil), hint.NewCmd(streams, nil),
		explain.NewCmd(streams, nil), answer.NewCmd(streams, nil), solution.NewCmd(streams, nil), reset.NewCmd(streams, nil),
		submit.NewCmd(streams, nil), progress.NewCmd(streams, nil),
		trace.NewCmd(streams, nil), kubectl.NewCmd(streams, nil))
	add("grade", grade.NewCmd(streams, nil), batch.NewCmd(streams, nil), worker.NewCmd(streams, nil), ci.NewCmd(streams, nil), report.NewCmd(streams), gradescope.NewCmd(streams))
	add("author", lab.NewCmd(streams))
	add("", version.NewCmd(streams, nil), graderprocess.NewCmd(streams, nil), loadbalancer.NewCmd(streams, nil))
	classifyArgs(root)
	addLogFlags(root)
	fitHelp(root, streams)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return setLog(streams, cmd) }
	return root
}

// fitHelp makes the help of any command fit into a terminal's columns, once it is asked for.
func fitHelp(root *cobra.Command, streams ui.Streams) {
	help, usage := root.HelpFunc(), root.UsageTemplate()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if columns := streams.Columns(); columns > 0 {
			cmd.Long = ui.Reflow(cmd.Long, columns)
			root.SetUsageTemplate(strings.ReplaceAll(usage, ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", columns)))
		}
		help(cmd, args)
	})
}

// unknownCommand refuses arguments of a command that only has subcommands, and suggests.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fault.Inputf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return err.WithRemedy("%s %s", cmd.CommandPath(), near[0])
	}
	return err.WithRemedy("%s --help", cmd.CommandPath())
}

// classifyArgs makes cobra's own complaints about arguments input errors, and groups of
// commands refuse what they do not know.
func classifyArgs(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		classifyArgs(c)
		if c.HasSubCommands() && c.Args == nil {
			c.Args, c.SuggestionsMinimumDistance = unknownCommand, 2
		}
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, args []string) error {
				err := check(cmd, args)
				var classified *fault.Error
				if err == nil || errors.As(err, &classified) {
					return err
				}
				return fault.Inputf("%w", err).WithRemedy("%s --help", cmd.CommandPath())
			}
		}
	}
}

// exitCode reports err, if any, and returns the process's exit code.
func exitCode(ctx context.Context, w io.Writer, err error) int {
	var quiet *ui.ExitError
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(w, "labctl: interrupted")
		return int(fault.Interrupted)
	case err == nil:
		return 0
	case errors.As(err, &quiet):
		return quiet.Code
	}
	kind, remedy := fault.KindOf(err), fault.RemedyOf(err)
	switch {
	case noSpace(err):
		remedy = spaceRemedy
	case remedy == "" && kind == fault.Environment:
		remedy = "labctl doctor"
	}
	if ui.LogsJSON() {
		slog.Error(ui.CleanLines(err.Error()), "hint", ui.CleanLines(remedy), "code", int(kind))
		return int(kind)
	}
	fmt.Fprintf(w, "labctl: error: %s\n", ui.CleanLines(err.Error()))
	if remedy != "" {
		fmt.Fprintf(w, "labctl: hint: %s\n", ui.CleanLines(remedy))
	}
	return int(kind)
}
