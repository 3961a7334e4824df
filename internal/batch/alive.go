package batch

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"labctl.dev/labctl/internal/result"
)

// maxTakeovers is how often the worker of one submission may die before that submission is
// not given to another: one that kills whoever grades it must not kill them all.
const maxTakeovers = 25

// Activity is what one worker is doing.
type Activity struct {
	Worker string   `json:"worker"`
	Doing  []string `json:"doing"` // digests
	// Silent is how long it has given no sign of life; less than nothing where the clock was set back
	// since.
	Silent time.Duration `json:"silent"`
}

// beat writes down that the worker lives, by the database's clock.
func (s *Store) beat(ctx context.Context, id string, doing []string) error {
	text, err := encode(doing)
	if err != nil {
		return err
	}
	err = s.exec(ctx, "INSERT INTO labctl_worker (id, doing, beat) VALUES ($1, $2, "+s.say.now+
		") ON CONFLICT (id) DO UPDATE SET doing = excluded.doing, beat = excluded.beat", id, text)
	if err != nil {
		return fmt.Errorf("register worker %s: %w", id, err)
	}
	return nil
}

func (s *Store) leave(ctx context.Context, id string) error {
	if err := s.exec(ctx, "DELETE FROM labctl_worker WHERE id = $1", id); err != nil {
		return fmt.Errorf("take worker %s off the list: %w", id, err)
	}
	return nil
}

// Workers lists who has given a sign of life within the time.
func (s *Store) Workers(ctx context.Context, within time.Duration) ([]Activity, error) {
	all, err := query(ctx, s.db, func(row *sql.Rows) (a Activity, err error) {
		var doing string
		var silent int64
		if err := row.Scan(&a.Worker, &doing, &silent); err != nil {
			return a, err
		}
		a.Silent = time.Duration(silent) * time.Millisecond
		err = json.Unmarshal([]byte(doing), &a.Doing)
		return a, err
	}, "SELECT id, doing, "+s.say.now+" - beat FROM labctl_worker ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	return slices.DeleteFunc(all, func(a Activity) bool { return a.Silent.Abs() > within }), nil
}

// takeOver puts back what is with workers that have been silent for too long. A sign of life from a
// time to come is none: it was given before the clock was set back.
func (s *Store) takeOver(ctx context.Context, dead time.Duration) error {
	return s.putBack(ctx, "AND NOT EXISTS (SELECT 1 FROM labctl_worker w WHERE w.id = "+s.say.holder+" AND ABS("+s.say.now+fmt.Sprintf(" - w.beat) < %d)", dead.Milliseconds()))
}

// held lists the jobs that the queue counts as the worker's.
func (s *Store) held(ctx context.Context, id string) ([]int64, error) {
	jobs, err := query(ctx, s.db, scanID, "SELECT id FROM river_job WHERE state = 'running' AND kind = '"+jobKind+"' AND "+s.say.holder+" = $1", id)
	if err != nil {
		return nil, fmt.Errorf("list what worker %s holds: %w", id, err)
	}
	return jobs, nil
}

// letGo puts back jobs that the worker holds.
func (s *Store) letGo(ctx context.Context, id string, jobs []int64) error {
	text := make([]string, len(jobs))
	for i, job := range jobs {
		text[i] = strconv.FormatInt(job, 10)
	}
	return s.putBack(ctx, "AND "+s.say.holder+" = $1 AND id IN ("+strings.Join(text, ", ")+")", id)
}

func scanID(row *sql.Rows) (id int64, err error) {
	err = row.Scan(&id)
	return id, err
}

// hasten makes jobs of the queues due that wait for longer than any is told to: they were told by
// a clock that has been set back since, or that is ahead of the database's.
func (s *Store) hasten(ctx context.Context, queues []string, longest time.Duration) error {
	names, err := encode(queues)
	if err != nil {
		return err
	}
	err = s.exec(ctx, "UPDATE river_job SET scheduled_at = "+s.say.in(0)+" WHERE state IN ('available', 'retryable', 'scheduled') AND queue IN ("+
		s.say.elements+") AND priority = "+strconv.Itoa(river.PriorityDefault)+" AND kind = '"+jobKind+"' AND scheduled_at > "+s.say.in(int(longest.Seconds())+1), names)
	if err != nil {
		return fmt.Errorf("look for what waits for too long: %w", err)
	}
	return nil
}

// TakeOverAll puts back all that is under way. Only for who knows that nobody else works.
func (s *Store) TakeOverAll(ctx context.Context) error { return s.putBack(ctx, "") }

// putBack makes jobs available that are running and meet the condition. That a worker died
// does not count as one of the attempts.
func (s *Store) putBack(ctx context.Context, condition string, args ...any) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		jobs, err := query(ctx, tx, scanID,
			"UPDATE river_job SET state = 'available', attempt = attempt - 1 WHERE state = 'running' AND attempt > 0 AND kind = '"+jobKind+"' "+condition+" RETURNING id", args...)
		if err != nil {
			return err
		}
		for _, id := range jobs {
			if _, err := tx.ExecContext(ctx, "UPDATE labctl_task SET takeovers = takeovers + 1 WHERE job = $1", id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take over what a dead worker left: %w", err)
	}
	return nil
}

// standing tells whether the submission has its grade, and whether too many workers died with it.
func (s *Store) standing(ctx context.Context, k Key) (graded, lethal bool, err error) {
	var takeovers int
	err = s.db.QueryRowContext(ctx, `SELECT t.takeovers, g.digest IS NOT NULL FROM labctl_task t LEFT JOIN labctl_grade g
		ON g.batch = t.batch AND g.digest = t.digest AND g.version = t.version AND g.round = t.round
		WHERE t.batch = $1 AND t.digest = $2 AND t.version = $3 AND t.round = $4`, k.Batch, k.Digest, k.Version, k.Round).Scan(&takeovers, &graded)
	if err != nil {
		return false, false, fmt.Errorf("look for submission %s: %w", k.Digest, err)
	}
	return graded, takeovers > maxTakeovers, nil
}

// closeOff ends what can get no grade: jobs that the queue gave up without one. They are errors of
// ours, and are listed as not graded.
func (s *Store) closeOff(ctx context.Context, batch string) error {
	lost, err := query(ctx, s.db, func(row *sql.Rows) (Task, error) {
		t := Task{Key: Key{Batch: batch}}
		err := row.Scan(&t.Digest, &t.Version, &t.Round, &t.Lab)
		return t, err
	}, `SELECT t.digest, t.version, t.round, t.lab FROM labctl_task t
		JOIN river_job j ON j.id = t.job LEFT JOIN labctl_grade g
		ON g.batch = t.batch AND g.digest = t.digest AND g.version = t.version AND g.round = t.round
		WHERE t.batch = $1 AND g.digest IS NULL
		AND j.state IN ('cancelled', 'discarded') AND j.finalized_at IS NOT NULL`, batch)
	if err != nil {
		return fmt.Errorf("ask how the gradings stand: %w", err)
	}
	for _, t := range lost {
		g := Grade{Key: t.Key, Report: failed(t, "the grading was given up")}
		if err := s.Put(ctx, g, t.Lab); err != nil {
			return err
		}
	}
	return nil
}

// failed is the report of a grading that came to nothing through a fault of ours.
func failed(t Task, why string) result.Report {
	now := time.Now().UTC()
	r := ungraded(result.Errored, why, now, now)
	r.Lab, r.Submission = result.Lab{ID: t.Lab, Version: t.Version}, t.Digest
	return r
}
