package batch

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/riverqueue/river"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/telemetry"
)

// attempts is how often a grading is tried where the fault is ours.
const attempts = 3

// Add puts a grading into the queue with the archive that is to be graded, unless it is there
// already, and tells whether it was.
func (s *Store) Add(ctx context.Context, t Task, archive []byte) (added bool, err error) {
	if s.Archives != "" && archive != nil {
		if err := Replace(s.archivePath(t.Digest), archive); err != nil {
			return false, err
		}
		archive = nil
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		if archive != nil {
			_, err := tx.ExecContext(ctx, "INSERT INTO labctl_archive (digest, data) VALUES ($1, $2) ON CONFLICT DO NOTHING", t.Digest, archive)
			if err != nil {
				return err
			}
		}
		done, err := tx.ExecContext(ctx, "INSERT INTO labctl_task (batch, digest, version, round, lab, job) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING",
			t.Batch, t.Digest, t.Version, t.Round, t.Lab)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		added = true
		return s.insert(ctx, tx, t)
	})
	if err != nil {
		return false, fmt.Errorf("queue submission %s: %w", t.Digest, err)
	}
	return added, nil
}

// insert makes the job of a task.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, t Task) error {
	job, err := s.queue.InsertTx(ctx, tx, gradeArgs{t, telemetry.Carry(ctx)}, &river.InsertOpts{Queue: Queue(t.Lab, t.Version), MaxAttempts: attempts})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE labctl_task SET job = $1 WHERE batch = $2 AND digest = $3 AND version = $4 AND round = $5",
		job.Job.ID, t.Batch, t.Digest, t.Version, t.Round)
	return err
}

// Again puts a grading back that ended in an error of ours, and forgets that end.
func (s *Store) Again(ctx context.Context, t Task) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM labctl_grade WHERE batch = $1 AND digest = $2 AND version = $3 AND round = $4 AND status = $5",
			t.Batch, t.Digest, t.Version, t.Round, string(result.Errored))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.insert(ctx, tx, t)
	})
	if err != nil {
		return fmt.Errorf("queue submission %s again: %w", t.Digest, err)
	}
	return nil
}

// Put writes a grade that needed no grading, as that of a submission which is refused.
func (s *Store) Put(ctx context.Context, g Grade, lab string) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO labctl_task (batch, digest, version, round, lab, job) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING",
			g.Batch, g.Digest, g.Version, g.Round, lab)
		if err != nil {
			return err
		}
		_, err = s.write(ctx, tx, g)
		return err
	})
	if err != nil {
		return fmt.Errorf("write the grade of submission %s: %w", g.Digest, err)
	}
	return nil
}

// write writes the grade unless there is one, and tells whether it did: the first that is
// written counts, whoever else was at it.
func (s *Store) write(ctx context.Context, tx *sql.Tx, g Grade) (bool, error) {
	report, err := encode(g.Report)
	if err != nil {
		return false, err
	}
	done, err := tx.ExecContext(ctx, `INSERT INTO labctl_grade (batch, digest, version, round, status, report, attempts, worker, graded_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, `+s.say.now+`) ON CONFLICT DO NOTHING`,
		g.Batch, g.Digest, g.Version, g.Round, string(g.Report.Status), report, g.Attempts, g.Worker)
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

// archivePath is where an archive lies in the shared folder.
func (s *Store) archivePath(digest string) string {
	return filepath.Join(s.Archives, strings.ReplaceAll(digest, ":", "-")+".tar.gz")
}

// Archive returns what is to be graded. What is not in the shared folder was handed in by somebody
// who has no such folder, and lies in the database.
func (s *Store) Archive(ctx context.Context, digest string) ([]byte, error) {
	if s.Archives != "" {
		data, err := os.ReadFile(s.archivePath(digest))
		if err == nil {
			return data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("fetch submission %s: %w", digest, err)
		}
	}
	var data []byte
	err := s.db.QueryRowContext(ctx, "SELECT data FROM labctl_archive WHERE digest = $1", digest).Scan(&data)
	if err != nil {
		return nil, fmt.Errorf("fetch submission %s: %w", digest, err)
	}
	return data, nil
}

// Find returns the grade for the key, or nil.
func (s *Store) Find(ctx context.Context, k Key) (*Grade, error) {
	row := s.db.QueryRowContext(ctx, "SELECT report, attempts, worker FROM labctl_grade WHERE batch = $1 AND digest = $2 AND version = $3 AND round = $4",
		k.Batch, k.Digest, k.Version, k.Round)
	g := Grade{Key: k}
	var report string
	err := row.Scan(&report, &g.Attempts, &g.Worker)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(report), &g.Report)
	}
	if err != nil {
		return nil, fmt.Errorf("read the grade of submission %s: %w", k.Digest, err)
	}
	return &g, nil
}

// Graded says that there is a grade.
type Graded struct {
	Key
	Status result.Status
	seq    int64
}

// Since returns the grades of the batch that were written after those that are given, and all
// of them where none is. Some may come twice.
func (s *Store) Since(ctx context.Context, batch string, last *Graded) ([]Graded, error) {
	// Transactions that overlap may end in another order than they were numbered in.
	const overlap = 1000
	after := int64(-1)
	if last != nil {
		after = last.seq - overlap
	}
	all, err := query(ctx, s.db, func(row *sql.Rows) (g Graded, err error) {
		g.Batch = batch
		err = row.Scan(&g.seq, &g.Digest, &g.Version, &g.Round, &g.Status)
		return g, err
	}, "SELECT seq, digest, version, round, status FROM labctl_grade WHERE batch = $1 AND seq > $2 ORDER BY seq", batch, after)
	if err != nil {
		return nil, fmt.Errorf("list the grades: %w", err)
	}
	return all, nil
}

// Round returns the last round in which the submission was to be graded, or -1.
func (s *Store) Round(ctx context.Context, batch, digest, version string) (int, error) {
	var round int
	err := s.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(round), -1) FROM labctl_task WHERE batch = $1 AND digest = $2 AND version = $3", batch, digest, version).Scan(&round)
	if err != nil {
		return 0, fmt.Errorf("look for the gradings of submission %s: %w", digest, err)
	}
	return round, nil
}
