// Package repair implements "labctl repair".
package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/furnish"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams  ui.Streams
	Name     string
	Provider string
	Timeout  time.Duration
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Make the cluster healthy again, after a restart for example",
		Long: `Repair starts the nodes that have stopped and waits until the cluster is healthy. Where
that does not help within two minutes, it recreates the cluster with the options that it
was made with; the objects in it are lost then, and repair says so.`,
		Example: "  labctl repair",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	f := cmd.Flags()
	f.StringVar(&opts.Name, "name", cluster.DefaultName, "the cluster's name")
	f.StringVar(&opts.Provider, "provider", "", "container engine: docker, podman or nerdctl (default: the one that answers)")
	f.DurationVar(&opts.Timeout, "timeout", 10*time.Minute, "give up after this time; 0 means never")
	return cmd
}

// Run repairs the cluster.
func Run(ctx context.Context, opts *Options) error {
	p := ui.NewProgress(opts.Streams)
	defer p.Close()
	bounded, cancel, explain := furnish.Within(ctx, opts.Timeout, "run labctl repair again")
	defer cancel()
	done, err := opts.repair(bounded, p)
	p.Close()
	if err != nil {
		return explain(err)
	}
	w := opts.Streams.Out
	if done.Recreated {
		fmt.Fprintf(w, "Cluster %s was recreated, because %s.\nThe objects that were in it are lost: apply your manifests again.\n",
			done.Cluster.Name, done.Why)
	} else {
		fmt.Fprintf(w, "Cluster %s is healthy; the objects in it were kept.\n", done.Cluster.Name)
	}
	fmt.Fprintln(w, "Next: labctl status --name "+done.Cluster.Name)
	return nil
}

func (o *Options) repair(ctx context.Context, p *ui.Progress) (cluster.Repaired, error) {
	tools, err := furnish.Open(ctx, o.Provider, p)
	if err != nil {
		return cluster.Repaired{}, err
	}
	unlock, err := tools.Clusters.Lock(ctx, o.Name, "labctl repair")
	if err != nil {
		return cluster.Repaired{}, err
	}
	defer unlock()
	want := string(loadbalancer.Auto)
	found, err := tools.Clusters.Find(ctx, o.Name)
	if err != nil && !errors.Is(err, cluster.ErrNone) {
		return cluster.Repaired{}, err
	}
	if found != nil && found.LoadBalancer != "" {
		want = found.LoadBalancer
	}
	kind, _, err := loadbalancer.SelectFor(ctx, tools.Engine, want, o.Name)
	if err != nil {
		return cluster.Repaired{}, err
	}
	furniture := &furnish.Furniture{Engine: tools.Engine, Store: tools.Store, Progress: p, LoadBalancer: kind}
	return tools.Clusters.Repair(ctx, o.Name, furniture.Work, func(ctx context.Context, image string) (string, error) {
		ref, _, err := tools.Store.ResolveNode(ctx, tools.Engine, image, cluster.PinnedNodeImage())
		return ref, err
	})
}
