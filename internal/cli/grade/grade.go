// Package grade implements "labctl grade".
package grade

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/cli/observe"
	"labctl.dev/labctl/internal/cli/report"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Path    string
	Lab     string
	JSON    string // file for the report; "-" is standard output, instead of the table
	Sign    string // file of the private key to sign the report with
	Keep    bool
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "grade PATH --lab ID",
		Short: "Grade a submission: apply it, and prove it with real traffic",
		Long: `Grade applies the manifests of a submission (a folder, a .zip or a .tar.gz) in a fresh
namespace, waits until they are ready, sends identified traffic over every path that
the lab asks for, prints the verdicts with their evidence and removes the namespace.

Exit codes: 0 full marks, 1 some check failed, 2 the submission or a flag is invalid,
3 the environment failed (no marks are given or taken), 130 interrupted.`,
		Example: `  labctl grade ./my-work --lab clusterip
  labctl grade anna.zip --lab nodeport --json anna.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Path = args[0]
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.Add(cmd)
	cmd.Flags().StringVar(&opts.Lab, "lab", "", "the lab's id (see: labctl labs)")
	cmd.Flags().StringVar(&opts.JSON, "json", "", `write the report to this file; "-" prints it instead of the table`)
	cmd.Flags().StringVar(&opts.Sign, "sign", "", "sign the report with this private key (see: labctl report)")
	cmd.Flags().BoolVar(&opts.Keep, "keep", false, "leave the namespace in place, to look at it")
	return cmd
}

// Run grades one submission.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	catalog, err := opts.Target.Catalog()
	if err != nil {
		return err
	}
	if opts.Lab == "" {
		return fault.Inputf("which lab? --lab is missing").WithRemedy("labctl labs")
	}
	l, err := catalog.Lab(opts.Lab)
	if err != nil {
		return err
	}
	var key ed25519.PrivateKey
	if opts.Sign != "" { // before the work, which would be lost
		if key, err = report.ReadPrivateKey(opts.Sign); err != nil {
			return err
		}
	}
	made := target.NewReport(l)
	err = grade(ctx, opts, l, &made)
	if err != nil {
		target.Explain(&made, err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if key != nil {
		if err := made.Sign(key); err != nil {
			return err
		}
	}
	if errOut := output(opts, made, err == nil); errOut != nil {
		return errors.Join(err, errOut)
	}
	if err != nil {
		return err
	}
	return verdict(made)
}

// grade reads, applies and grades; the report is filled in as far as it is known.
func grade(ctx context.Context, opts *Options, l *lab.Lab, report *result.Report) error {
	progress := ui.NewProgress(opts.Streams)
	defer progress.Close()
	recording, flush := observe.Trace(ctx, progress, opts.Streams.Err, batch.NewID("grade"))
	defer func() { flush(ctx) }()
	recording, span := telemetry.Start(recording, "submission", slog.String("labctl.lab.id", l.ID), slog.String("labctl.lab.version", l.Version))
	err := gradeIn(recording, opts, l, report, progress)
	if report.Submission != "" {
		span.Set(slog.String("labctl.submission.digest", report.Submission))
	}
	span.End(err)
	return err
}

func gradeIn(ctx context.Context, opts *Options, l *lab.Lab, report *result.Report, progress *ui.Progress) error {
	_, end := telemetry.Begin(ctx, telemetry.Read)
	sub, err := submission.Read(opts.Path, target.Limits(l))
	end(err)
	if err != nil {
		return err
	}
	report.Student, report.Submission = sub.Student, sub.Digest
	t, err := opts.Target.Open(ctx, progress)
	if err != nil {
		return err
	}
	telemetry.Annotate(ctx, slog.String("k8s.cluster.name", t.Cluster.Name))
	return t.Grade(ctx, l, sub, report, opts.Keep, progress, ui.Details("grader"))
}

// output writes the report where the user wants it, also when there are no verdicts.
func output(opts *Options, r result.Report, table bool) error {
	switch {
	case opts.JSON == "-":
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	case opts.JSON != "":
		if err := grader.WriteReport(opts.JSON, r); err != nil {
			return err
		}
	}
	if !table {
		return nil
	}
	if err := ui.WriteReport(opts.Streams.Out, opts.Streams.Columns(), r); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if opts.JSON != "" {
		fmt.Fprintf(opts.Streams.Err, "Report: %s\n", opts.JSON)
	}
	if r.Status == result.Graded && r.Score < r.MaxScore {
		fmt.Fprintf(opts.Streams.Err, "Next: labctl grade %s --lab %s\n", opts.Path, opts.Lab)
	}
	return nil
}

// verdict turns a report into the exit code.
func verdict(r result.Report) error {
	switch {
	case r.Status == result.Errored:
		return fault.Environmentf("not graded, no marks given or taken: %s", r.Message).WithRemedy("labctl doctor")
	case r.Score < r.MaxScore:
		return &ui.ExitError{Code: 1}
	}
	return nil
}
