// Package trace implements "labctl trace".
package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/grader/trace"
	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams   ui.Streams
	Target    target.Flags
	Service   string
	Namespace string // "" means that of the lab that was started last
	Port      int    // 0 means all
	JSON, Dot bool

	useCluster func(*course.Course, *student.Lab)
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "trace SERVICE",
		Short: "Follow a request along every path of a Service, hop by hop",
		Long: `Trace sends one identified request along each path that a Service has: from a pod to
its ClusterIP, from outside to its port on each node, and from outside to its load
balancer. It prints the hops with their real addresses and the pod that answered; where
a path breaks, it says at which hop and why.

Exit codes: 0 every path answers, 1 a path breaks, 2 usage, 3 environment.`,
		Example: `  labctl trace backend
  labctl trace frontend -n shop --dot | dot -Tsvg > frontend.svg`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Service = args[0]
			opts.useCluster = func(c *course.Course, mine *student.Lab) { c.UseCluster(cmd, &opts.Target, mine) }
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.Add(cmd)
	cmd.Flags().StringVarP(&opts.Namespace, "namespace", "n", "", "the Service's namespace (default: that of the lab that you started last)")
	cmd.Flags().IntVar(&opts.Port, "port", 0, "follow only this port of the Service (default: all)")
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&opts.Dot, "dot", false, "print a graph for Graphviz")
	cmd.ValidArgsFunction = opts.complete
	_ = cmd.RegisterFlagCompletionFunc("namespace", opts.completeNamespace) // the flag is there
	return cmd
}

// Run traces one Service.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	if opts.Port < 0 || opts.Port > 65535 {
		return fault.Inputf("--port %d is no port", opts.Port)
	}
	if opts.JSON && opts.Dot {
		return fault.Inputf("only one of --json and --dot is possible").WithRemedy("labctl trace --help")
	}
	c, err := course.Open(ctx, opts.Streams, &opts.Target)
	if err != nil {
		return err
	}
	if opts.Namespace == "" {
		l, mine, err := c.Current("")
		if err != nil {
			return err
		}
		opts.useCluster(c, mine)
		opts.Namespace = namespaceOf(l, mine)
	}
	t, err := opts.trace(ctx, tiers(c.Catalog))
	if err != nil {
		return err
	}
	if err := opts.output(t); err != nil {
		return fmt.Errorf("print the trace: %w", err)
	}
	if !t.OK() {
		return &ui.ExitError{Code: 1}
	}
	return nil
}

// namespaceOf is where the student works on the lab.
func namespaceOf(l *lab.Lab, mine *student.Lab) string {
	if mine.Namespace == "" {
		return l.ID
	}
	return mine.Namespace
}

// tiers is what all labs together know of applications, the outermost first.
func tiers(catalog *lab.Catalog) []lab.Tier {
	var all []lab.Tier
	for _, l := range catalog.Labs {
		for _, t := range l.Tiers {
			if !slices.ContainsFunc(all, func(known lab.Tier) bool { return known.Image == t.Image }) {
				all = append(all, t)
			}
		}
	}
	return all
}

func (opts *Options) trace(ctx context.Context, tiers []lab.Tier) (*trace.Trace, error) {
	progress := ui.NewProgress(opts.Streams)
	defer progress.Close()
	t, err := opts.Target.Open(ctx, progress)
	if err != nil {
		return nil, err
	}
	if err := exists(ctx, t.API, opts.Namespace); err != nil {
		return nil, err
	}
	w, err := t.API.Watch(ctx, opts.Namespace)
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	nonce := make([]byte, 12)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("choose this run's value: %w", err)
	}
	tracer := &trace.Tracer{
		Namespace: opts.Namespace, State: w.State(), Cluster: t.API, Places: t.Places(opts.Namespace),
		Tiers: tiers, Nonce: hex.EncodeToString(nonce),
	}
	return tracer.Trace(ctx, opts.Service, opts.Port)
}

func exists(ctx context.Context, api *kube.Client, namespace string) error {
	all, err := api.Namespaces(ctx, "")
	if err != nil {
		return err
	}
	var names []string
	for _, ns := range all {
		if ns.Name == namespace {
			return nil
		}
		names = append(names, ns.Name)
	}
	return fault.Inputf("there is no namespace %q%s", namespace, lab.Suggest(namespace, names)).WithRemedy("labctl start LAB")
}

func (opts *Options) output(t *trace.Trace) error {
	switch {
	case opts.JSON:
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(t)
	case opts.Dot:
		return writeDot(opts.Streams.Out, t)
	}
	if err := write(opts.Streams.Out, opts.Streams.Columns(), t); err != nil {
		return err
	}
	if next := next(t); next != "" {
		fmt.Fprintf(opts.Streams.Err, "Next: %s\n", next)
	}
	return nil
}

// next is the command that shows most of the first break.
func next(t *trace.Trace) string {
	for _, p := range t.Paths {
		if p.Break == nil {
			continue
		}
		ns := " -n " + t.Namespace
		switch p.Hops[p.Break.Hop].Kind {
		case trace.KindPod:
			return "labctl kubectl" + ns + " describe pods -l " + t.Selector
		case trace.KindService, trace.KindNode, trace.KindLoadBalancer, trace.KindName:
			if t.Type == "" {
				return "labctl kubectl" + ns + " get services"
			}
			return "labctl kubectl" + ns + " describe service " + t.Service
		}
		return "labctl kubectl" + ns + " get pods"
	}
	return ""
}
