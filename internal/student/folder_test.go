package student

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/fault"
)

func open(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// give opens the folder anew, as the next command would.
func give(t *testing.T, dir string, force bool, only func(string) bool) []Given {
	t.Helper()
	given, err := open(t, dir).Give(guestbook(), force, only, clock(12))
	if err != nil {
		t.Fatal(err)
	}
	return given
}

func contents(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestGive(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "guestbook")
	both := func(app, config Action) []Given {
		return []Given{{Name: "app.yaml", Action: app}, {Name: "deep/config.json", Action: config}}
	}
	if diff := cmp.Diff(both(Created, Created), give(t, dir, false, nil)); diff != "" {
		t.Errorf("into a new folder:\n%s", diff)
	}
	if contents(t, dir, "app.yaml") != "kind: app\n" || contents(t, dir, "deep/config.json") != "{}\n" {
		t.Error("the copies are not exact")
	}
	if f := open(t, dir); f.Lab() != "guestbook" || !f.Exists() || f.Empty() {
		t.Errorf("the folder is not known: %+v", f)
	}
	if diff := cmp.Diff(both(Same, Same), give(t, dir, true, nil)); diff != "" {
		t.Errorf("again:\n%s", diff)
	}

	put(t, dir, "app.yaml", "mine\n")
	if err := os.RemoveAll(filepath.Join(dir, "deep")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(both(Kept, Created), give(t, dir, false, nil)); diff != "" {
		t.Errorf("a changed and a missing file:\n%s", diff)
	}
	if contents(t, dir, "app.yaml") != "mine\n" {
		t.Error("the student's file was overwritten")
	}

	const backup = "app.yaml.bak-20260301T120000Z"
	got := give(t, dir, true, nil)
	if got[0].Action != Replaced || got[0].Backup != backup || contents(t, dir, backup) != "mine\n" || contents(t, dir, "app.yaml") != "kind: app\n" {
		t.Errorf("by force: %+v", got)
	}
	put(t, dir, "app.yaml", "mine again\n")
	if got := give(t, dir, true, nil); got[0].Backup != backup+"-2" || contents(t, dir, backup) != "mine\n" || contents(t, dir, backup+"-2") != "mine again\n" {
		t.Errorf("a second time in the same second: %+v", got)
	}

	put(t, dir, "app.yaml", "mine\n")
	got = give(t, dir, true, func(name string) bool { return name != "app.yaml" })
	if len(got) != 1 || contents(t, dir, "app.yaml") != "mine\n" {
		t.Errorf("only some: %+v", got)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(both(Created, Created), give(t, dir, false, nil)); diff != "" {
		t.Errorf("after the folder was deleted:\n%s", diff)
	}
}

// What the student did not change follows a new version of the lab.
func TestGiveANewVersion(t *testing.T) {
	dir := t.TempDir()
	give(t, dir, false, nil)
	put(t, dir, "deep/config.json", "mine\n")
	later := guestbook()
	later.Version = "2"
	later.Files = fstest.MapFS{"starter/app.yaml": {Data: []byte("new\n")}, "starter/deep/config.json": {Data: []byte("new\n")}}
	got, err := open(t, dir).Give(later, false, nil, clock(12))
	want := []Given{{Name: "app.yaml", Action: Updated}, {Name: "deep/config.json", Action: Kept}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// A folder whose hidden file is gone or damaged holds the student's own files only.
func TestGiveWithoutAMarker(t *testing.T) {
	for name, text := range map[string]string{"gone": "", "damaged": "{", "another lab's": `{"lab":"other","files":{}}`} {
		dir := t.TempDir()
		put(t, dir, "app.yaml", "mine\n")
		if text != "" {
			put(t, dir, MarkerName, text)
		}
		if got := give(t, dir, false, nil); got[0].Action != Kept || contents(t, dir, "app.yaml") != "mine\n" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	states := func() []State {
		files, err := open(t, dir).Files(guestbook())
		if err != nil || len(files) != 2 {
			t.Fatalf("%v, %v", files, err)
		}
		return []State{files[0].State, files[1].State}
	}
	if diff := cmp.Diff([]State{Missing, Missing}, states()); diff != "" {
		t.Error(diff)
	}
	give(t, dir, false, nil)
	put(t, dir, "app.yaml", "mine\n")
	if diff := cmp.Diff([]State{Changed, Unchanged}, states()); diff != "" {
		t.Error(diff)
	}
}

func TestOpenFolderRefusesAFile(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", "x")
	for _, name := range []string{"file", "file/below"} {
		_, err := OpenFolder(filepath.Join(dir, name))
		if fault.KindOf(err) != fault.Input {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// "kubectl apply -f ." reads every *.yaml, *.yml and *.json, hidden or not: what labctl adds
// to a working folder must have none of these names.
func TestNothingThatKubectlWouldApply(t *testing.T) {
	dir := t.TempDir()
	give(t, dir, false, nil)
	put(t, dir, "app.yaml", "mine\n")
	give(t, dir, true, nil)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		_, errStarter := fs.Stat(guestbook().Files, "starter/"+e.Name())
		if ext := filepath.Ext(e.Name()); errStarter != nil && (ext == ".yaml" || ext == ".yml" || ext == ".json") {
			t.Errorf("%s would be applied", e.Name())
		}
	}
	if !strings.Contains(contents(t, dir, MarkerName), "app.yaml") || len(entries) != 4 {
		t.Errorf("entries: %v", entries)
	}
}
