package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/cli/observe"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/export"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/ui"
)

// Run grades the class.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	l, catalog, err := opts.lab()
	if err != nil {
		return err
	}
	rules, err := opts.rules()
	if err == nil {
		err = opts.Pool.Check()
	}
	if err != nil {
		return err
	}
	found, err := class.Find(class.Options{Path: opts.Submissions, Roster: opts.Roster, Pattern: opts.Pattern, Skip: skip(opts.Out)})
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }() // a temporary folder
	if opts.DryRun {
		return found.Describe(opts.Streams.Out)
	}
	if opts.Out == "" {
		return fault.Inputf("where to? --out is missing").WithRemedy("labctl batch %s --lab %s --out graded", opts.Submissions, l.ID)
	}
	watched, err := opts.Watch.Listen(ctx)
	if err != nil {
		return err
	}
	defer watched.Close()
	folder, err := batch.Create(opts.Out, result.Lab{ID: l.ID, Title: l.Title, Version: l.Version})
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }() // the lock ends with the process anyway
	if err := opts.compare(folder, l); err != nil {
		return err
	}
	rules.note(&folder.Book)
	r := &run{opts: opts, lab: l, catalog: catalog, rules: rules, folder: folder, class: found, watched: watched}
	return r.all(ctx)
}

// skip keeps the results from being taken for a submission.
func skip(out string) []string {
	if out == "" {
		return nil
	}
	return []string{out}
}

// lab finds the lab, in the version that was asked for.
func (o *Options) lab() (*lab.Lab, *lab.Catalog, error) {
	catalog, err := o.Pool.Target.Catalog()
	if err != nil {
		return nil, nil, err
	}
	if o.Lab == "" {
		return nil, nil, fault.Inputf("which lab? --lab is missing").WithRemedy("labctl labs")
	}
	l, err := catalog.Lab(o.Lab)
	if err == nil && o.LabVersion != "" && o.LabVersion != l.Version {
		err = fault.Inputf("lab %s is here in version %s, not %s", l.ID, l.Version, o.LabVersion).
			WithRemedy("name the folder that holds that version: --labs DIR")
	}
	return l, catalog, err
}

// compare refuses a folder that holds a batch of something else.
func (o *Options) compare(f *batch.Folder, l *lab.Lab) error {
	source, err := filepath.Abs(o.Submissions)
	if err != nil {
		return fault.Inputf("find %s: %w", o.Submissions, err)
	}
	b := &f.Book
	queue := ""
	if named := o.Queue.Named(); named != "" {
		if address, err := url.Parse(named); err == nil {
			queue = address.Redacted()
		}
	}
	switch {
	case b.Source == "":
		b.Source, b.Queue = source, queue
	case b.Source != source:
		return fault.Inputf("%s holds the batch of %s, not of %s", f.Path, b.Source, source).WithRemedy("name another folder: --out DIR")
	case b.Queue != queue:
		return fault.Inputf("the batch in %s is queued in %s", f.Path, orFile(b.Queue)).WithRemedy("give the same --queue, or another folder: --out DIR")
	case b.Lab.Version != l.Version && !o.Regrade:
		return fault.Inputf("%s holds grades by version %s of lab %s, which is now %s", f.Path, b.Lab.Version, l.ID, l.Version).
			WithRemedy("to grade again by the new version: --regrade")
	}
	b.Lab, b.Points = result.Lab{ID: l.ID, Title: l.Title, Version: l.Version}, l.Points()
	return nil
}

func orFile(queue string) string {
	if queue == "" {
		return "its own folder"
	}
	return queue
}

// run is one run over a batch.
type run struct {
	opts    *Options
	lab     *lab.Lab
	catalog *lab.Catalog
	rules   *rules
	folder  *batch.Folder
	class   *class.Class
	watched *observe.Server
	id      string // of this process as a worker
}

