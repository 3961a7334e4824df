package batch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"labctl.dev/labctl/internal/result"
)

// Grader grades one submission, somewhere, and always comes back with a report. An error says
// that nothing came of it through no fault of the submission's or the grading's, and that it is
// to be done over: the cluster is gone, the machine is shutting down.
type Grader interface {
	Grade(ctx context.Context, t Task, archive []byte) (result.Report, error)
}

// gradeArgs are a job in the queue.
type gradeArgs struct {
	Task
	// Trace is what makes the grading a part of the trace of whoever queued it; nil where that
	// was not traced.
	Trace map[string]string `json:"trace,omitempty"`
}

// Kind names the jobs of this sort.
func (gradeArgs) Kind() string { return jobKind }

const jobKind = "labctl_grade"

// Queue names the queue of one version of a lab: a worker only takes what it can grade.
func Queue(lab, version string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(lab+"_"+version))
	return strings.Join(strings.FieldsFunc(safe, func(r rune) bool { return r == '_' }), "_")
}

// Times are the bounds of working.
type Times struct {
	Beat  time.Duration // between two signs of life
	Dead  time.Duration // silence after which a worker counts as dead
	Poll  time.Duration // between two looks for work
	Retry time.Duration // before a grading is tried again; grows with each try
	// Patience is how long a server may be out of reach until it counts as gone.
	Patience time.Duration
}

// DefaultTimes suit gradings of some seconds.
func DefaultTimes() Times {
	return Times{Beat: 5 * time.Second, Dead: 30 * time.Second, Poll: time.Second, Retry: 2 * time.Second, Patience: 5 * time.Minute}
}

// Worker takes gradings from the queue.
type Worker struct {
	Store  *Store
	Grader Grader
	Queues []string
	// Parallel is how many submissions it grades at the same time.
	Parallel int
	Times    Times
	// ID names the worker; it is unique.
	ID string
	// Observer, where it is not nil, is told what becomes of jobs.
	Observer Observer

	mu     sync.Mutex
	doing  map[int64]string
	beaten time.Time // the last sign of life that reached the queue

	broken chan error // why the queue can be written to no more
}

// Run works until ctx ends, and returns when nothing is under way any more: what is not done
// is back in the queue. It ends with an error where the queue is a file that cannot be written to:
// unlike a server, that will not be there again in a moment.
func (w *Worker) Run(ctx context.Context) error {
	w.doing, w.broken = map[int64]string{}, make(chan error, 1)
	// The client outlives ctx for as long as it takes to put back what is not done.
	outliving := context.WithoutCancel(ctx)
	client, err := w.start(ctx, outliving)
	if err != nil {
		if ctx.Err() != nil {
			return nil // it ended before it had begun
		}
		return err
	}
	living, end := context.WithCancel(ctx)
	defer end()
	var alive sync.WaitGroup
	alive.Go(func() { w.live(living) })
	var broken error
	select {
	case <-ctx.Done():
	case broken = <-w.broken:
		end()
	}
	stopping, cancel := context.WithTimeout(outliving, stopTime)
	defer cancel()
	err = client.StopAndCancel(stopping)
	alive.Wait()
	err = errors.Join(err, w.Store.leave(stopping, w.ID))
	if broken != nil {
		return broken // the others follow from it
	}
	return err
}

