// Package down implements "labctl down".
package down

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/furnish"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams  ui.Streams
	Name     string
	named    bool
	Provider string
	All      bool
	Timeout  time.Duration
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove the cluster and everything that labctl made for it",
		Long: `Down removes the cluster, its load balancers, the containers beside it and its context
in your kubeconfig. Images stay. A cluster that labctl did not make is refused; one that
does not exist is fine.`,
		Example: `  labctl down
  labctl down --all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.named = cmd.Flags().Changed("name")
			return run(cmd.Context(), opts)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.Name, "name", cluster.DefaultName, "the cluster's name")
	f.StringVar(&opts.Provider, "provider", "", "container engine: docker, podman or nerdctl (default: the one that answers)")
	f.BoolVar(&opts.All, "all", false, "remove all clusters that labctl made")
	f.DurationVar(&opts.Timeout, "timeout", 5*time.Minute, "give up after this time, and after as much before that on waiting for another labctl; 0 means never")
	return cmd
}

// Run removes the cluster or all of them.
func Run(ctx context.Context, opts *Options) error {
	if opts.All && opts.named {
		return fault.Inputf("--all and --name exclude each other").WithRemedy("labctl down --all")
	}
	p := ui.NewProgress(opts.Streams)
	defer p.Close()
	removed, err := opts.down(ctx, p)
	p.Close()
	for _, line := range removed {
		fmt.Fprintln(opts.Streams.Out, line)
	}
	return err
}

func (o *Options) down(ctx context.Context, p *ui.Progress) (said []string, err error) {
	tools, err := furnish.Open(ctx, o.Provider, p)
	if err != nil {
		return nil, err
	}
	names := []string{o.Name}
	if o.All {
		if names, err = tools.Clusters.List(ctx); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return []string{"There is no cluster that labctl made."}, nil
		}
	}
	var errs []error
	for _, name := range names {
		removed, err := o.one(ctx, tools, p, name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case removed:
			said = append(said, fmt.Sprintf("Cluster %s is removed.", name))
		default:
			said = append(said, fmt.Sprintf("There is no cluster %s: nothing to remove.", name))
		}
	}
	return said, errors.Join(errs...)
}

// one removes one cluster. Waiting for whoever else works on it and removing it get the
// whole time each.
func (o *Options) one(ctx context.Context, tools *furnish.Tools, p *ui.Progress, name string) (removed bool, err error) {
	waiting, cancel, explain := furnish.Within(ctx, o.Timeout, "run labctl down again")
	defer cancel()
	unlock, err := tools.Clusters.Lock(waiting, name, "labctl down")
	if err != nil {
		return false, explain(err)
	}
	defer unlock()
	ctx, cancel, explain = furnish.Within(ctx, o.Timeout, "run labctl down again")
	defer cancel()
	defer func() { err = explain(err) }()
	return tools.Down(ctx, name, p)
}
