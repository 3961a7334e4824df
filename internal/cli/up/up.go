// Package up implements "labctl up".
package up

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/furnish"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams      ui.Streams
	Name         string
	Workers      int
	NodeImage    string
	Provider     string
	LoadBalancer string
	Kubeconfig   string
	Timeout      time.Duration
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Create the cluster for the labs, or complete it",
		Long: `Up creates a Kubernetes cluster with kind, loads the labs' images into its nodes and
starts a load balancer for it. Where the cluster exists, up checks it, completes what is
missing and takes a few seconds. It can be interrupted at any moment and run again.

The context kind-NAME goes into your kubeconfig, as "kind create cluster" does it.`,
		Example: `  labctl up
  labctl up --name exam --workers 3`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("workers") {
				opts.Workers = cluster.AsItIs
			}
			return run(cmd.Context(), opts)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.Name, "name", cluster.DefaultName, "the cluster's name")
	f.IntVar(&opts.Workers, "workers", cluster.DefaultWorkers, "worker nodes beside the control plane")
	f.StringVar(&opts.NodeImage, "node-image", "", "image of the nodes (default: kind's own, else the one that was built or bundled)")
	f.StringVar(&opts.Provider, "provider", "", "container engine: docker, podman or nerdctl (default: the one that answers)")
	f.StringVar(&opts.LoadBalancer, "load-balancer", string(loadbalancer.Auto), "auto, cloud-provider-kind, builtin or none")
	f.StringVar(&opts.Kubeconfig, "kubeconfig", "", "kubeconfig to write the context to (default: $KUBECONFIG or ~/.kube/config)")
	f.DurationVar(&opts.Timeout, "timeout", 10*time.Minute, "give up after this time; 0 means never")
	return cmd
}

func (o *Options) check() error {
	if o.Workers != cluster.AsItIs && (o.Workers < 0 || o.Workers > 20) {
		return fault.Inputf("--workers %d: a cluster has 0 to 20 workers", o.Workers).WithRemedy("labctl up --workers 2")
	}
	if !slices.Contains(loadbalancer.Kinds(), loadbalancer.Kind(o.LoadBalancer)) {
		return fault.Inputf("--load-balancer %q is none that labctl knows", o.LoadBalancer).
			WithRemedy("use auto, cloud-provider-kind, builtin or none")
	}
	if o.Timeout < 0 {
		return fault.Inputf("--timeout %s is negative", o.Timeout).WithRemedy("labctl up --timeout 10m")
	}
	return nil
}

// Run makes sure that the cluster exists, complete and healthy.
func Run(ctx context.Context, opts *Options) error {
	start := time.Now()
	if err := opts.check(); err != nil {
		return err
	}
	p := ui.NewProgress(opts.Streams)
	defer p.Close()
	bounded, cancel, explain := furnish.Within(ctx, opts.Timeout, "run labctl up again")
	defer cancel()
	done, err := opts.up(bounded, p)
	p.Close()
	if err != nil {
		return explain(err)
	}
	opts.report(done, time.Since(start))
	return nil
}

func (o *Options) up(ctx context.Context, p *ui.Progress) (furnish.Outcome, error) {
	tools, err := furnish.Open(ctx, o.Provider, p)
	if err != nil {
		return furnish.Outcome{}, err
	}
	return tools.Up(ctx, furnish.Wanted{
		Name: o.Name, Workers: o.Workers, NodeImage: o.NodeImage, Kubeconfig: o.Kubeconfig, LoadBalancer: o.LoadBalancer, Purpose: "labctl up",
	}, p)
}

func (o *Options) report(done furnish.Outcome, took time.Duration) {
	cl, w := done.Cluster, o.Streams.Out
	verb := "created"
	if cl.Existed {
		verb = "complete and healthy"
	}
	if before := done.Before; before != "" && before != cl.Labctl {
		fmt.Fprintf(w, "Cluster %s is brought up to date: labctl %s had made it, this is %s\n", cl.Name, before, cl.Labctl)
	}
	fmt.Fprintf(w, "Cluster %s is %s: %d nodes, in %s\n", cl.Name, verb, len(cl.Nodes), ui.Duration(took))
	if done.Image != "" {
		fmt.Fprintf(w, "node image     %s (%s)\n", cl.NodeImage, done.Image)
	}
	fmt.Fprintf(w, "load balancer  %s (%s)\n", done.Balancer, done.Why)
	fmt.Fprintf(w, "context        %s\n", cl.Context)
	fmt.Fprintf(w, "Next: %s\n", next(cl))
}

func next(cl *cluster.Cluster) string {
	if cl.Name == cluster.DefaultName {
		return "labctl labs"
	}
	return strings.Join([]string{"labctl grade PATH --lab ID --name", cl.Name}, " ")
}