// all does the batch, and records it.
func (r *run) all(ctx context.Context) error {
	progress := ui.NewProgress(r.opts.Streams)
	defer progress.Close()
	r.id = batch.NewID("batch")
	recording, flush := observe.Trace(ctx, progress, r.opts.Streams.Err, r.id)
	defer func() { flush(ctx) }()
	recording, span := telemetry.Start(recording, "batch",
		slog.String("labctl.batch.id", r.folder.Book.ID), slog.String("labctl.lab.id", r.lab.ID), slog.String("labctl.lab.version", r.lab.Version),
		slog.Int("labctl.students", len(r.class.Students)))
	err := r.work(recording, progress)
	span.End(err)
	return err
}

// work enters, grades and writes down.
func (r *run) work(ctx context.Context, progress *ui.Progress) error {
	store, err := r.folder.Store(ctx, r.opts.Queue.Named())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // every write was committed
	if err := r.opts.Queue.Use(store); err != nil {
		return err
	}
	if r.folder.Book.Queue == "" {
		// Nobody else works on this queue: whoever did is dead.
		if err := store.TakeOverAll(ctx); err != nil {
			return err
		}
	}
	ctx = r.watched.Serve(ctx, progress, store, []string{r.lab.ID})
	v := newView(r.opts.Streams, progress)
	alike := newAlike(r.opts.Similar, r.lab)
	end := progress.Begin("Reading the submissions")
	_, reading := telemetry.Start(ctx, "read submissions")
	exclusive := false
	err = r.folder.Enter(ctx, store, batch.Plan{
		Class: r.class, Limits: target.Limits(r.lab), Regrade: r.opts.Regrade, Students: r.opts.Students, FileName: export.FileName,
		Read: func(student string, h *batch.Handed) {
			v.handed(student, h)
			alike.add(student, h)
			exclusive = exclusive || len(h.Claims) > 0
		},
	})
	reading.End(err)
	end(err)
	if err != nil {
		return err
	}
	if err := r.grade(ctx, store, v, progress, exclusive); err != nil {
		progress.Close()
		return r.resumable(err)
	}
	progress.Close()
	_, writing := telemetry.Start(ctx, "write results")
	err = r.finish(alike)
	writing.End(err)
	return err
}

// grade works on the queue until every submission of the batch has its grade.
func (r *run) grade(ctx context.Context, store *batch.Store, v *view, progress *ui.Progress, exclusive bool) error {
	times := batch.DefaultTimes()
	pending := r.pending(ctx, store, times)
	var size batch.PoolSize
	var err error
	if pending {
		if size, err = r.opts.Pool.Size(ctx, exclusive); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var working sync.WaitGroup
	if size.Clusters == 0 && pending && r.folder.Book.Queue == "" {
		return fault.Inputf("--clusters 0 leaves nobody to grade what is queued in %s", r.folder.Path).
			WithRemedy("leave --clusters out, or share the work: --queue postgres://user@host/database")
	}
	if size.Clusters > 0 {
		progress.Note(fmt.Sprintf("grading in %d of this machine's clusters, %d at a time in each", size.Clusters, size.PerCluster))
		pool := r.opts.Pool.Pool(r.catalog, size, progress, stop)
		worker := &batch.Worker{
			Store: store, Grader: pool, Queues: []string{batch.Queue(r.lab.ID, r.lab.Version)},
			Parallel: size.Clusters * size.PerCluster, Times: times, ID: r.id,
		}
		r.watched.Work(worker, pool.State)
		working.Go(func() {
			if err := worker.Run(ctx); err != nil {
				stop(err)
			}
		})
	}
	err = r.folder.Follow(ctx, store, times, batch.Follower{
		Graded: v.graded, Progress: v.show,
		Finish: r.rules.finish,
	})
	stop(nil)
	working.Wait()
	return err
}

// pending tells whether anything is left to grade: clusters are not made for nothing.
func (r *run) pending(ctx context.Context, store *batch.Store, times batch.Times) bool {
	p, err := batch.Status(ctx, store, &r.folder.Book, times)
	return err != nil || p.Pending > 0
}

// resumable adds how to go on.
func (r *run) resumable(err error) error {
	if errors.Is(err, context.Canceled) || fault.RemedyOf(err) != "" {
		return err
	}
	return fault.Environmentf("%w", err).WithRemedy("run the same command again: it goes on where it was")
}
