package batch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// JoinServer connects to a server's queue as somebody who hands in and waits, and grades nothing.
// It makes no tables, so that its role in the database needs few rights (docs/ci.md lists them),
// and keeps no connection open while it waits, since a whole class may do so at the same time.
func JoinServer(ctx context.Context, address string) (*Store, error) {
	s, parsed, err := connect(ctx, address, maxSilence)
	if err != nil {
		return nil, err
	}
	s.db.SetMaxOpenConns(1)
	s.db.SetConnMaxIdleTime(time.Second)
	if _, err := s.db.ExecContext(ctx, "SELECT 1 FROM labctl_task, labctl_grade, labctl_worker, river_job LIMIT 0"); err != nil {
		unready := fault.Environmentf("%w", unreachable(parsed, err)).
			WithRemedy("start labctl worker for this queue once, which makes its tables, and grant the rights that docs/ci.md lists")
		return nil, errors.Join(unready, s.Close())
	}
	if err := s.inserter(slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Lasting tells whether a server's queue refused what waiting does not mend: who it is that comes,
// what they may do, or the tables, which are not there.
func Lasting(err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) || len(said.Code) != 5 {
		return false
	}
	class := said.Code[:2]
	return class == "28" || class == "3D" || class == "42"
}

// HandIn puts one submission into the queue of a batch that has no folder and no end, as that of
// an assignment, and returns the key of the grade that counts. The same files lead to the same
// grade however often they are handed in, but for two cases in which they are graded once more:
// the grading came to nothing through a fault of ours, or it was of an earlier round than the one
// that is asked for.
func (s *Store) HandIn(ctx context.Context, batch string, round int, lab result.Lab, h *Handed) (Key, error) {
	k := Key{Batch: batch, Digest: h.Digest, Version: lab.Version, Round: round}
	last, err := s.Round(ctx, batch, h.Digest, lab.Version)
	if err != nil {
		return k, err
	}
	if last >= round {
		k.Round = last
		futile, err := s.futile(ctx, k, lab.ID)
		if err != nil {
			return k, err
		}
		if futile {
			k.Round++ // whoever does the same in this moment comes to the same round
		}
	}
	_, err = s.Add(ctx, Task{Key: k, Lab: lab.ID, Claims: h.Claims}, h.Archive)
	return k, err
}

// futile tells whether the grading ended without a verdict on the submission.
func (s *Store) futile(ctx context.Context, k Key, lab string) (bool, error) {
	p, err := s.Place(ctx, k, lab, 0)
	if err != nil {
		return false, err
	}
	g, err := s.Find(ctx, k) // after the look at the job, which ends together with the grade
	if err != nil {
		return false, err
	}
	return g == nil && p.GivenUp || g != nil && g.Report.Status == result.Errored, nil
}

// Place is where a grading is that has not ended.
type Place struct {
	Ahead   int  // gradings for the same lab that come before it
	Running bool // somebody is at it
	GivenUp bool // nobody will be
	Workers int  // that give signs of life, whatever they grade
}

// Place looks where a grading is. Workers count that were heard of within the time.
func (s *Store) Place(ctx context.Context, k Key, lab string, within time.Duration) (Place, error) {
	var p Place
	var job int64
	var state string
	err := s.db.QueryRowContext(ctx, `SELECT j.id, j.state FROM labctl_task t JOIN river_job j ON j.id = t.job
		WHERE t.batch = $1 AND t.digest = $2 AND t.version = $3 AND t.round = $4`, k.Batch, k.Digest, k.Version, k.Round).Scan(&job, &state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		p.GivenUp = true // so long ago that the queue has forgotten it
	case err != nil:
		return p, fmt.Errorf("look for submission %s in the queue: %w", k.Digest, err)
	}
	p.Running = state == "running"
	p.GivenUp = p.GivenUp || state == "cancelled" || state == "discarded"
	err = s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM river_job WHERE queue = $1 AND id < $2
		AND state IN ('available', 'running', 'retryable', 'scheduled')`, Queue(lab, k.Version), job).Scan(&p.Ahead)
	if err != nil {
		return p, fmt.Errorf("count what is in the queue: %w", err)
	}
	workers, err := s.Workers(ctx, within)
	p.Workers = len(workers)
	return p, err
}

// Await returns the grade for the key when it is there. told hears where the grading is, each time
// that this has changed. A queue out of reach is asked again until ctx ends; the error then says
// what was the matter with it.
func (s *Store) Await(ctx context.Context, k Key, lab string, times Times, told func(Place)) (*Grade, error) {
	tick := time.NewTicker(times.Poll)
	defer tick.Stop()
	last := Place{Ahead: -1}
	for {
		p, err := s.Place(ctx, k, lab, times.Dead)
		var g *Grade
		if err == nil {
			g, err = s.Find(ctx, k) // after the look at the job, which ends together with the grade
		}
		switch {
		case g != nil:
			return g, nil
		case err == nil && p.GivenUp:
			return nil, fault.Environmentf("the grading of submission %s was given up", k.Digest)
		case err == nil && p != last:
			last = p
			told(p)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
				return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
			return nil, context.Cause(ctx)
		}
	}
}
