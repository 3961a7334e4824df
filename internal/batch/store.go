// Package batch grades many submissions: a queue that survives everything, workers that take
// from it, and the folder that the results end up in. How one submission is graded is the
// caller's: see Grader.
package batch

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"syscall"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"modernc.org/sqlite" // also the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"labctl.dev/labctl/internal/result"
)

// Key names one grade. A submission is graded once for each version of the lab, and once more
// for each further round that somebody asks for.
type Key struct {
	Batch   string `json:"batch"`
	Digest  string `json:"digest"`  // of the submission
	Version string `json:"version"` // of the lab
	Round   int    `json:"round"`   // 0, and one more with each regrading
}

// Task is one grading that is wanted.
type Task struct {
	Key
	Lab string `json:"lab"`
	// Claims are what of a cluster the submission takes for itself, as in "nodePort/30080": two
	// with a claim in common never share a cluster.
	Claims []string `json:"claims,omitempty"`
}

// Grade is the one report that counts for a key.
type Grade struct {
	Key
	Report   result.Report
	Attempts int    // how often it was tried
	Worker   string // who graded it
}

// Store is the queue and what came of it, in one database: what is written together is
// there together, or not at all.
type Store struct {
	// Archives, where it is not "", is a folder that all workers share: what is to be graded
	// lies there, and not in the database.
	Archives string

	db     *sql.DB
	driver riverdriver.Driver[*sql.Tx]
	say    dialect
	queue  *river.Client[*sql.Tx] // only to insert
}

// dialect is what the two databases write differently.
type dialect struct {
	blob, identity string
	now            string                     // milliseconds since 1970 by the database's own clock
	millis         func(column string) string // a time as those
	in             func(seconds int) string   // a time to come, by the same clock
	elements       string                     // those of $1, which is an array in JSON, as rows
	holder         string                     // who took a job last
	shared         bool                       // several processes work at the same time
}

// OpenFile opens the database in a file, for one process at a time.
func OpenFile(ctx context.Context, name string) (*Store, error) {
	query := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: name}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open the queue %s: %w", name, err)
	}
	db.SetMaxOpenConns(1) // a file has one writer
	s := &Store{db: db, driver: riversqlite.New(db), say: dialect{
		blob: "BLOB", identity: "INTEGER PRIMARY KEY AUTOINCREMENT",
		now:      "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
		millis:   func(c string) string { return "CAST(unixepoch(" + c + ", 'subsec') * 1000 AS INTEGER)" },
		in:       func(seconds int) string { return fmt.Sprintf("datetime('now', '+%d seconds', 'subsec')", seconds) },
		elements: "SELECT value FROM json_each($1)",
		holder:   "json_extract(attempted_by, '$[#-1]')",
	}}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the queue %s: %w", name, err), db.Close())
	}
	return s, nil
}

// Close ends all use of the database.
func (s *Store) Close() error { return s.db.Close() }

// prepare makes the tables that are missing. Several processes may do so at once.
func (s *Store) prepare(ctx context.Context) error {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	migrator, err := rivermigrate.New(s.driver, &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return fmt.Errorf("prepare the queue: %w", err)
	}
	// A fleet that starts would wait in line, to find that nothing is to be done.
	if found, err := migrator.Validate(ctx, nil); err == nil && found.OK && s.exec(ctx, "SELECT 1 FROM "+lastTable+" LIMIT 0") == nil {
		return s.inserter(quiet)
	}
	unlock, err := s.alone(ctx)
	if err != nil {
		return fmt.Errorf("prepare the queue: %w", err)
	}
	defer unlock()
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("prepare the queue: %w", err)
	}
	for _, statement := range s.schema() {
		if err := s.exec(ctx, statement); err != nil {
			return fmt.Errorf("prepare the queue: %w", err)
		}
	}
	return s.inserter(quiet)
}

// inserter makes what puts jobs into the queue.
func (s *Store) inserter(log *slog.Logger) (err error) {
	s.queue, err = river.NewClient(s.driver, &river.Config{Logger: log})
	if err != nil {
		return fmt.Errorf("prepare the queue: %w", err)
	}
	return nil
}

// alone keeps others from making the same tables at the same time.
func (s *Store) alone(ctx context.Context) (unlock func(), err error) {
	if !s.say.shared {
		return func() {}, nil
	}
	const lock = 7022_1701 // any number that nobody else uses
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", lock); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", lock) // it ends with the connection anyway
		_ = conn.Close()
	}, nil
}

// lastTable is made after all others.
const lastTable = "labctl_worker"

func (s *Store) schema() []string {
	const key = "batch TEXT NOT NULL, digest TEXT NOT NULL, version TEXT NOT NULL, round INTEGER NOT NULL"
	return []string{
		"CREATE TABLE IF NOT EXISTS labctl_archive (digest TEXT PRIMARY KEY, data " + s.say.blob + " NOT NULL)",
		"CREATE TABLE IF NOT EXISTS labctl_task (" + key + ", lab TEXT NOT NULL, job BIGINT NOT NULL, takeovers INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (batch, digest, version, round))",
		"CREATE INDEX IF NOT EXISTS labctl_task_job ON labctl_task (job)",
		"CREATE TABLE IF NOT EXISTS labctl_grade (seq " + s.say.identity + ", " + key + ", status TEXT NOT NULL, report TEXT NOT NULL, attempts INTEGER NOT NULL, worker TEXT NOT NULL, graded_at BIGINT NOT NULL, UNIQUE (batch, digest, version, round))",
		"CREATE TABLE IF NOT EXISTS " + lastTable + " (id TEXT PRIMARY KEY, doing TEXT NOT NULL, beat BIGINT NOT NULL)",
	}
}

// inTx does everything in do, or nothing of it.
func (s *Store) inTx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return noRoom(err)
	}
	if err := do(tx); err != nil {
		return errors.Join(noRoom(err), tx.Rollback())
	}
	return noRoom(tx.Commit())
}

// exec runs one statement that returns nothing.
func (s *Store) exec(ctx context.Context, statement string, args ...any) error {
	_, err := s.db.ExecContext(ctx, statement, args...)
	return noRoom(err)
}

// noRoom tells a file that finds no room as the system would.
func noRoom(err error) error {
	var said *sqlite.Error
	if errors.As(err, &said) && said.Code() == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}

// querier is the database, or a transaction in it.
type querier interface {
	QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error)
}

// query returns what scan makes of each row.
func query[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), statement string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its errors are told by Err
	var all []T
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// encode writes a value as JSON; those that are written here cannot fail.
func encode(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}
