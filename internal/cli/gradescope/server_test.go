//go:build e2e

package gradescope

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/batch/servertest"
	"labctl.dev/labctl/internal/gradescope"
	"labctl.dev/labctl/internal/gradescope/facts"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// counting is a grader that only counts, and gives what it is told to.
type counting struct {
	mu     sync.Mutex
	graded map[string]int // by digest
	status result.Status
}

func (c *counting) Grade(_ context.Context, t batch.Task, archive []byte) (result.Report, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.graded[t.Digest]++
	if len(archive) == 0 {
		return result.Report{}, fmt.Errorf("nothing came of submission %s", t.Digest)
	}
	r := result.Report{
		Schema: result.Schema, Status: c.status, Submission: t.Digest, Started: time.Now().UTC(), Finished: time.Now().UTC(),
		Lab: result.Lab{ID: t.Lab, Version: t.Version}, Message: "the cluster node-1 is gone", Checks: []result.Check{
			{ID: "a", Title: "Reached", Status: result.Passed, Points: 60, MaxPoints: 60},
			{ID: "b", Title: "Spread", Status: result.Failed, MaxPoints: 20, Message: "only one pod answered"},
			{ID: "c", Title: "Secret", Status: result.Passed, Points: 20, MaxPoints: 20, Visibility: "hidden"},
		},
	}
	r.Tally()
	return r, nil
}

func (c *counting) become(s result.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = s
}

func (c *counting) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, times := range maps.All(c.graded) {
		n += times
	}
	return n
}

// assignment is one of Gradescope's, with a queue.
type assignment struct {
	server *servertest.Server
	owner  *batch.Store
	grader *counting
	role   string // the address that is in the zip
}

// patient is the address for a machine on which many come at once, or much else goes on.
func patient(address string) string {
	return strings.Replace(address, "connect_timeout=2", "connect_timeout=30", 1)
}

