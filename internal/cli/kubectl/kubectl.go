// Package kubectl implements "labctl kubectl": kubectl itself, bound to labctl's cluster.
package kubectl

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Name    string   // the cluster's
	Args    []string // kubectl's own
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	if run == nil {
		run = Run
	}
	return &cobra.Command{
		Use:   "kubectl [--name CLUSTER] ARGS…",
		Short: "kubectl itself, in labctl's cluster and the lab's namespace",
		Long: `kubectl as you know it (this is the same code), with the kubeconfig of labctl's
cluster and the namespace of the lab that you started last. It cannot reach any
other cluster. Everything after "kubectl" is kubectl's own; a --name before that
chooses another of labctl's clusters (also LABCTL_CLUSTER).`,
		Example: `  labctl kubectl get pods
  labctl kubectl apply -f backend.yaml
  labctl kubectl exec -it deploy/backend -- sh`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := parse(streams, args)
			if err != nil {
				return err
			}
			return run(cmd.Context(), opts)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return complete(streams, args, toComplete)
		},
	}
}

// parse takes labctl's own flag off the front; all else is kubectl's.
func parse(streams ui.Streams, args []string) (*Options, error) {
	opts := &Options{Streams: streams, Name: target.DefaultName(), Args: args}
	if len(args) == 0 {
		return opts, nil
	}
	if name, ok := strings.CutPrefix(args[0], "--name="); ok {
		opts.Name, opts.Args = name, args[1:]
	} else if args[0] == "--name" {
		if len(args) < 2 {
			return nil, fault.Inputf("--name needs the name of a cluster").WithRemedy("labctl kubectl --name %s get pods", cluster.DefaultName)
		}
		opts.Name, opts.Args = args[1], args[2:]
	}
	return opts, nil
}

// Run runs kubectl. Where kubectl itself fails, it ends the process with its own code.
func Run(ctx context.Context, opts *Options) error {
	b, err := bind(ctx, opts.Name)
	if err != nil {
		return err
	}
	// kubectl ends at the first Ctrl-C, or hands it on to what runs in the pod.
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	return b.run(opts.Args)
}

// bind makes kubectl's configuration for the cluster and the current lab.
func bind(ctx context.Context, name string) (*binding, error) {
	access, err := cluster.AccessTo(name)
	if err != nil {
		return nil, err
	}
	namespace, err := currentNamespace(ctx, name)
	if err != nil {
		return nil, err
	}
	return newBinding(access, namespace)
}

// currentNamespace is that of the lab that was started last, where it is on this cluster;
// "" leaves kubectl its own default.
func currentNamespace(ctx context.Context, name string) (string, error) {
	store, err := student.Open()
	if err != nil {
		return "", err
	}
	p, err := store.Load(ctx)
	if err != nil {
		return "", err
	}
	mine := p.Labs[p.Current]
	if mine == nil || mine.Cluster != name {
		return "", nil
	}
	return mine.Namespace, nil
}

// complete completes with kubectl's own knowledge, where there is a cluster.
func complete(streams ui.Streams, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	opts, err := parse(streams, args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	// Completion has no context of its own: it ends when the shell kills it.
	b, err := bind(context.Background(), opts.Name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return b.complete(opts.Args, toComplete)
}
