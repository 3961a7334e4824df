package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
)

const service = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 5432}], selector: {app: db}}\n"

// handed is a submission that was read; text makes it another one.
func handed(t *testing.T, text string) *Handed {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "db.yaml"), []byte(service+"# "+text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := Read(dir, submission.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func standing() result.Lab { return result.Lab{ID: "clusterip", Version: "1.0.0"} }

func handIn(t *testing.T, s *Store, round int, h *Handed) Key {
	t.Helper()
	k, err := s.HandIn(t.Context(), "course", round, standing(), h)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// await waits for a grade while a worker grades.
func await(t *testing.T, s *Store, g Grader, k Key) *Grade {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- worker(s, g).Run(ctx) }()
	grade, err := s.Await(ctx, k, "clusterip", quickTimes(), func(Place) {})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return grade
}

func worker(s *Store, g Grader) *Worker {
	return &Worker{Store: s, Grader: g, Queues: []string{Queue("clusterip", "1.0.0")}, Parallel: 1, Times: quickTimes(), ID: NewID("hand")}
}

// The same files are graded once, however often they are handed in; other files, and a later
// round, are graded anew.
func TestHandingInAgainGradesOnce(t *testing.T) {
	s, g := openFile(t), newStand()
	first := handIn(t, s, 0, handed(t, "one"))
	if again := handIn(t, s, 0, handed(t, "one")); again != first {
		t.Errorf("handed in again, it is %+v and was %+v", again, first)
	}
	before := await(t, s, g, first)
	if again := await(t, s, g, handIn(t, s, 0, handed(t, "one"))); again.Key != before.Key {
		t.Errorf("graded, it became %+v", again.Key)
	}
	if g.graded[first.Digest] != 1 {
		t.Fatalf("it was graded %d times", g.graded[first.Digest])
	}
	other := await(t, s, g, handIn(t, s, 0, handed(t, "two")))
	if other.Digest == first.Digest {
		t.Error("other files have the same digest")
	}
	second := await(t, s, g, handIn(t, s, 1, handed(t, "one")))
	if second.Round != 1 || g.graded[first.Digest] != 2 {
		t.Errorf("in a later round it was graded %d times, to %+v", g.graded[first.Digest], second.Key)
	}
	if k := handIn(t, s, 1, handed(t, "one")); k != second.Key {
		t.Errorf("handed in once more in that round, it is %+v", k)
	}
	// Who still asks for the earlier round gets the later grade, not a third one.
	if k := handIn(t, s, 0, handed(t, "one")); k != second.Key {
		t.Errorf("for the earlier round it is %+v", k)
	}
	// Another assignment is none of this one's.
	k, err := s.HandIn(t.Context(), "other", 0, standing(), handed(t, "one"))
	if err != nil || k.Round != 0 || k == first {
		t.Errorf("in another batch it is %+v, %v", k, err)
	}
}

// A grading that came to nothing through a fault of ours is done once more when the same files
// come again, and its end is kept.
func TestHandingInAgainAfterAFaultOfOurs(t *testing.T) {
	s, g := openFile(t), newStand()
	g.answer = func(task Task, try int) (result.Report, error) {
		if try <= attempts {
			return failed(task, "the cluster is gone"), nil
		}
		return full(task, "fine"), nil
	}
	first := handIn(t, s, 0, handed(t, "one"))
	if grade := await(t, s, g, first); grade.Report.Status != result.Errored {
		t.Fatalf("%+v", grade.Report)
	}
	second := handIn(t, s, 0, handed(t, "one"))
	if second.Round != first.Round+1 {
		t.Fatalf("it came to %+v", second)
	}
	if grade := await(t, s, g, second); grade.Report.Status != result.Graded || grade.Report.Score != 100 {
		t.Errorf("%+v", grade.Report)
	}
	if old, err := s.Find(t.Context(), first); err != nil || old == nil || old.Report.Status != result.Errored {
		t.Errorf("the earlier end became %+v, %v", old, err)
	}
	if k := handIn(t, s, 0, handed(t, "one")); k != second {
		t.Errorf("graded, it came to %+v", k)
	}
}

// Who waits is told where the submission is, and does not wait beyond the time.
func TestAwaitSaysWhereItIs(t *testing.T) {
	s := openFile(t)
	handIn(t, s, 0, handed(t, "before"))
	k := handIn(t, s, 0, handed(t, "mine"))
	after := handIn(t, s, 0, handed(t, "after"))
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("time is up"))
	defer cancel()
	var places []Place
	g, err := s.Await(ctx, k, "clusterip", quickTimes(), func(p Place) { places = append(places, p) })
	if g != nil || err == nil || !strings.Contains(err.Error(), "time is up") {
		t.Errorf("%v, %v", g, err)
	}
	if len(places) != 1 || places[0] != (Place{Ahead: 1}) {
		t.Errorf("it was told %+v", places)
	}
	if p, err := s.Place(t.Context(), after, "clusterip", time.Second); err != nil || p.Ahead != 2 {
		t.Errorf("the last one is %+v, %v", p, err)
	}
	if err := s.beat(t.Context(), "w", nil); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Place(t.Context(), k, "clusterip", time.Minute); err != nil || p.Workers != 1 {
		t.Errorf("with a worker it is %+v, %v", p, err)
	}
}

// A job that the queue gave up, or has forgotten, is no reason to wait. The same files lead to a
// new one.
func TestAwaitEndsWhereNobodyGrades(t *testing.T) {
	s := openFile(t)
	for _, statement := range []string{
		"UPDATE river_job SET state = 'discarded', finalized_at = CURRENT_TIMESTAMP", "DELETE FROM river_job",
	} {
		h := handed(t, statement)
		k := handIn(t, s, 0, h)
		if _, err := s.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Await(t.Context(), k, "clusterip", quickTimes(), func(Place) {}); err == nil || !strings.Contains(err.Error(), "given up") {
			t.Errorf("%s: %v", statement, err)
		}
		again := handIn(t, s, 0, h)
		if again.Round != k.Round+1 {
			t.Errorf("%s: handed in again it is %+v", statement, again)
		}
		if g := await(t, s, newStand(), again); g.Report.Status != result.Graded {
			t.Errorf("%s: %+v", statement, g.Report)
		}
	}
}

// Whoever hands in from elsewhere does not share the workers' folder.
func TestArchivesThatAreNotInTheFolder(t *testing.T) {
	s := openFile(t)
	k := handIn(t, s, 0, handed(t, "one"))
	s.Archives = t.TempDir()
	if grade := await(t, s, newStand(), k); grade.Report.Status != result.Graded {
		t.Errorf("%+v", grade.Report)
	}
	two := handed(t, "two")
	handIn(t, s, 0, two)
	if data, err := s.Archive(t.Context(), two.Digest); err != nil || !bytes.Equal(data, two.Archive) {
		t.Errorf("from the folder came %d bytes, %v", len(data), err)
	}
	if _, err := s.Archive(t.Context(), "sha256:none"); err == nil {
		t.Error("an archive was found that nobody handed in")
	}
}

// What the server says for good is told from what may pass, through all that wraps it.
func TestLasting(t *testing.T) {
	address := &url.URL{Scheme: "postgres", Host: "db", User: url.UserPassword("g", "hush")}
	for code, want := range map[string]bool{"28P01": true, "42501": true, "42P01": true, "3D000": true, "53300": false, "57P03": false, "": false} {
		err := fmt.Errorf("join: %w", unreachable(address, &pgconn.PgError{Code: code, Message: "hush"}))
		if Lasting(err) != want || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", code, err)
		}
	}
	if Lasting(errors.New("refused")) || Lasting(nil) {
		t.Error("any error is for good")
	}
}
