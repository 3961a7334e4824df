package batch

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/telemetry"
)

// Outcome is how one try at a grading ended: with a report, whose status it is, or in one of
// these ways.
type Outcome string

// The ends of a try, beyond those of result.Status.
const (
	Known       Outcome = "known"       // there was a grade
	Failed      Outcome = "failed"      // a fault of ours; it is tried again
	LostCluster Outcome = "cluster"     // the cluster was at fault; it is graded over
	TooMany     Outcome = "overload"    // too many ran at a time; it is graded over
	LostQueue   Outcome = "queue"       // the queue was out of reach
	Interrupted Outcome = "interrupted" // the worker was stopped
	Panicked    Outcome = "panic"       // a defect of labctl
)

// Final tells whether the submission is done with.
func (o Outcome) Final() bool {
	switch o {
	case Outcome(result.Graded), Outcome(result.Rejected), Outcome(result.Errored), Known:
		return true
	}
	return false
}

// Outcomes lists all of them.
func Outcomes() []Outcome {
	return []Outcome{
		Outcome(result.Graded), Outcome(result.Rejected), Outcome(result.Errored), Known,
		Failed, LostCluster, TooMany, LostQueue, Interrupted, Panicked,
	}
}

// ours tells whether the try ended so through a fault of ours.
func (o Outcome) ours() bool {
	switch o {
	case Outcome(result.Errored), Failed, LostCluster, TooMany, LostQueue, Panicked:
		return true
	}
	return false
}

// Observer is told what a worker does, by several goroutines at once.
type Observer interface {
	Taken(lab string)
	Ended(lab string, o Outcome, took time.Duration)
}

// unobserved is the Observer of workers that have none.
type unobserved struct{}

func (unobserved) Taken(string)                         {}
func (unobserved) Ended(string, Outcome, time.Duration) {}

// try is how one try at a grading ended.
type try struct {
	outcome Outcome
	why     error // in words, where it is a fault of ours
	answer  error // what the queue is told
}

// observe tells that a job was taken. The context that it returns is a part of the trace of
// whoever queued the job.
func (w *Worker) observe(ctx context.Context, job *river.Job[gradeArgs]) (context.Context, func(try)) {
	t, began, observer := job.Args.Task, time.Now(), w.Observer
	if observer == nil {
		observer = unobserved{}
	}
	observer.Taken(t.Lab)
	// Whose submission it is, and what came of it for a student, is not in it.
	ctx, span := telemetry.StartCarried(ctx, job.Args.Trace, "submission",
		slog.String("labctl.submission.digest", t.Digest), slog.String("labctl.batch.id", t.Batch),
		slog.String("labctl.lab.id", t.Lab), slog.String("labctl.lab.version", t.Version), slog.Int("labctl.round", t.Round),
		slog.Int("labctl.attempt", job.Attempt), slog.String("labctl.worker.id", w.ID),
		slog.Duration("labctl.queued_seconds", max(0, began.Sub(job.CreatedAt))))
	return ctx, func(done try) {
		span.Set(slog.String("labctl.outcome", string(done.outcome)))
		if done.outcome.ours() {
			span.Fail(string(done.outcome), done.why)
		}
		span.End(nil)
		observer.Ended(t.Lab, done.outcome, time.Since(began))
	}
}

// Health tells why this worker is of no use to anybody: it has given no sign of life for so
// long that others take over what it does. nil where all is well, or before it has begun.
func (w *Worker) Health() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if silent := time.Since(w.beaten); !w.beaten.IsZero() && silent > w.Times.Dead {
		return fmt.Errorf("the queue has been out of reach for %s", silent.Truncate(time.Second))
	}
	return nil
}

// alive gives a sign of life.
func (w *Worker) alive(ctx context.Context) error {
	if err := w.Store.beat(ctx, w.ID, w.activities()); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beaten = time.Now()
	return nil
}

// Depth is how many gradings of one queue are in one state, of those that are not done.
type Depth struct {
	Queue  string // as Queue names it
	State  string // as in States
	Jobs   int
	Oldest time.Duration // since the first of them was queued
}

// States are those of gradings that are not done, as River names them: to be taken, being
// graded, to be tried again, and to be tried again later.
func States() []string { return []string{"available", "running", "retryable", "scheduled"} }

// Look is what a queue is like at one moment.
type Look struct {
	Depths  []Depth
	Workers int // that have given a sign of life
}

// Look looks at all the gradings of the queue that are not done, whichever labs they are for.
func (s *Store) Look(ctx context.Context, times Times) (Look, error) {
	var l Look
	var err error
	l.Depths, err = query(ctx, s.db, func(row *sql.Rows) (d Depth, err error) {
		var age int64
		err = row.Scan(&d.Queue, &d.State, &d.Jobs, &age)
		d.Oldest = max(0, time.Duration(age)*time.Millisecond)
		return d, err
	}, "SELECT queue, CAST(state AS TEXT), COUNT(*), "+s.say.now+" - "+s.say.millis("MIN(created_at)")+
		" FROM river_job WHERE state IN ('"+strings.Join(States(), "', '")+"') AND kind = '"+jobKind+"' GROUP BY queue, state ORDER BY queue, state")
	if err != nil {
		return Look{}, fmt.Errorf("look at the queue: %w", err)
	}
	workers, err := s.Workers(ctx, times.Dead)
	l.Workers = len(workers)
	return l, err
}
