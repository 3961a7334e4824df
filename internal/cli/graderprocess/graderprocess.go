// Package graderprocess implements the hidden command that grades one submission: Ginkgo
// runs one suite a process, so labctl starts itself again for each.
package graderprocess

import (
	"context"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	return &cobra.Command{
		Use:    target.GraderCommand,
		Short:  "Grade the objects of one namespace (a task as JSON on standard input)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
}

// Run reads the task, grades and writes the report.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	task, err := grader.ReadTask(opts.Streams.In)
	if err != nil {
		return err
	}
	flags := target.Flags{Labs: task.Labs}
	catalog, err := flags.Catalog()
	if err != nil {
		return err
	}
	l, err := catalog.Lab(task.Lab)
	if err != nil {
		return err
	}
	return grader.RunSuite(task, l, func(context.Context) (*grader.Session, error) {
		session, err := grader.Dial(ctx, l, task.Target, loadbalancer.Serves)
		if err == nil {
			session.Answers, session.Known = task.Answers, grader.Refused(l, task.Refused)
		}
		return session, err
	})
}
