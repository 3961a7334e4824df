package class_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/fault"
)

// TestPlatforms is about what Canvas and Moodle let download.
func TestPlatforms(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  []string
	}{
		"canvas": {
			map[string]string{
				"doejane_12_1001_lab.zip": "x", "roejohn_late_34_1002_Lab 1_2_3_x.tar.gz": "x", "mülleröger_LATE_5_9_lab.ZIP": "x",
				"smithbob_56_text.html": "x", "smithamy_LATE_57_link.html": "x",
			},
			[]string{"layout\tcanvas", "handed-in\tdoejane\t\tdoejane_12_1001_lab.zip\tunknown",
				"handed-in\tmülleröger\t\tmülleröger_LATE_5_9_lab.ZIP\tunknown\tlate, says Canvas",
				"handed-in\troejohn\t\troejohn_late_34_1002_Lab 1_2_3_x.tar.gz\tunknown\tlate, says Canvas",
				"ignored\tsmithamy_LATE_57_link.html\tis a link handed in to Canvas", "ignored\tsmithbob_56_text.html\tis a text typed into Canvas"},
		},
		"canvas, graded anonymously": {
			map[string]string{"12_1001_lab.zip": "x", "LATE_34_1002_lab.zip": "x"},
			[]string{"layout\tcanvas", "handed-in\t12\t\t12_1001_lab.zip\tunknown", "handed-in\t34\t\tLATE_34_1002_lab.zip\tunknown\tlate, says Canvas"},
		},
		"canvas, handed in again: the file's number decides, as a number": {
			map[string]string{"doejane_12_999_lab-2.zip": "x", "doejane_LATE_12_1001_lab-1.zip": "x", "doejane_12_5_lab.zip": "x"},
			[]string{"layout\tcanvas", "handed-in\tdoejane\t\tdoejane_LATE_12_1001_lab-1.zip\tunknown\tlate, says Canvas",
				"superseded\tdoejane\t\tdoejane_12_999_lab-2.zip\tunknown", "superseded\tdoejane\t\tdoejane_12_5_lab.zip\tunknown"},
		},
		"canvas, the same number: the upload's decides": {
			map[string]string{"doejane_12_7_lab-2.zip": "x", "doejane_12_7_lab-10.zip": "x"},
			[]string{"layout\tcanvas", "handed-in\tdoejane\t\tdoejane_12_7_lab-10.zip\tunknown", "superseded\tdoejane\t\tdoejane_12_7_lab-2.zip\tunknown"},
		},
		"canvas, two of one name": {
			map[string]string{"doejane_12_1_lab.zip": "x", "doejane_34_2_lab.zip": "x", "roejohn_5_6_lab.zip": "x"},
			[]string{"layout\tcanvas", "handed-in\tdoejane-12\t\tdoejane_12_1_lab.zip\tunknown",
				"handed-in\tdoejane-34\t\tdoejane_34_2_lab.zip\tunknown", "handed-in\troejohn\t\troejohn_5_6_lab.zip\tunknown"},
		},
		"canvas, and one that came by mail": {
			map[string]string{"doejane_12_1_lab.zip": "x", "bob/a.yaml": service},
			[]string{"layout\tcanvas", "handed-in\tbob\t\tbob\tunknown", "handed-in\tdoejane\t\tdoejane_12_1_lab.zip\tunknown"},
		},
		"canvas, a loose file beside an archive": {
			map[string]string{"doejane_12_1_lab.zip": "x", "doejane_12_2_notes.txt": "x"},
			[]string{"layout\tcanvas", "handed-in\tdoejane\t\tdoejane_12_1_lab.zip\tunknown",
				"ignored\tdoejane_12_2_notes.txt\tstands beside a folder or an archive of the same student, which counts"},
		},
		"moodle": {
			map[string]string{
				"Jane Doe_12_assignsubmission_file_/lab.zip": "x", "O'Brien, Bob_34_assignsubmission_file/a.yaml": service,
				"Jane Doe_12_assignsubmission_onlinetext_/onlinetext.html": "x", "Müller Özgür_5_assignsubmission_file_/sub/a.yaml": service,
				"Default group_assignsubmission_file_/a.yaml": service, "Ann_Lee_7_assignsubmission_comments_/x": "x",
			},
			[]string{"layout\tmoodle", "handed-in\tDefault group\t\tDefault group_assignsubmission_file_\tunknown",
				"handed-in\tJane Doe\tJane Doe\tJane Doe_12_assignsubmission_file_/lab.zip\tunknown",
				"handed-in\tMüller Özgür\tMüller Özgür\tMüller Özgür_5_assignsubmission_file_\tunknown",
				"handed-in\tO'Brien, Bob\tO'Brien, Bob\tO'Brien, Bob_34_assignsubmission_file\tunknown",
				"ignored\tAnn_Lee_7_assignsubmission_comments_\tcomes from Moodle's plugin \"comments\", not from files",
				"ignored\tJane Doe_12_assignsubmission_onlinetext_\tis a text typed into Moodle"},
		},
		"moodle in one folder, and in another": {
			map[string]string{"download/Jane Doe_12_assignsubmission_file_lab.zip": "x", "download/Bob_34_assignsubmission_file_my_12_lab.tgz": "x",
				"download/Jane Doe_12_assignsubmission_onlinetext_onlinetext.html": "x"},
			[]string{"layout\tmoodle", "handed-in\tBob\tBob\tdownload/Bob_34_assignsubmission_file_my_12_lab.tgz\tunknown",
				"handed-in\tJane Doe\tJane Doe\tdownload/Jane Doe_12_assignsubmission_file_lab.zip\tunknown",
				"ignored\tdownload/Jane Doe_12_assignsubmission_onlinetext_onlinetext.html\tis a text typed into Moodle"},
		},
		"moodle, marked blindly": {
			map[string]string{"Participant_12_assignsubmission_file_/a.yaml": service, "Participant_34_assignsubmission_file_/a.yaml": service},
			[]string{"layout\tmoodle", "handed-in\tParticipant-12\t\tParticipant_12_assignsubmission_file_\tunknown",
				"handed-in\tParticipant-34\t\tParticipant_34_assignsubmission_file_\tunknown"},
		},
		"names that only look like Canvas': most do not": {
			map[string]string{"team_1_2_x.zip": "x", "alice.zip": "x", "bob.zip": "x", "eve/a.yaml": service},
			[]string{"layout\tfolders", "handed-in\talice\t\talice.zip\t" + at, "handed-in\tbob\t\tbob.zip\t" + at,
				"handed-in\teve\t\teve\t" + at, "handed-in\tteam_1_2_x\t\tteam_1_2_x.zip\t" + at},
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

const gradescopeList = `---
submission_101:
  :submitters:
  - :name: Jane Doe
    :sid: '00123'
    :email: jane@example.edu
  :created_at: 2026-11-20 14:34:45.123456000 Z
  :score: 5.0
  :status: processed
  :results: {tests: [{name: x, score: 1}]}
submission_102:
  :submitters:
  - :name: Müller, Özgür
    :sid: 456
  - :name: Bob
    :sid:
    :email: bob@example.edu
  :created_at: 2026-11-20 09:00:00 -0500
submission_104:
  :submitters:
  - :name: Gone Girl
`

// TestGradescope is about what Gradescope exports.
func TestGradescope(t *testing.T) {
	const dir = "assignment_1_export/"
	files := map[string]string{
		dir + "submission_metadata.yml": gradescopeList, dir + "submission_101/a.yaml": service,
		dir + "submission_102/jane-clusterip.tar.gz": "x", dir + "submission_103/a.yaml": service, dir + "notes.txt": "x",
	}
	want := []string{
		"layout\tgradescope",
		"handed-in\tBob\tBob\t" + dir + "submission_102/jane-clusterip.tar.gz\t2026-11-20T14:00:00Z",
		"handed-in\tJane Doe\tJane Doe\t" + dir + "submission_101\t2026-11-20T14:34:45Z",
		"handed-in\tMüller, Özgür\t\t" + dir + "submission_102/jane-clusterip.tar.gz\t2026-11-20T14:00:00Z",
		"handed-in\tsubmission_103\t\t" + dir + "submission_103\tunknown",
		"ignored\t" + dir + "notes.txt\tis no folder, and in Gradescope's export everything handed in is in one",
		"ignored\t" + dir + "submission_104\tis listed in submission_metadata.yml, and is not there",
	}
	at := t.TempDir()
	write(t, at, files)
	c := found(t, class.Options{Path: at})
	if diff := cmp.Diff(want, described(t, c)); diff != "" {
		t.Error(diff)
	}
	if c.Times != class.TimesExport || c.Students[1].Person.Email != "jane@example.edu" {
		t.Errorf("times %s, %+v", c.Times, c.Students[1].Person)
	}

	roster := filepath.Join(t.TempDir(), "roster.csv")
	if err := os.WriteFile(roster, []byte("ID,Name,Email\n00123,Jane D.,\nbob7,Robert B.,bob@example.edu\nzoe,Zoe,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c = found(t, class.Options{Path: at, Roster: roster})
	ids := map[string]bool{}
	for _, s := range c.Students {
		ids[s.ID] = s.Handed != nil
	}
	if !ids["00123"] || !ids["bob7"] || ids["zoe"] || len(c.Unmatched) != 2 {
		t.Errorf("by the roster: %v, unmatched %v", ids, c.Unmatched)
	}

	for _, text := range []string{"[1, 2]", "a: {", "submission_101: [x]", "x: &a [*a]"} {
		write(t, at, map[string]string{dir + "submission_metadata.yml": text})
		_, err := class.Find(class.Options{Path: at})
		if fault.KindOf(err) != fault.Input || err == nil || !strings.Contains(err.Error(), "submission_metadata.yml") || fault.RemedyOf(err) == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestPlatformColumns sees that grades find their way back without a roster.
func TestPlatformColumns(t *testing.T) {
	for file, want := range map[string]map[string]string{
		"doejane_12_1_lab.zip":                      {"ID": "12"},
		"Jane Doe_12_assignsubmission_file_lab.zip": {"Identifier": "Participant 12"},
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{file: "x"})
		p := found(t, class.Options{Path: dir}).Students[0].Person
		if p == nil {
			t.Errorf("%s: nothing is known", file)
		} else if diff := cmp.Diff(want, p.Columns); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// TestLooseFiles is about students who handed in files that are no archive.
func TestLooseFiles(t *testing.T) {
	tests := map[string]struct {
		files   []string // names; the content is the name
		want    map[string]string
		ignored int
	}{
		"canvas": {
			[]string{"doejane_12_1_a.yaml", "doejane_12_2_b.yaml", "doejane_12_3_x.png"},
			map[string]string{"a.yaml": "doejane_12_1_a.yaml", "b.yaml": "doejane_12_2_b.yaml", "x.png": "doejane_12_3_x.png"}, 0,
		},
		"canvas, handed in again": {
			[]string{"doejane_12_1_a.yaml", "doejane_12_2_a-1.yaml", "doejane_12_3_a-2.yaml", "doejane_12_1_answers.yaml", "doejane_12_4_new.yaml"},
			map[string]string{"a.yaml": "doejane_12_3_a-2.yaml", "answers.yaml": "doejane_12_1_answers.yaml", "new.yaml": "doejane_12_4_new.yaml"}, 2,
		},
		"canvas, handed in again, and the first is not there": {
			[]string{"doejane_12_2_answers-1.yaml", "doejane_12_3_a-3.yaml"},
			map[string]string{"answers.yaml": "doejane_12_2_answers-1.yaml", "a.yaml": "doejane_12_3_a-3.yaml"}, 0,
		},
		"canvas, names of the student's own": {
			[]string{"doejane_12_1_web-1.yaml", "doejane_12_2_web-2.yaml"},
			map[string]string{"web-1.yaml": "doejane_12_1_web-1.yaml", "web-2.yaml": "doejane_12_2_web-2.yaml"}, 0,
		},
		"canvas, the higher number is the older one": {
			[]string{"doejane_12_5_a.yaml", "doejane_12_2_a-1.yaml"},
			map[string]string{"a.yaml": "doejane_12_5_a.yaml", "a-1.yaml": "doejane_12_2_a-1.yaml"}, 0,
		},
		"canvas, names that differ in case": {
			[]string{"doejane_12_1_a.yml", "doejane_12_2_A.yml", "doejane_12_3_.."},
			map[string]string{"A.yml": "doejane_12_2_A.yml"}, 2,
		},
		"moodle": {
			[]string{"Jane_12_assignsubmission_file_a.yaml", "Jane_12_assignsubmission_file_b-1.yaml", "Jane_12_assignsubmission_file_A.yaml"},
			map[string]string{"A.yaml": "Jane_12_assignsubmission_file_A.yaml", "2-a.yaml": "Jane_12_assignsubmission_file_a.yaml",
				"b-1.yaml": "Jane_12_assignsubmission_file_b-1.yaml"}, 0,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir, work := t.TempDir(), t.TempDir()
			for _, f := range test.files {
				write(t, dir, map[string]string{f: f})
			}
			c := found(t, class.Options{Path: dir, Work: work})
			if len(c.Students) != 1 || len(c.Students[0].Superseded) != 0 || len(c.Ignored) != test.ignored {
				t.Fatalf("got %+v, ignored %v", c.Students, c.Ignored)
			}
			got := map[string]string{}
			path := c.Students[0].Handed.Path
			entries, err := os.ReadDir(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				data, err := os.ReadFile(filepath.Join(path, e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				got[e.Name()] = string(data)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if !strings.HasPrefix(path, work) {
				t.Errorf("%s is not in %s", path, work)
			}
		})
	}
}

// TestKustomizationKeepsNames sees that a file keeps the name that a kustomization calls it by.
func TestKustomizationKeepsNames(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"doejane_12_1_kustomization-1.yaml": "resources: [web-1.yaml]\n", "doejane_12_2_web-1.yaml": service})
	c := found(t, class.Options{Path: dir})
	for _, name := range []string{"kustomization.yaml", "web-1.yaml"} {
		if _, err := os.Stat(filepath.Join(c.Students[0].Handed.Path, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestPattern is about names that only the teacher can explain.
func TestPattern(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"group a/jane/2026-11-25_16-45-00/lab.zip": "x", "group a/jane/2026-11-24_00-00-00/lab.zip": "x",
		"group b/bob/2026-11-25_16-45-00/lab/a.yaml": service, "group b/bob/notes.txt": "x", "group b/link": "-> /etc",
	})
	c := found(t, class.Options{Path: dir, Pattern: `(?P<group>[^/]+)/(?P<student>[^/]+)/(?P<time>[-\d_]+)/lab(\.zip)?`})
	want := []string{"layout\tpattern",
		"handed-in\tbob\t\tgroup b/bob/2026-11-25_16-45-00/lab\t2026-11-25T16:45:00Z",
		"handed-in\tjane\t\tgroup a/jane/2026-11-25_16-45-00/lab.zip\t2026-11-25T16:45:00Z",
		"superseded\tjane\t\tgroup a/jane/2026-11-24_00-00-00/lab.zip\t2026-11-24T00:00:00Z",
		"ignored\tgroup b/bob/notes.txt\tdoes not match the pattern", "ignored\tgroup b/link\tis a link, which is not followed"}
	if diff := cmp.Diff(want, described(t, c)); diff != "" {
		t.Error(diff)
	}
	if c.Students[1].Person.Columns["group"] != "group a" || c.Times != class.TimesPattern {
		t.Errorf("got %+v, times %s", c.Students[1].Person, c.Times)
	}
}

// TestPatternLooseFiles sees that loose files of the same time are one submission.
func TestPatternLooseFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"jane+1764000000+a.yaml": "1", "jane+1764000000+b.yaml": "1", "jane+1763000000+a.yaml": "0", "bob.zip": "x"})
	c := found(t, class.Options{Path: dir, Pattern: `(?P<student>[^+]+)(\+(?P<time>\d+)\+.*)?`})
	if len(c.Students) != 2 || c.Students[0].ID != "bob" {
		t.Fatalf("got %+v", c.Students)
	}
	jane := c.Students[1]
	entries, err := os.ReadDir(jane.Handed.Path)
	if err != nil || len(entries) != 2 || len(jane.Superseded) != 1 || jane.Handed.Submitted != time.Unix(1764000000, 0).UTC() {
		t.Errorf("got %+v with %v, %v", jane, entries, err)
	}
}

func TestPatternTimes(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-25T16:45:00+01:00": "2026-11-25T15:45:00Z", "2026-11-25T16:45:00Z": "2026-11-25T16:45:00Z",
		"20261125T164500": "2026-11-25T16:45:00Z", "20261125T164500Z": "2026-11-25T16:45:00Z", "20261125164500": "2026-11-25T16:45:00Z",
		"2026-11-25_16-45-00": "2026-11-25T16:45:00Z", "2026-11-25_16-45": "2026-11-25T16:45:00Z", "2026-11-25 16.45.30": "2026-11-25T16:45:30Z",
		"2026-11-25": "2026-11-25T00:00:00Z", "1764089100": "2025-11-25T16:45:00Z", "1764089100000": "2025-11-25T16:45:00Z",
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"a@" + text + ".zip": "x"})
		c := found(t, class.Options{Path: dir, Pattern: `(?P<student>\w+)@(?P<time>.*)\.zip`})
		if got := c.Students[0].Handed.Submitted.Format(time.RFC3339); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"yesterday", "20261325T000000", "12345", "2026-11", "20261125T16450", "2026-11-25T16"} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"a@" + text + ".zip": "x"})
		if c, err := class.Find(class.Options{Path: dir, Pattern: `(?P<student>\w+)@(?P<time>.*)\.zip`}); err == nil {
			t.Errorf("%s: got %v", text, c.Students[0].Handed)
		}
	}
}
