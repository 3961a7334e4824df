// Package worker implements "labctl worker": a machine that grades for batches elsewhere.
package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/cli/observe"
	"labctl.dev/labctl/internal/cli/sites"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Pool    sites.Flags
	Queue   sites.QueueFlags
	Watch   observe.Flags
	Labs    []string
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "worker --queue URL",
		Short: "Grade what batches on other machines have queued",
		Long: `Worker takes submissions from a PostgreSQL server's queue and grades them in clusters of
this machine. Any number of workers share a queue. When one is interrupted, or dies, the
others take over what it was at; nothing is graded twice.

It takes what is queued for the labs that it has, each in the version that it has.`,
		Example: `  labctl worker --queue postgres://labctl@db.example.org/labctl
  labctl worker --queue postgres://labctl@db.example.org/labctl --lab clusterip --clusters 2
  labctl worker --queue postgres://labctl@db.example.org/labctl --metrics 9090`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	cmd.Flags().StringSliceVar(&opts.Labs, "lab", nil, "only grade these labs (default: all)")
	opts.Pool.Add(cmd)
	opts.Queue.Add(cmd)
	opts.Watch.Add(cmd)
	return cmd
}

// Run works until it is interrupted.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	catalog, err := opts.Pool.Target.Catalog()
	if err != nil {
		return err
	}
	if opts.Queue.Named() == "" {
		return fault.Inputf("which queue? --queue is missing").WithRemedy("labctl worker --queue postgres://user@host/database")
	}
	labs, err := opts.labs(catalog)
	if err != nil {
		return err
	}
	watched, err := opts.Watch.Listen(ctx)
	if err != nil {
		return err
	}
	defer watched.Close()
	size, err := opts.Pool.Size(ctx, false)
	if err != nil {
		return err
	}
	if size.Clusters == 0 {
		return fault.Inputf("--clusters 0 leaves a worker nothing to grade in").WithRemedy("leave --clusters out: the machine decides")
	}
	store, err := opts.Queue.Shared(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // every write was committed
	progress := ui.NewProgress(opts.Streams)
	defer progress.Close()
	id := batch.NewID("worker")
	recording, flush := observe.Trace(ctx, progress, opts.Streams.Err, id)
	defer func() { flush(ctx) }()
	working, stop := context.WithCancelCause(watched.Serve(recording, progress, store, ids(labs)))
	defer stop(nil)
	pool := opts.Pool.Pool(catalog, size, progress, stop)
	w := &batch.Worker{
		Store: store, Grader: grader{pool, opts, progress}, Queues: queues(labs), Parallel: size.Clusters * size.PerCluster,
		Times: batch.DefaultTimes(), ID: id,
	}
	watched.Work(w, pool.State)
	progress.Note(fmt.Sprintf("worker %s: %d clusters, %d submissions at a time in each; Ctrl-C ends it", w.ID, size.Clusters, size.PerCluster))
	err = w.Run(working)
	if cause := context.Cause(working); cause != nil && ctx.Err() == nil {
		err = errors.Join(cause, err)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// labs are those that this worker grades.
func (o *Options) labs(catalog *lab.Catalog) (labs []*lab.Lab, err error) {
	if len(o.Labs) == 0 {
		return catalog.Labs, nil
	}
	for _, id := range o.Labs {
		l, err := catalog.Lab(id)
		if err != nil {
			return nil, err
		}
		labs = append(labs, l)
	}
	return labs, nil
}

func ids(labs []*lab.Lab) (all []string) {
	for _, l := range labs {
		all = append(all, l.ID)
	}
	return all
}

func queues(labs []*lab.Lab) (all []string) {
	for _, l := range labs {
		all = append(all, batch.Queue(l.ID, l.Version))
	}
	return all
}

// grader tells about what is graded.
type grader struct {
	batch.Grader
	opts     *Options
	progress *ui.Progress
}

// Grade implements batch.Grader.
func (g grader) Grade(ctx context.Context, t batch.Task, archive []byte) (result.Report, error) {
	r, err := g.Grader.Grade(ctx, t, archive)
	if err == nil {
		g.progress.Above(func() {
			fmt.Fprintf(g.opts.Streams.Out, "%s\t%s\t%s\t%.4g/%.4g\t%.1fs\n", r.Status, t.Lab, t.Digest, r.Score, r.MaxScore, r.Finished.Sub(r.Started).Seconds())
		})
	}
	return r, err
}
