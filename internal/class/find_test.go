package class_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/fault"
)

const service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"

// noon is when the files of the tests were changed, unless they say otherwise.
func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// write writes files into a folder, all changed at noon. A name that ends in a slash is an
// empty folder; a content that begins with "-> " makes a link.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		switch target, link := strings.CutPrefix(data, "-> "); {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(full, 0o700)
		case link:
			err = os.Symlink(target, full)
		default:
			if err = os.WriteFile(full, []byte(data), 0o600); err == nil {
				err = os.Chtimes(full, noon(), noon())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// zipped makes an archive of files: pairs of name and content.
func zipped(t *testing.T, files ...string) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i+1 < len(files); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: files[i], Method: zip.Deflate, Modified: noon()})
		if err == nil && !strings.HasSuffix(files[i], "/") {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// found finds the class in the folder, or in what it is named below it.
func found(t *testing.T, o class.Options) *class.Class {
	t.Helper()
	o.Location = time.UTC
	c, err := class.Find(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// described is what Describe says of the submissions.
func described(t *testing.T, c *class.Class) []string {
	t.Helper()
	var out strings.Builder
	if err := c.Describe(&out); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		line = strings.TrimRight(line, "\n\t")
		if !strings.HasPrefix(line, "times") && !strings.HasPrefix(line, "students") {
			lines = append(lines, line)
		}
	}
	return lines
}

const at = "2026-11-24T12:00:00Z"

// TestFolders is about folders and archives that are named after the students.
func TestFolders(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  []string
	}{
		"a folder of folders": {
			map[string]string{"bob/a.yaml": service, "alice/app/a.yaml": service},
			[]string{"layout\tfolders", "handed-in\talice\t\talice\t" + at, "handed-in\tbob\t\tbob\t" + at},
		},
		"archives of all kinds, and a folder": {
			map[string]string{"a.ZIP": "x", "b.tar.gz": "x", "c.TGZ": "x", "d/a.yaml": service},
			[]string{"layout\tfolders", "handed-in\ta\t\ta.ZIP\t" + at, "handed-in\tb\t\tb.tar.gz\t" + at,
				"handed-in\tc\t\tc.TGZ\t" + at, "handed-in\td\t\td\t" + at},
		},
		"what systems leave behind": {
			map[string]string{"a.zip": "x", ".DS_Store": "x", "__MACOSX/a": "x", "Thumbs.db": "x", ".git/config": "x"},
			[]string{"layout\tfolders", "handed-in\ta\t\ta.zip\t" + at},
		},
		"what is no submission": {
			map[string]string{"a.zip": "x", "notes.txt": "x", "link": "-> /etc", "link.zip": "-> a.zip", "empty/": ""},
			[]string{"layout\tfolders", "handed-in\ta\t\ta.zip\t" + at, "missing\tempty",
				"ignored\tempty\tis an empty folder", "ignored\tlink\tis a link, which is not followed",
				"ignored\tlink.zip\tis a link, which is not followed", "ignored\tnotes.txt\tis neither a folder nor an archive"},
		},
		"a folder that holds one archive": {
			map[string]string{"a/lab.zip": "x", "a/report.pdf": "x"},
			[]string{"layout\tfolders", "handed-in\ta\t\ta/lab.zip\t" + at},
		},
		"a folder that holds manifests and an archive": {
			map[string]string{"a/lab.zip": "x", "a/a.yaml": service},
			[]string{"layout\tfolders", "handed-in\ta\t\ta\t" + at},
		},
		"a folder without manifests is refused by grading, not here": {
			map[string]string{"a/report.pdf": "x"},
			[]string{"layout\tfolders", "handed-in\ta\t\ta\t" + at},
		},
		"the same student in two spellings": {
			map[string]string{"Jose\u0301/a.yaml": service, "JOS\u00c9.zip": "x"},
			[]string{"layout\tfolders", "handed-in\tJos\u00e9\t\tJose\u0301\t" + at, "superseded\tJos\u00e9\t\tJOS\u00c9.zip\t" + at},
		},
		"one student alone, with folders": {
			map[string]string{"a/base/a.yaml": service, "a/overlay/b.yaml": service},
			[]string{"layout\tfolders", "handed-in\ta\t\ta\t" + at},
		},
		"names that are hostile": {
			map[string]string{"=1+1,\"x\"\n.zip": "x", "\u202egnp.zip": "x", " .zip": "x", "-rf.zip": "x"},
			[]string{"layout\tfolders", "handed-in\t-rf\t\t-rf.zip\t" + at, "handed-in\t=1+1,\"x\"\t\t\"=1+1,\\\"x\\\"\\n.zip\"\t" + at,
				"handed-in\t_gnp\t\t\"\\u202egnp.zip\"\t" + at, "ignored\t .zip\tdoes not say whose it is"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, test.files)
			if diff := cmp.Diff(test.want, described(t, found(t, class.Options{Path: dir}))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLatestCounts is about students who handed in more than once.
func TestLatestCounts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.zip": "x", "a/b.yaml": service, "a/sub/c.yaml": service, "A.tgz": "x", "b/1.zip": "x", "b/2.zip": "x"})
	for name, hours := range map[string]int{"a/sub/c.yaml": 2, "A.tgz": 1, "b/1.zip": 5} {
		when := noon().Add(time.Duration(hours) * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"layout\tfolders",
		"handed-in\ta\t\ta\t2026-11-24T14:00:00Z", "superseded\ta\t\tA.tgz\t2026-11-24T13:00:00Z", "superseded\ta\t\ta.zip\t" + at,
		"handed-in\tb\t\tb/1.zip\t2026-11-24T17:00:00Z", "superseded\tb\t\tb/2.zip\t" + at}
	if diff := cmp.Diff(want, described(t, found(t, class.Options{Path: dir}))); diff != "" {
		t.Error(diff)
	}
}

// TestOneArchive is about a class in one archive, which is unpacked.
func TestOneArchive(t *testing.T) {
	tests := map[string]struct {
		files []string
		want  []string
	}{
		"folders": {
			[]string{"a/a.yaml", service, "b/b.yaml", service, "c.zip", "x"},
			[]string{"layout\tfolders", "handed-in\ta\t\ta\t" + at, "handed-in\tb\t\tb\t" + at, "handed-in\tc\t\tc.zip\t" + at},
		},
		"folders in a folder": {
			[]string{"class/a/a.yaml", service, "class/b.zip", "x", "__MACOSX/class/x", "x"},
			[]string{"layout\tfolders", "handed-in\ta\t\tclass/a\t" + at, "handed-in\tb\t\tclass/b.zip\t" + at},
		},
		"what leads out of it": {
			[]string{"a/a.yaml", service, "../b.zip", "x", "/c.zip", "x", `d\d.zip`, "x", "C:e.zip", "x"},
			[]string{"layout\tfolders", "handed-in\ta\t\ta\t" + at, "ignored\t../b.zip\tis not a path within the archive",
				"ignored\t/c.zip\tis not a path within the archive", "ignored\tC:e.zip\tis not a path within the archive",
				"ignored\td\\d.zip\tis not a path within the archive"},
		},
		"what cannot be told apart everywhere": {
			[]string{"a/a.yaml", service, "a/A.yaml", "x", "A/b.yaml", "x", "a/a.yaml", "x", "c.zip", "x", "C.ZIP", "x"},
			[]string{"layout\tfolders", "handed-in\ta\t\ta\t" + at, "handed-in\tc\t\tc.zip\t" + at,
				"ignored\tA/b.yaml\tis the same as a on systems that ignore case", "ignored\tC.ZIP\tis the same as c.zip on systems that ignore case",
				"ignored\ta/A.yaml\tis the same as a/a.yaml on systems that ignore case", "ignored\ta/a.yaml\tis the same as a/a.yaml on systems that ignore case"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir, work := t.TempDir(), t.TempDir()
			write(t, dir, map[string]string{"class.zip": zipped(t, test.files...), "work/unpacked/old.zip": "x"})
			for range 2 { // what an earlier Find left does not matter
				c := found(t, class.Options{Path: filepath.Join(dir, "class.zip"), Work: work})
				if diff := cmp.Diff(test.want, described(t, c)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestNestedArchive sees that archives in an archive stay as they are, and what is temporary
// goes.
func TestNestedArchive(t *testing.T) {
	dir := t.TempDir()
	inner := zipped(t, "a.yaml", service)
	write(t, dir, map[string]string{"class.zip": zipped(t, "a.zip", inner, "b.zip", inner)})
	c, err := class.Find(class.Options{Path: filepath.Join(dir, "class.zip")})
	if err != nil {
		t.Fatal(err)
	}
	path := c.Students[0].Handed.Path
	if got, err := os.ReadFile(path); err != nil || string(got) != inner {
		t.Errorf("%s: %v, and it differs: %v", path, err, string(got) != inner)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

// TestNoClass is about what cannot be understood. Every error says what to do about it.
func TestNoClass(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"empty/": "", "one/a.yaml": service, "one/b.yaml": service, "file.txt": "x", "broken.zip": "x", "other/notes.txt": "x",
		"bomb.zip": zipped(t, "a/x.yaml", strings.Repeat("\x00", 66<<20)), "class/bob-1.zip": "x", "class/amy-2.zip": "x", "class/sub/eve-3.zip": "x",
	})
	tests := map[string]struct {
		options class.Options
		want    []string
	}{
		"nothing there":         {class.Options{Path: "nowhere"}, []string{"nowhere does not exist"}},
		"an empty folder":       {class.Options{Path: "empty"}, []string{"empty is empty"}},
		"one submission":        {class.Options{Path: "one"}, []string{"no submission in one, but 2 other things", "labctl grade one"}},
		"other things":          {class.Options{Path: "other"}, []string{`"notes.txt", which is neither a folder nor an archive`, "--pattern"}},
		"a file":                {class.Options{Path: "file.txt"}, []string{"file.txt is no folder and no archive"}},
		"a broken archive":      {class.Options{Path: "broken.zip"}, []string{"unpack broken.zip: zip: not a valid zip file", "download it again"}},
		"an archive that grows": {class.Options{Path: "bomb.zip"}, []string{"it unpacks to more than 67108864 bytes"}},
		"a bad pattern":         {class.Options{Path: "one", Pattern: "(?P<student>"}, []string{`pattern "(?P<student>"`, "missing closing )"}},
		"a pattern of nobody":   {class.Options{Path: "one", Pattern: ".*"}, []string{"has no group named student", "--pattern"}},
		"a pattern of nothing": {class.Options{Path: "class", Pattern: `(?P<student>\d+)`},
			[]string{`matches nothing in class; there are paths such as "amy-2.zip", "bob-1.zip", "sub"`}},
		"a pattern with a time that is none": {class.Options{Path: "class", Pattern: `(?P<student>\w+)-(?P<time>.*)\.zip`},
			[]string{`time "2" of "amy-2.zip": is not understood`, "RFC 3339"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Chdir(dir)
			c, err := class.Find(test.options)
			if err == nil {
				t.Fatalf("found %v", c)
			}
			if fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
				t.Errorf("kind %d, remedy %q", fault.KindOf(err), fault.RemedyOf(err))
			}
			text := err.Error() + "\n" + fault.RemedyOf(err)
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("%s\nlacks %s", text, want)
				}
			}
		})
	}
}

// TestMuchElse sees that the list of what is no submission is bounded.
func TestMuchElse(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"a.zip": "x"}
	for i := range 1003 {
		files[fmt.Sprintf("%d.txt", i)] = "x"
	}
	write(t, dir, files)
	c := found(t, class.Options{Path: dir})
	if last := c.Ignored[len(c.Ignored)-1]; len(c.Ignored) != 1001 || last.Reason != "holds 3 more things that are no submissions" {
		t.Errorf("%d, the last %+v", len(c.Ignored), last)
	}
}

// TestSkip sees that the grading does not grade its own results.
func TestSkip(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.zip": "x", "graded/a.json": "{}"})
	for _, pattern := range []string{"", `(?P<student>[^/]+)`} {
		c := found(t, class.Options{Path: dir, Pattern: pattern, Skip: []string{filepath.Join(dir, "graded"), "nowhere"}})
		if len(c.Students) != 1 || c.Students[0].ID != "a" || len(c.Ignored) != 0 {
			t.Errorf("got %+v, ignored %+v", c.Students, c.Ignored)
		}
	}
}

// TestOrder sees that students come by ID, whatever the file system's order.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"b.zip": "x", "a.zip": "x", "C.zip": "x", "é.zip": "x"})
	var ids []string
	for _, s := range found(t, class.Options{Path: dir}).Students {
		ids = append(ids, s.ID)
	}
	if want := []string{"a", "b", "C", "é"}; !slices.Equal(ids, want) {
		t.Errorf("got %q, want %q", ids, want)
	}
}