func newAssignment(t *testing.T) *assignment {
	t.Helper()
	c := &assignment{server: servertest.Start(t), grader: &counting{graded: map[string]int{}, status: result.Graded}}
	var err error
	if c.owner, err = batch.OpenServer(t.Context(), patient(c.server.Address)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.owner.Close() })
	c.role = strings.Replace(patient(c.server.Address), "labctl@", "gradescope:hush@", 1)
	db := open(t, c.server.Address)
	if _, err := db.ExecContext(t.Context(), rights(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", patient(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// rights are the statements that the documentation tells instructors to run.
func rights(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/ci.md does not say which rights the role needs")
	}
	return string(block[1])
}

// work grades until the test, or what is returned, ends it.
func (c *assignment) work(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	times := batch.DefaultTimes()
	times.Poll, times.Retry = 50*time.Millisecond, 50*time.Millisecond
	w := &batch.Worker{Store: c.owner, Grader: c.grader, Queues: []string{batch.Queue("clusterip", "1")}, Parallel: 2, Times: times, ID: batch.NewID("fake")}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// container is Gradescope's for one run, with a submission that the text makes another one.
func (c *assignment) container(t *testing.T, text string, change func(*gradescope.Config)) string {
	t.Helper()
	config := gradescope.Config{
		Schema: gradescope.Schema, Mode: gradescope.Queue, Lab: "clusterip", LabVersion: "1", Batch: "gradescope/clusterip", TimeLimit: 60,
	}
	if change != nil {
		change(&config)
	}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, content := range map[string]string{
		"source/labctl.json": string(data), "source/queue": c.role + "\n",
		"submission/db.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {selector: {app: db}, ports: [{port: 5432}]}\n# " + text + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// autograde runs the autograder, and returns what Gradescope and the instructor see.
func autograde(t *testing.T, root string) (facts.Results, string) {
	t.Helper()
	var out bytes.Buffer
	if err := Run(t.Context(), &RunOptions{Streams: ui.Streams{Out: &out, Err: &out}, Root: root}); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "results", "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := facts.Read(data)
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(out.String()+string(data), "hush") {
		t.Errorf("the password was printed: %s\n%s", out.String(), data)
	}
	if strings.Contains(string(data), "127.0.0.1") {
		t.Errorf("students see where the queue is: %s", data)
	}
	return r, out.String()
}

func scores(t *testing.T, r facts.Results, want float64, out string) {
	t.Helper()
	if r.Score == nil || *r.Score != want {
		t.Errorf("the score is not %g: %+v\n%s", want, r, out)
	}
}

// A grade of real workers comes back, with the role that the documentation describes. The same
// files are graded once, by however many they are handed in at the same time.
func TestServerGradesOnce(t *testing.T) {
	c := newAssignment(t)
	defer c.work(t)()
	r, out := autograde(t, c.container(t, "one", nil))
	scores(t, r, 80, out)
	if len(r.Tests) != 2 || r.Tests[0].Status != "passed" || r.Tests[1].Status != "failed" || r.Tests[1].Output != "only one pod answered" {
		t.Errorf("the tests are %+v", r.Tests)
	}
	var all sync.WaitGroup
	for range 8 {
		root := c.container(t, "one", func(config *gradescope.Config) { config.OutOf = 10 })
		all.Go(func() {
			r, out := autograde(t, root)
			scores(t, r, 8, out)
		})
		other := c.container(t, "two", nil)
		all.Go(func() {
			r, out := autograde(t, other)
			scores(t, r, 80, out)
		})
	}
	all.Wait()
	if n := c.grader.total(); n != 2 {
		t.Errorf("two submissions were graded %d times", n)
	}
	r, out = autograde(t, c.container(t, "one", func(config *gradescope.Config) { config.Round = 1 }))
	scores(t, r, 80, out)
	if n := c.grader.total(); n != 3 {
		t.Errorf("with one of them in a further round it was %d times", n)
	}
}

// Nobody grades in time: no score, and the grade is there when the autograder runs again. A fault
// of ours is no score, too, and the next run has it graded once more.
func TestServerNotGraded(t *testing.T) {
	c := newAssignment(t)
	limit := func(seconds float64) func(*gradescope.Config) {
		return func(config *gradescope.Config) { config.TimeLimit = seconds }
	}
	r, out := autograde(t, c.container(t, "one", limit(20)))
	if r.Graded() || !strings.Contains(r.Output, "no grader is at work at the moment. It stays in the queue.") {
		t.Errorf("%+v\n%s", r, out)
	}
	if r.ExecutionTime > 20 {
		t.Errorf("of 20 s it took %g", r.ExecutionTime)
	}
	c.grader.become(result.Errored)
	stop := c.work(t)
	defer stop()
	r, out = autograde(t, c.container(t, "one", nil))
	if r.Graded() || !strings.Contains(out, "the cluster node-1 is gone") {
		t.Errorf("%+v\n%s", r, out)
	}
	c.grader.become(result.Graded)
	r, out = autograde(t, c.container(t, "one", nil))
	scores(t, r, 80, out)
	stop()
	_ = c.owner.Close()
	c.server.Stop(t)
	r, out = autograde(t, c.container(t, "one", limit(5)))
	if r.Graded() || !strings.Contains(r.Output, "could not be reached") || !strings.Contains(out, "gradescope:xxxxx@127.0.0.1") {
		t.Errorf("%+v\n%s", r, out)
	}
}

// The server goes while somebody waits, and comes back.
func TestServerComesBack(t *testing.T) {
	c := newAssignment(t)
	root := c.container(t, "one", nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, out := autograde(t, root)
		scores(t, r, 80, out)
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	db := open(t, c.server.Address)
	for handed := 0; handed == 0; <-tick.C {
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM labctl_task").Scan(&handed); err != nil {
			t.Fatal(err)
		}
	}
	c.server.Stop(t)
	c.server.Restart(t)
	defer c.work(t)()
	<-done
}

// Without the tables, which workers make, the instructor is told what to do.
func TestServerHasNoTables(t *testing.T) {
	c := &assignment{role: patient(servertest.Start(t).Address)}
	r, out := autograde(t, c.container(t, "one", nil)) // which does not wait for what nobody makes
	if r.Graded() || !strings.Contains(out, "hint: start labctl worker for this queue once") {
		t.Errorf("%+v\n%s", r, out)
	}
}

// Whoever reads the zip can hand in, and neither write a grade nor read what others handed in.
func TestServerRoleIsSmall(t *testing.T) {
	c := newAssignment(t)
	if got := len(regexp.MustCompile(`(?m)^GRANT `).FindAllString(rights(t), -1)); got < 3 {
		t.Fatalf("the documentation grants %d rights", got)
	}
	db := open(t, c.role)
	for _, statement := range []string{
		"INSERT INTO labctl_grade (batch, digest, version, round, status, report, attempts, worker, graded_at) VALUES ('b', 'd', '1', 0, 'graded', '{}', 1, 'w', 0)",
		"UPDATE labctl_grade SET report = '{}'", "DELETE FROM labctl_grade", "SELECT data FROM labctl_archive", "UPDATE labctl_archive SET data = ''",
		"DELETE FROM labctl_task", "UPDATE river_job SET state = 'discarded'", "DELETE FROM river_job", "CREATE TABLE mine (id INT)",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
