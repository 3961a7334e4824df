// Package ci implements "labctl ci": everything that a pipeline needs, in one command.
package ci

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/ci"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/export"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams      ui.Streams
	Target       target.Flags
	Path         string
	Labs         []string
	Out          string
	Student      string
	Submitted    string
	Formats      []string
	MinScore     float64
	NodeImage    string
	LoadBalancer string
	Keep         bool
	Timeout      time.Duration

	submitted time.Time
}

// clusterName is the cluster that a job makes and removes.
const clusterName = "labctl-ci"

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "ci [PATH] --lab ID[,ID…]",
		Short: "Grade in a pipeline, from an empty machine to the results",
		Long: `Ci does in one command what a pipeline needs: it checks the machine, makes a cluster,
grades the submission in PATH (default: the current folder) for the lab, writes the
results to a folder, and removes the cluster that it made. With several labs, PATH
has a folder for each, named like the lab.

On GitHub Actions and GitLab CI/CD it folds the log, annotates what failed, and leaves
the summary and the outputs where they look for them. Where the environment fails, the
nodes' logs, the events and the rest that is needed to find out why are in
OUT/diagnostics, without the values of secret variables.

OUT holds summary.md, and for each lab a folder with report.json, report.html, junit.xml
and what --format asks for.

Exit codes: 0 enough points (--min-score), 1 fewer, 2 a submission was refused or a flag
is invalid, 3 the environment failed (no marks are given or taken), 130 interrupted.`,
		Example: `  labctl ci --lab clusterip
  labctl ci ./work --lab clusterip,nodeport --min-score 60`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Path = "."
			if len(args) == 1 {
				opts.Path = args[0]
			}
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.AddOwn(cmd, clusterName)
	f := cmd.Flags()
	f.StringSliceVar(&opts.Labs, "lab", nil, "the lab's id, or several (see: labctl labs)")
	f.StringVar(&opts.Out, "out", "labctl-results", "folder for the results")
	f.StringVar(&opts.Student, "student", "", "whose work it is (default: who the pipeline runs for)")
	f.StringVar(&opts.Submitted, "submitted", "", "when it was handed in, as 2026-11-25T18:00:00Z (for --format classroom50)")
	f.StringSliceVar(&opts.Formats, "format", nil, "further formats of the results (see: labctl report --help)")
	f.Float64Var(&opts.MinScore, "min-score", 100, "percent of all points from which the exit code is 0")
	f.StringVar(&opts.NodeImage, "node-image", "", "image of the nodes (default: kind's own, else the one that was built or bundled)")
	f.StringVar(&opts.LoadBalancer, "load-balancer", string(loadbalancer.Auto), "auto, cloud-provider-kind, builtin or none")
	f.BoolVar(&opts.Keep, "keep", false, "leave the cluster in place")
	f.DurationVar(&opts.Timeout, "timeout", 30*time.Minute, "give up after this time; 0 means never")
	return cmd
}

// check refuses what is wrong before anything is made.
func (o *Options) check() error {
	switch {
	case len(o.Labs) == 0:
		return fault.Inputf("which lab? --lab is missing").WithRemedy("labctl labs")
	case o.MinScore < 0 || o.MinScore > 100:
		return fault.Inputf("--min-score %g is no percentage", o.MinScore).WithRemedy("give a number from 0 to 100")
	case o.Timeout < 0:
		return fault.Inputf("--timeout %s is negative", o.Timeout).WithRemedy("labctl ci --timeout 30m")
	}
	for _, name := range o.Formats {
		if _, err := export.FormatOf(name); err != nil {
			return err
		}
	}
	if o.Submitted != "" {
		at, err := time.Parse(time.RFC3339, o.Submitted)
		if err != nil {
			return fault.Inputf("--submitted %q is no time", o.Submitted).WithRemedy(`give one as in RFC 3339: --submitted "$(git log -1 --format=%%cI)"`)
		}
		o.submitted = at
	}
	return nil
}

// Run grades in a pipeline.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	if err := opts.check(); err != nil {
		return err
	}
	catalog, err := opts.Target.Catalog()
	if err != nil {
		return err
	}
	handed, err := opts.read(catalog)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(opts.Out, 0o755); err != nil {
		return fault.Environmentf("make the folder for the results: %w", err).WithRemedy("choose another: --out DIR")
	}
	platform := ci.Detect(os.Getenv, opts.Streams.Out)
	if platform.Name() != "" {
		opts.Streams.Err = opts.Streams.Out // a fold holds what is written to the same stream
	}
	j := &job{opts: opts, platform: platform, handed: handed}
	trouble := j.grade(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return j.publish(trouble)
}

// source is the submission's path from the top of the repository, where the job is in it.
func source(path string) string {
	here, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return filepath.ToSlash(filepath.Clean(path))
	}
	if short, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(short) {
		return filepath.ToSlash(short)
	}
	return filepath.ToSlash(path)
}

// say prints a line of the log.
func (j *job) say(format string, args ...any) {
	fmt.Fprintln(j.opts.Streams.Err, ui.CleanLines(fmt.Sprintf(format, args...)))
}
