//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/fixtures/classroom"
	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/labs"
)

// A small class of every sort gets the gradebook that it must get, although labctl is killed in
// the middle and a node of the cluster is removed by hand.
func TestBatch(t *testing.T) {
	dir := t.TempDir()
	class := smallClass(t, dir)
	out := filepath.Join(dir, "out")
	args := []string{"batch", filepath.Join(dir, "in"), "--roster", filepath.Join(dir, "roster.csv"), "--lab", classroom.LabID, "--out", out}
	t.Cleanup(func() { run(t, 5*time.Minute, "down", "--name", cluster()+"-batch-1") })

	first := start(t, 15*time.Minute, args...)
	t.Cleanup(func() { _ = first.cmd.Process.Kill() }) // else it makes the cluster again that is taken down; it has ended where all is well
	until(t, 10*time.Minute, "a submission is graded", func() bool { return done(t, out) > refused(class) })
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.wait(t)
	engine(t, "rm", "--force", "--volumes", cluster()+"-batch-1-worker2")

	o := run(t, 20*time.Minute, args...)
	t.Logf("%s\n%s", o.stdout, o.stderr)
	o.want(t, 0)
	compare(t, class, out)
	if again := run(t, time.Minute, args...).want(t, 0); again.stdout != "" {
		t.Errorf("a batch that is done has something to tell:\n%s", again.stdout)
	}

	// Grading one again leaves all others alone, and keeps the earlier report.
	run(t, 10*time.Minute, append(args, "--regrade", "wrong-db-is-internal-a")...).want(t, 0)
	compare(t, class, out)
	kept, err := os.ReadDir(filepath.Join(out, "reports", "earlier"))
	if err != nil || len(kept) != 1 || !strings.HasPrefix(kept[0].Name(), "wrong-db-is-internal-a-") {
		t.Errorf("kept %v, %v", kept, err)
	}
	for _, format := range []string{"gradebook.csv", "overview.html", "exports/junit.xml", "exports/canvas.csv", "reports/full-00.html"} {
		if _, err := os.Stat(filepath.Join(out, format)); err != nil {
			t.Error(err)
		}
	}
}

// smallClass makes some of the class of sixty, and returns what they must get.
func smallClass(t *testing.T, dir string) []classroom.Student {
	t.Helper()
	chosen := []string{
		"full-00", "full-01", "odd-json", "wrong-db-is-internal-a", "wrong-round-trip-b",
		"hostile-host-path", "hostile-bomb", "broken-archive", "broken-yaml", "never-came",
	}
	catalog, err := lab.NewCatalog(labs.Files(), nil, grader.RunNames())
	if err != nil {
		t.Fatal(err)
	}
	l, err := catalog.Lab(classroom.LabID)
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := classroom.Write(in, "..", l); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		if !slices.Contains(chosen, name) {
			if err := os.RemoveAll(filepath.Join(in, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	roster := "username\n" + strings.Join(chosen, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "roster.csv"), []byte(roster), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := classroom.Expected("../fixtures/classroom")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(s classroom.Student) bool { return !slices.Contains(chosen, s.Name) })
}

// refused counts those whose result needs no grading.
func refused(class []classroom.Student) int {
	n := 0
	for _, s := range class {
		if s.Status != "graded" {
			n++
		}
	}
	return n
}

// done tells how many students have their result.
func done(t *testing.T, out string) int {
	t.Helper()
	o := run(t, time.Minute, "batch", "status", out, "--json")
	var p struct{ Students, Pending int }
	if o.code != 0 || json.Unmarshal([]byte(o.stdout), &p) != nil {
		return 0 // not begun yet
	}
	return p.Students - p.Pending
}

// compare holds the gradebook against what each must get.
func compare(t *testing.T, class []classroom.Student, out string) {
	t.Helper()
	if err := classroom.Compare(filepath.Join(out, "gradebook.csv"), class); err != nil {
		t.Error(err)
	}
}
