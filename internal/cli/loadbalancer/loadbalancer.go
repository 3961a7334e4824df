// Package loadbalancer is the hidden command that runs a cluster's built-in load balancer
// in the background. "labctl up" starts it; nobody needs to type it.
package loadbalancer

import (
	"context"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/ui"
)

// Options are the flags of "labctl load-balancer serve".
type Options struct {
	Cluster    string
	Kubeconfig string
	Provider   string
}

// NewCmd returns the command. A nil run means Run.
func NewCmd(_ ui.Streams, run func(ctx context.Context, o *Options) error) *cobra.Command {
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:    "load-balancer",
		Short:  "Serve LoadBalancer Services",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var o Options
	serve := &cobra.Command{
		Use:   "serve",
		Short: "Serve a cluster's LoadBalancer Services until the cluster is gone",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), &o) },
	}
	serve.Flags().StringVar(&o.Cluster, "cluster", "", "the kind cluster")
	serve.Flags().StringVar(&o.Kubeconfig, "kubeconfig", "", "a kubeconfig whose current context is the cluster")
	serve.Flags().StringVar(&o.Provider, "provider", "", "the container engine: docker, podman or nerdctl")
	for _, name := range []string{"cluster", "kubeconfig"} {
		if err := serve.MarkFlagRequired(name); err != nil {
			panic(err) // a flag of this name is defined above
		}
	}
	cmd.AddCommand(serve)
	return cmd
}

// Run serves until ctx ends or the cluster is gone.
func Run(ctx context.Context, o *Options) error {
	e, err := engine.Detect(ctx, o.Provider)
	if err != nil {
		return err
	}
	return loadbalancer.ServeBuiltin(ctx, loadbalancer.ServeOptions{Engine: e, Cluster: o.Cluster, Kubeconfig: o.Kubeconfig})
}
