//go:build bench

package bench

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/batch/servertest"
	"labctl.dev/labctl/internal/result"
)

const (
	// workerVariable makes this program a worker for the queue at the address.
	workerVariable = "LABCTL_BENCH_QUEUE"
	// queued is how many submissions go through the queue; LABCTL_BENCH_QUEUED asks for others.
	queued = 100_000
	// parallel is how many gradings a worker does at the same time, as a large machine would.
	parallel = 16
	// standIn is how long a grading of the stand-in takes.
	standIn = 50 * time.Millisecond
)

func TestMain(m *testing.M) {
	if address := os.Getenv(workerVariable); address != "" {
		if err := work(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// work takes from the queue until it is killed.
func work(address string) error {
	store, err := batch.OpenServer(context.Background(), address)
	if err != nil {
		return err
	}
	w := &batch.Worker{
		Store: store, Grader: idler{}, Queues: []string{batch.Queue(queueTask(0).Lab, queueTask(0).Version)},
		Parallel: parallel, Times: batch.DefaultTimes(), ID: batch.NewID("bench"),
	}
	return w.Run(context.Background())
}

// idler is a grader that only takes time.
type idler struct{}

// Grade implements batch.Grader.
func (idler) Grade(ctx context.Context, t batch.Task, _ []byte) (result.Report, error) {
	select {
	case <-ctx.Done():
	case <-time.After(standIn):
	}
	return result.Report{Schema: result.Schema, Lab: result.Lab{ID: t.Lab, Version: t.Version}, Submission: t.Digest, Status: result.Graded, Score: 100, MaxScore: 100, Checks: []result.Check{}}, ctx.Err()
}

func queueTask(n int) batch.Task {
	return batch.Task{Key: batch.Key{Batch: "bench", Digest: "sha256:" + strconv.Itoa(n), Version: "1.0.0"}, Lab: "bench"}
}

// BenchmarkQueue sends submissions through PostgreSQL to workers that are processes of their
// own and only wait: what is left is what the queue costs.
func BenchmarkQueue(b *testing.B) {
	count := queued
	if n, err := strconv.Atoi(os.Getenv("LABCTL_BENCH_QUEUED")); err == nil {
		count = n
	}
	for _, workers := range []int{4, 16, 64} {
		b.Run(fmt.Sprintf("workers-%d", workers), func(b *testing.B) {
			for b.Loop() {
				s := startServer(b)
				filling := s.fill(count)
				load := measure()
				draining := s.drain(count, workers)
				processor, _ := load.end()
				calls, spent := s.claims()
				b.ReportMetric(float64(count)/draining.Seconds(), "submissions/s")
				say("queue, %d workers of %d at a time: %d submissions queued in %.0f s, %.0f a second; worked off in %.0f s, %.0f a second (at most %.0f while each takes %s)",
					workers, parallel, count, filling.Seconds(), float64(count)/filling.Seconds(), draining.Seconds(), float64(count)/draining.Seconds(),
					float64(workers*parallel)/standIn.Seconds(), standIn)
				say("  each cost %.2f ms of the machine's processors; %d claims of %.1f each, %.2f ms a claim in the database, %.3f ms a submission",
					ms(processor)/float64(count), calls, float64(count)/float64(calls), ms(spent)/float64(calls), ms(spent)/float64(count))
			}
		})
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// server is a PostgreSQL server that counts what it does.
type server struct {
	*servertest.Server

	b     *testing.B
	db    *sql.DB
	store *batch.Store
}

func startServer(b *testing.B) *server {
	b.Helper()
	s := &server{Server: servertest.Start(b), b: b}
	s.open()
	s.exec("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
	s.exec("ALTER SYSTEM SET max_connections = 400") // 64 workers have up to 4 each
	if err := s.db.Close(); err != nil {
		b.Fatal(err)
	}
	s.Stop(b)
	s.Restart(b)
	s.open()
	s.exec("CREATE EXTENSION pg_stat_statements")
	var err error
	if s.store, err = batch.OpenServer(b.Context(), s.Address); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = s.store.Close()
		_ = s.db.Close()
	})
	return s
}

func (s *server) open() {
	s.b.Helper()
	var err error
	if s.db, err = sql.Open("pgx", s.Address); err != nil {
		s.b.Fatal(err)
	}
}

func (s *server) exec(statement string) {
	s.b.Helper()
	if _, err := s.db.ExecContext(s.b.Context(), statement); err != nil {
		s.b.Fatalf("%s: %v", statement, err)
	}
}

// fill queues the submissions, as several batches at the same time would.
func (s *server) fill(count int) time.Duration {
	s.b.Helper()
	start := time.Now()
	group, ctx := errgroup.WithContext(s.b.Context())
	group.SetLimit(4)
	for n := range count {
		group.Go(func() error {
			_, err := s.store.Add(ctx, queueTask(n), []byte(strconv.Itoa(n)))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		s.b.Fatal(err)
	}
	s.exec("ANALYZE") // as PostgreSQL does by itself, a minute later
	s.exec("SELECT pg_stat_statements_reset()")
	return time.Since(start)
}

// drain starts the workers and returns how long it takes until every submission has a grade.
func (s *server) drain(count, workers int) time.Duration {
	s.b.Helper()
	start := time.Now()
	ctx, kill := context.WithCancel(s.b.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer kill()
	for range workers {
		cmd := exec.CommandContext(ctx, os.Args[0])
		patient := strings.Replace(s.Address, "connect_timeout=2", "connect_timeout=60", 1) // they all start at once
		cmd.Env = append(os.Environ(), workerVariable+"="+patient)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			s.b.Fatal(err)
		}
		running.Go(func() { _ = cmd.Wait() }) // it is killed
	}
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for s.count("count(*)") < count {
		<-look.C
	}
	took := time.Since(start)
	if grades, keys := s.count("count(*)"), s.count("count(DISTINCT digest)"); grades != count || keys != count {
		s.b.Errorf("%d grades for %d of %d submissions", grades, keys, count)
	}
	return took
}

// count counts grades.
func (s *server) count(what string) (n int) {
	s.b.Helper()
	if err := s.db.QueryRowContext(s.b.Context(), "SELECT "+what+" FROM labctl_grade").Scan(&n); err != nil {
		s.b.Fatal(err)
	}
	return n
}

// claims returns how often workers asked for work, and how long the database was at that.
func (s *server) claims() (calls int64, spent time.Duration) {
	s.b.Helper()
	var millis float64
	err := s.db.QueryRowContext(s.b.Context(), "SELECT sum(calls), sum(total_exec_time) FROM pg_stat_statements WHERE query LIKE '%SKIP LOCKED%' AND query LIKE '%array_append%'").Scan(&calls, &millis)
	if err != nil {
		s.b.Fatal(err)
	}
	return calls, time.Duration(millis * float64(time.Millisecond))
}
