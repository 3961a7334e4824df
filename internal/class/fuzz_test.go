package class_test

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/fault"
)

// FuzzNames is the reader of the names that platforms, students and archives give: whatever
// they are, an ID is fit to be shown, and nothing leads out of the folder.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{
		"doejane_LATE_12_1001_lab-1.zip", "12_1_a.yaml", "doejane_1_text.html", "Jane Doe_12_assignsubmission_file_/a.yaml",
		"Jane Doe_12_assignsubmission_file_a-1.tar.gz", "_assignsubmission_file_", "a_1_2_..", "a_1_2_/", "../x.zip", "late_1_2_-1.yaml",
		"=1+1.zip", "\u202e.zip", "a\nb\tc.zip", "\xff\xfe.zip", "e\u0301.ZIP", "A/a.yaml", strings.Repeat("x", 300) + ".zip", "a,\"b\".zip", "con.zip",
	} {
		f.Add(seed, "b_2_3_c.yaml")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		if len(one) > 2000 || len(two) > 2000 || one == "" || two == "" {
			return
		}
		dir, work := t.TempDir(), t.TempDir()
		write(t, dir, map[string]string{"in.zip": zipped(t, one, "x", two, "x")})
		c, err := class.Find(class.Options{Path: filepath.Join(dir, "in.zip"), Work: work})
		if err != nil {
			if fault.KindOf(err) != fault.Input {
				t.Errorf("%q and %q: %v", one, two, err)
			}
			return
		}
		seen := map[string]bool{}
		for _, s := range c.Students {
			hidden := func(r rune) bool { return !unicode.IsPrint(r) || r == '/' }
			if s.ID == "" || !utf8.ValidString(s.ID) || strings.ContainsFunc(s.ID, hidden) || seen[strings.ToLower(s.ID)] {
				t.Errorf("%q and %q: the ID %q", one, two, s.ID)
			}
			if seen[strings.ToLower(s.ID)] = true; s.Handed == nil {
				continue
			}
			if rel, err := filepath.Rel(work, s.Handed.Path); err != nil || !filepath.IsLocal(rel) {
				t.Errorf("%q and %q: the path %q", one, two, s.Handed.Path)
			}
		}
		lines(t, c)
	})
}

// lines sees that every line of a description has a word first.
func lines(t *testing.T, c *class.Class) {
	t.Helper()
	var out strings.Builder
	if err := c.Describe(&out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		switch word {
		case "layout", "times", "students", "handed-in", "superseded", "missing", "unmatched", "ignored":
		default:
			t.Errorf("the line %q", line)
		}
	}
}

// FuzzRoster is the reader of rosters.
func FuzzRoster(f *testing.F) {
	for _, seed := range []string{
		"username,first_name,last_name,email,section,github_id\njdoe,Jane,Doe,j@x,A,1\n", "\xef\xbb\xbfStudent,ID,SIS Login ID\r\n Points Possible,,\r\n\"Doe, J\",1,j\r\n",
		"Identifier\tFull name\nParticipant 1\tA\nParticipant 2\tA\n", "sep=;\nid;name\n1;a\n", "id,id,id\na,b,c\n", "id\n\"a\nb\"\n", "name\n,\n", "a\n\xff\n", "id,\n1,2,3\n",
		"\n\n\nid\n\n1\n", "sep=,", "id\n\u202e\n", "name\n" + strings.Repeat("a ", 50) + "\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		write(t, dir, map[string]string{"roster.csv": string(data), "in/a.zip": "x", "in/Jane Doe.zip": "x"})
		c, err := class.Find(class.Options{Path: filepath.Join(dir, "in"), Roster: filepath.Join(dir, "roster.csv")})
		if err != nil {
			if fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		handed := 0
		seen := map[string]bool{}
		for _, s := range c.Students {
			if s.ID == "" || seen[strings.ToLower(s.ID)] {
				t.Errorf("%q: the ID %q", data, s.ID)
			}
			if seen[strings.ToLower(s.ID)] = true; s.Handed != nil {
				handed++
			}
		}
		if handed != 2 {
			t.Errorf("%q: %d of 2 submissions", data, handed)
		}
		lines(t, c)
	})
}
