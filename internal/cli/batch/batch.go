// Package batch implements "labctl batch": a whole class graded with one command.
package batch

import (
	"context"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/observe"
	"labctl.dev/labctl/internal/cli/sites"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Pool    sites.Flags
	Queue   sites.QueueFlags
	Watch   observe.Flags

	Submissions string
	Lab         string
	LabVersion  string
	Out         string
	Roster      string
	Pattern     string
	Due         string
	Late        string
	Sign        string
	Regrade     bool
	Students    []string // to be graded again
	DryRun      bool
	Similar     float64
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "batch SUBMISSIONS --lab LAB --out DIR [STUDENT…]",
		Short: "Grade a class: a folder, or a download of a learning platform",
		Long: `Batch grades every submission that it finds, several at a time in clusters of its own, and
writes a report a student, a gradebook and an overview of the class into DIR. It can be
interrupted at any moment, or lose its machine: run the same command again, and it goes
on where it was. Nothing is graded twice, and one submission never stops the rest.

With --queue the work is shared with every "labctl worker" of the same queue, on any
number of machines.

Exit codes: 0 every submission has its grade, 1 some could not be graded (through no
fault of theirs: run it again), 2 what was given is invalid, 3 the environment failed,
130 interrupted.`,
		Example: `  labctl batch submissions.zip --lab clusterip --out graded --dry-run
  labctl batch submissions.zip --lab clusterip --out graded --roster roster.csv
  labctl batch submissions.zip --lab clusterip --out graded --due 2026-11-20 --late '10%/day,max 50%'
  labctl batch submissions.zip --lab clusterip --out graded --regrade anna ben
  labctl batch status graded`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Submissions, opts.Students = args[0], args[1:]
			if len(opts.Students) > 0 && !opts.Regrade {
				return fault.Inputf("students are named, but not what to do with them").WithRemedy("to grade them again: --regrade")
			}
			return run(cmd.Context(), opts)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.Lab, "lab", "", "the lab's id (see: labctl labs)")
	f.StringVar(&opts.Out, "out", "", "the folder for the results")
	f.StringVar(&opts.Roster, "roster", "", "CSV of the class: who is in it without a submission appears as missing")
	f.StringVar(&opts.Pattern, "pattern", "", "how to read paths, as in '(?P<student>[^/]+)/(?P<time>[0-9T]+)\\.zip'")
	f.StringVar(&opts.Due, "due", "", "when it was due, as in 2026-11-20 or 2026-11-20T18:00:00+01:00")
	f.StringVar(&opts.Late, "late", "", "what being late costs, as in '10%/day,max 50%'")
	f.StringVar(&opts.Sign, "sign", "", "sign the reports with this private key (see: labctl report)")
	f.BoolVar(&opts.Regrade, "regrade", false, "grade again, all or the students that are named; the earlier reports are kept")
	f.StringVar(&opts.LabVersion, "lab-version", "", "insist on this version of the lab")
	f.BoolVar(&opts.DryRun, "dry-run", false, "only show what was understood")
	f.Float64Var(&opts.Similar, "similar", 0.8, "list pairs of submissions that are at least so similar (0 to 1; 0 lists none)")
	opts.Pool.Add(cmd)
	opts.Queue.Add(cmd)
	opts.Watch.Add(cmd)
	cmd.AddCommand(newStatusCmd(streams, nil))
	return cmd
}
