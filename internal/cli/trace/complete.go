package trace

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/ui"
)

// completing bounds how long whoever presses Tab waits for the cluster.
const completing = 3 * time.Second

// complete completes the Service's name. A cluster that does not answer has no names.
func (opts *Options) complete(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	t, ctx, cancel := opts.peek(cmd)
	defer cancel()
	if t == nil || opts.Namespace == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	services, err := t.API.Services(ctx, opts.Namespace)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for _, s := range services {
		all = append(all, cobra.CompletionWithDesc(s.Name, string(s.Spec.Type)))
	}
	return course.Matching(all, typed), cobra.ShellCompDirectiveNoFileComp
}

// completeNamespace completes the value of --namespace.
func (opts *Options) completeNamespace(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	t, ctx, cancel := opts.peek(cmd)
	defer cancel()
	if t == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	namespaces, err := t.API.Namespaces(ctx, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for _, ns := range namespaces {
		all = append(all, ns.Name)
	}
	return course.Matching(all, typed), cobra.ShellCompDirectiveNoFileComp
}

// peek opens the cluster that Run would, and chooses its namespace, without a word. The target
// is nil where there is none.
func (opts *Options) peek(cmd *cobra.Command) (*target.Target, context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completing)
	if c, err := course.Peek(&opts.Target); err == nil {
		if l, mine, err := c.Current(""); err == nil && opts.Namespace == "" {
			c.UseCluster(cmd, &opts.Target, mine)
			opts.Namespace = namespaceOf(l, mine)
		}
	}
	progress := ui.NewProgress(ui.Streams{Out: io.Discard, Err: io.Discard})
	defer progress.Close()
	t, err := opts.Target.Open(ctx, progress)
	if err != nil {
		return nil, ctx, cancel
	}
	return t, ctx, cancel
}