// start makes the worker known and lets it take from the queue. A server that is out of reach is
// asked again, as later: it may have been started over in this moment.
func (w *Worker) start(ctx, outliving context.Context) (*river.Client[*sql.Tx], error) {
	tick := time.NewTicker(w.Times.Poll)
	defer tick.Stop()
	for began := time.Now(); ; {
		err := w.alive(ctx)
		var client *river.Client[*sql.Tx]
		if err == nil {
			client, err = w.client()
		}
		if err == nil {
			err = client.Start(outliving)
		}
		switch {
		case err == nil:
			return client, nil
		case !w.Store.say.shared, Lasting(err), time.Since(began) > w.Times.Patience:
			return nil, fmt.Errorf("start to work: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// client makes what takes from the queue.
func (w *Worker) client() (*river.Client[*sql.Tx], error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &gradeWorker{worker: w})
	queues := map[string]river.QueueConfig{}
	for _, q := range w.Queues {
		queues[q] = river.QueueConfig{MaxWorkers: w.Parallel}
	}
	return river.NewClient(w.Store.driver, &river.Config{
		ID: w.ID, Queues: queues, Workers: workers, MaxAttempts: attempts, JobTimeout: -1,
		FetchCooldown: min(100*time.Millisecond, w.Times.Poll), FetchPollInterval: w.Times.Poll, PollOnly: true,
		RetryPolicy: retries{w.Times.Retry}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		// By the clock of one machine, which may be set. Who is dead is known better here, and what was
		// given up is asked for.
		RescueStuckJobsAfter: never, CancelledJobRetentionPeriod: -1, DiscardedJobRetentionPeriod: -1,
	})
}

// never is longer than any grading.
const never = 10 * 365 * 24 * time.Hour

// lost notes that the queue cannot be written to, and tells whether it will do to try again.
func (w *Worker) lost(err error) (again bool) {
	if w.Store.say.shared {
		return true
	}
	select {
	case w.broken <- err:
	default: // that is known
	}
	return false
}

// stopTime bounds the end of working, since somebody waits.
const stopTime = 4 * time.Second

// live gives signs of life, and takes over what dead workers have left.
func (w *Worker) live(ctx context.Context) {
	tick := time.NewTicker(w.Times.Beat)
	defer tick.Stop()
	missing := map[int64]time.Time{}
	for {
		// A server that is out of reach for a moment is asked again at the next tick; if it stays
		// so, somebody else takes over, and whoever writes first counts.
		err := w.alive(ctx)
		if err == nil {
			err = w.Store.hasten(ctx, w.Queues, attempts*w.Times.Retry)
		}
		if err == nil && w.Store.say.shared {
			err = w.Store.takeOver(ctx, w.Times.Dead)
		}
		if err == nil {
			err = w.disown(ctx, missing)
		}
		if err != nil && ctx.Err() == nil {
			w.lost(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// disown puts back jobs that the queue counts as this worker's, and that never got here: the server,
// the way to it or the patience with it ended after it had given them out, and before that was
// heard. To be told from those that are on their way, they must be missing for as long as makes a
// worker count as dead. missing is what was, and since when.
func (w *Worker) disown(ctx context.Context, missing map[int64]time.Time) error {
	held, err := w.Store.held(ctx, w.ID)
	if err != nil {
		return err
	}
	w.mu.Lock()
	held = slices.DeleteFunc(held, func(job int64) bool { return w.doing[job] != "" })
	w.mu.Unlock()
	maps.DeleteFunc(missing, func(job int64, _ time.Time) bool { return !slices.Contains(held, job) })
	var lost []int64
	for _, job := range held {
		if since, before := missing[job]; !before {
			missing[job] = time.Now()
		} else if time.Since(since) > w.Times.Dead {
			lost = append(lost, job)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return w.Store.letGo(ctx, w.ID, lost)
}

func (w *Worker) activities() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]string, 0, len(w.doing))
	for _, d := range w.doing {
		all = append(all, d)
	}
	return all
}

func (w *Worker) note(job int64, doing string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if doing == "" {
		delete(w.doing, job)
		return
	}
	w.doing[job] = doing
}

// retries is how long a grading waits until it is tried again.
type retries struct{ step time.Duration }

// NextRetry implements River's policy.
func (r retries) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(time.Duration(len(job.Errors)+1) * r.step)
}

// gradeWorker is the worker as River sees it.
type gradeWorker struct {
	river.WorkerDefaults[gradeArgs]
	worker *Worker
}

// Work grades one submission and writes the grade, together with the job's end.
func (g *gradeWorker) Work(ctx context.Context, job *river.Job[gradeArgs]) error {
	w := g.worker
	w.note(job.ID, job.Args.Digest)
	defer w.note(job.ID, "")
	ctx, ended := w.observe(ctx, job)
	done := try{outcome: Panicked}
	defer func() { ended(done) }()
	done = w.try(ctx, job)
	return done.answer
}

// try tries once to grade the submission of the job.
func (w *Worker) try(ctx context.Context, job *river.Job[gradeArgs]) try {
	t := job.Args.Task
	lost := func(err error) try {
		if ctx.Err() != nil {
			return try{Interrupted, nil, river.JobSnooze(0)}
		}
		return try{LostQueue, err, river.JobSnooze(w.Times.Retry)}
	}
	graded, lethal, err := w.Store.standing(ctx, t.Key)
	switch {
	case err != nil:
		return lost(err)
	case graded:
		return try{outcome: Known}
	case lethal:
		return w.finish(ctx, job, Grade{Key: t.Key, Report: failed(t, "whoever graded it died, again and again"), Attempts: job.Attempt, Worker: w.ID})
	}
	archive, err := w.Store.Archive(ctx, t.Digest)
	if err != nil {
		return lost(err)
	}
	report, err := w.Grader.Grade(ctx, t, archive)
	switch {
	case ctx.Err() != nil:
		return try{Interrupted, nil, river.JobSnooze(0)} // whoever runs next does it over
	case errors.Is(err, errTooMany):
		return try{TooMany, err, river.JobSnooze(w.Times.Retry)}
	case err != nil:
		return try{LostCluster, err, river.JobSnooze(w.Times.Retry)}
	case report.Status == result.Errored && job.Attempt < job.MaxAttempts:
		err := fmt.Errorf("not graded: %s", report.Message)
		return try{Failed, err, err}
	}
	return w.finish(ctx, job, Grade{Key: t.Key, Report: report, Attempts: job.Attempt, Worker: w.ID})
}

// finish writes the grade and ends the job in one step. A server that is out of reach is waited
// for: the work is done, and only has to be written down.
func (w *Worker) finish(ctx context.Context, job *river.Job[gradeArgs], g Grade) try {
	tick := time.NewTicker(w.Times.Poll)
	defer tick.Stop()
	for {
		err := w.Store.inTx(ctx, func(tx *sql.Tx) error {
			if _, err := w.Store.write(ctx, tx, g); err != nil {
				return err
			}
			// The driver's type only says what a transaction is; both have the same.
			_, err := river.JobCompleteTx[*riversqlite.Driver](ctx, tx, job)
			if errors.Is(err, rivertype.ErrNotFound) {
				return nil // somebody took it over; that one will find the grade
			}
			return err
		})
		if err == nil && g.Report.Status == result.Errored {
			return try{outcome: Outcome(g.Report.Status), why: errors.New(g.Report.Message)}
		}
		if err == nil {
			return try{outcome: Outcome(g.Report.Status)}
		}
		if ctx.Err() == nil && !w.lost(err) {
			return try{LostQueue, err, river.JobSnooze(0)}
		}
		select {
		case <-ctx.Done():
			return try{Interrupted, nil, river.JobSnooze(0)}
		case <-tick.C:
		}
	}
}

// NewID names a worker on this machine.
func NewID(suffix string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%.60s-%d-%s", host, os.Getpid(), suffix)
}
