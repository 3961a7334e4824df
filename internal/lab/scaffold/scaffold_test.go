package scaffold_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/lab/scaffold"
	"labctl.dev/labctl/internal/submission"
)

func write(t *testing.T, schema []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "labs", "first-steps")
	if err := scaffold.Write(dir, scaffold.Lab{ID: "first-steps", Title: `First "steps": a try`, Schema: "lab-v1.json"}, schema); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNewLabLoadsWithoutAProblem(t *testing.T) {
	l, err := lab.LoadDir(write(t, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.ID != "first-steps" || l.Title != `First "steps": a try` || l.Points() != 100 {
		t.Errorf("got %s, %q, %g points", l.ID, l.Title, l.Points())
	}
}

// Every submission that comes with it is one that may be handed in.
func TestNewLabsSubmissionsAreAllowed(t *testing.T) {
	l, err := lab.LoadDir(write(t, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{lab.StarterDir, lab.SolutionDir}
	for _, c := range l.Checks {
		dirs = append(dirs, lab.WrongDir+"/"+c.ID)
	}
	for _, dir := range dirs {
		if _, err := submission.ReadFS(l.Files, dir, submission.Limits{Namespace: l.ID}); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestNothingIsLeftToFillIn(t *testing.T) {
	dir := write(t, []byte("{}\n"))
	count := 0
	err := filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		count++
		data, err := os.ReadFile(name)
		if strings.Contains(string(data), "[[") || len(data) == 0 {
			t.Errorf("%s: %q", name, data)
		}
		return err
	})
	if err != nil || count < 10 {
		t.Errorf("%d files, %v", count, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, scaffold.SchemaFile)); err != nil || string(data) != "{}\n" {
		t.Errorf("schema %q, %v", data, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".labctl*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestWhatIsThereIsKept(t *testing.T) {
	dir := write(t, nil)
	mine := filepath.Join(dir, lab.FileName)
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := scaffold.Write(dir, scaffold.Lab{ID: "first-steps", Title: "x"}, nil); fault.KindOf(err) != fault.Input {
		t.Errorf("a folder that is there: %v", err)
	}
	if data, err := os.ReadFile(mine); err != nil || string(data) != "mine" {
		t.Errorf("overwritten: %q, %v", data, err)
	}
	if err := scaffold.Write(filepath.Join(mine, "below"), scaffold.Lab{ID: "below"}, nil); fault.KindOf(err) != fault.Input {
		t.Errorf("a file in the place of a folder: %v", err)
	}
}
