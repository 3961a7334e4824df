package class_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/fault"
)

// listed says whom a class has, and whom the roster did not know.
func listed(c *class.Class) []string {
	var lines []string
	for _, s := range c.Students {
		line := s.ID
		if s.Person != nil {
			line += fmt.Sprintf(" <%s> %s", s.Person.Email, s.Person.Name)
		}
		if s.Handed == nil {
			line += " missing"
		}
		lines = append(lines, line)
	}
	for _, u := range c.Unmatched {
		lines = append(lines, "unmatched "+u.Student+": "+u.Reason)
	}
	return lines
}

// TestRosters is about the formats of rosters, and finding students in them.
func TestRosters(t *testing.T) {
	tests := map[string]struct {
		roster string
		files  []string
		want   []string
	}{
		"classroom 50": {
			"username,first_name,last_name,email,section,github_id\njdoe,Jane,Doe,jane@example.org,A,1001\nbroe,Bob,Roe,bob@example.org,B,1002\n",
			[]string{"JDoe.zip"},
			[]string{"broe <bob@example.org> Bob Roe missing", "jdoe <jane@example.org> Jane Doe"},
		},
		"canvas": {
			"\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,\"Lab 1 (77)\"\r\n    Points Possible,,,,,10\r\n" +
				"\"Doe, Jane\",12,s12,jdoe,A,\r\n\"Müller, Jörg\",34,s34,jmueller,A,\r\n\"Student, Test\",99,,abcdef,A,\r\n",
			[]string{"doejane_LATE_12_1_lab.zip", "müllerjörg_34_2_lab.zip", "studenttest_99_3_lab.zip"},
			[]string{"jdoe <> Doe, Jane", "jmueller <> Müller, Jörg", "studenttest <> ", "unmatched studenttest: not in the roster"},
		},
		"canvas, a roster that does not know its numbers": {
			"name;email\nJane Mary Doe;jane@example.org\nJosé de la Cruz;jose@example.org\nO'Brien-Smith, Ann;ann@example.org\n",
			[]string{"doejanemary_12_1_lab.zip", "delacruzjosé_13_1_lab.zip", "obriensmithann_14_2_lab.zip"},
			[]string{"ann@example.org <ann@example.org> O'Brien-Smith, Ann", "jane@example.org <jane@example.org> Jane Mary Doe",
				"jose@example.org <jose@example.org> José de la Cruz"},
		},
		"moodle worksheet": {
			"Identifier,Full name,Email address,Status,Grade,Last modified (submission)\nParticipant 12,Jane Doe,jane@example.org,Submitted,,\"Tuesday, 24 November 2026, 4:45 PM\"\n" +
				"Participant 34,Bob Roe,bob@example.org,No submission,,-\n",
			[]string{"Jane Doe_12_assignsubmission_file_lab.zip"},
			[]string{"bob@example.org <bob@example.org> Bob Roe missing", "jane@example.org <jane@example.org> Jane Doe"},
		},
		"moodle worksheet in a language that nobody thought of": {
			"Auðkenni\tFullt nafn\tTölvupóstfang\nÞátttakandi 12\tJane Doe\tjane@example.org\nÞátttakandi 34\tBob Roe\tbob@example.org\n",
			[]string{"Participant_34_assignsubmission_file_lab.zip", "Participant_12_assignsubmission_file_lab.zip"},
			[]string{"bob@example.org <bob@example.org> ", "jane@example.org <jane@example.org> "},
		},
		"german participants": {
			"Vorname;Nachname;E-Mail-Adresse\r\nJörg;Müller;joerg@example.org\r\n",
			[]string{"Müller, Jörg.zip"},
			[]string{"joerg@example.org <joerg@example.org> Jörg Müller"},
		},
		"a column called student": {
			"sep=;\nStudent;Group\nalice;1\nbob;2\n", []string{"alice.zip", "bob.tgz"}, []string{"alice <> ", "bob <> "},
		},
		"by the email address, and by its first part": {
			"email\nAlice@Example.org\nbob@example.org\n", []string{"alice@example.org.zip", "bob.zip"},
			[]string{"Alice@Example.org <Alice@Example.org> ", "bob@example.org <bob@example.org> "},
		},
		"by name, in any order and spelling": {
			"id,name\n1,Łukasz Ørsted\n2,Jürgen  Groß\n3,\"Nguyễn, Văn An\"\n", []string{"Orsted_Lukasz.zip", "gross, JURGEN.zip", "Van An Nguyen.zip"},
			[]string{"1 <> Łukasz Ørsted", "2 <> Jürgen  Groß", "3 <> Nguyễn, Văn An"},
		},
		"two of one name: nothing is guessed": {
			"id,name\n1,Jane Doe\n2,\"Doe, Jane\"\n", []string{"Jane Doe.zip"},
			[]string{"1 <> Jane Doe missing", "2 <> Doe, Jane missing", "Jane Doe",
				"unmatched Jane Doe: fits 2 students of the roster by its name: line 2 (1), line 3 (2)"},
		},
		"two who fit one line: the surer one is it": {
			"id,name\njdoe,Jane Doe\n", []string{"jdoe.zip", "Jane Doe.zip"},
			[]string{"Jane Doe", "jdoe <> Jane Doe", "unmatched Jane Doe: fits line 2 (jdoe) of the roster by its name, but jdoe is that student"},
		},
		"two who fit one line alike": {
			"username,name\nj,Jane Doe\n", []string{"Jane Doe.zip", "doe-jane.zip"},
			[]string{"doe-jane", "j <> Jane Doe missing", "Jane Doe", "unmatched Jane Doe: one of 2 that fit line 2 (j) of the roster by their name",
				"unmatched doe-jane: one of 2 that fit line 2 (j) of the roster by their name"},
		},
		"a number of another list is nobody's": {
			"id,name\n12,Bob Roe\n", []string{"doejane_12_1_lab.zip"},
			[]string{"12 <> Bob Roe missing", "doejane <> ", "unmatched doejane: not in the roster"},
		},
		"another list that knows the platform's numbers": {
			"id,name\n0012,Jane Doe\n34,Jane Doe\n56,Bob Roe\n", []string{"doejane_12_1_lab.zip", "doejane_34_1_lab.zip", "mia_56_1_lab.zip"},
			[]string{"0012 <> Jane Doe", "34 <> Jane Doe", "56 <> Bob Roe missing", "mia <> ", "unmatched mia: not in the roster"},
		},
		"a list of nothing but numbers": {
			"id\n12\n34\n", []string{"doejane_12_1_lab.zip", "34.zip"}, []string{"12 <> ", "34 <> "},
		},
		"an unknown student called like a known one": {
			"id,name\ndoejane,Bob Roe\n", []string{"doejane_12_1_lab.zip"},
			[]string{"doejane <> Bob Roe missing", "doejane-12 <> ", "unmatched doejane-12: not in the roster"},
		},
		"namesakes whom the platform's numbers tell apart": {
			"Identifier,Full name\nParticipant 12,Jane Doe\nParticipant 34,Jane Doe\n",
			[]string{"Jane Doe_34_assignsubmission_file_lab.zip", "Bob_35_assignsubmission_file_lab.zip"},
			[]string{"Bob <> Bob", "Jane Doe-12 <> Jane Doe missing", "Jane Doe-34 <> Jane Doe", "unmatched Bob: not in the roster"},
		},
		"cells that are hostile": {
			"id,name,note\n\"=cmd|'/c calc'!A1\",\"A \"\"B\"\" C\",\"two\nlines\"\n\"a\u202eb\",,\n", []string{"a\u202eb.zip"},
			[]string{"=cmd|'_c calc'!A1 <> A \"B\" C missing", "a_b <> "},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"roster.csv": test.roster})
			for _, f := range test.files {
				write(t, dir, map[string]string{"in/" + f: "x"})
			}
			c := found(t, class.Options{Path: filepath.Join(dir, "in"), Roster: filepath.Join(dir, "roster.csv")})
			if diff := cmp.Diff(test.want, listed(c)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRosterBeside sees that the roster may lie beside the submissions, its cells stay as they
// are, and the platform's number is added to them.
func TestRosterBeside(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"doejane_12_1_lab.zip": "x", "roster.csv": "username,name,Section,Section,\njd, Doe, J ,=A,B,x\n"})
	c, err := class.Find(class.Options{Path: dir, Roster: filepath.Join(dir, "roster.csv")})
	if err == nil {
		t.Fatalf("a line with a cell too many: %v", c)
	}
	write(t, dir, map[string]string{"roster.csv": "username,name,Section,Section,\njd,\"Doe, Jane\",=A,B,x\n"})
	c = found(t, class.Options{Path: dir, Roster: filepath.Join(dir, "roster.csv")})
	if len(c.Students) != 1 || len(c.Ignored) != 0 {
		t.Fatalf("got %+v, ignored %v", c.Students, c.Ignored)
	}
	want := map[string]string{"ID": "12", "username": "jd", "name": "Doe, Jane", "Section": "=A", "Section-2": "B", "column 5": "x"}
	if diff := cmp.Diff(want, c.Students[0].Person.Columns); diff != "" {
		t.Error(diff)
	}
}

// TestRosterTimes sees that Moodle's worksheet says when something was handed in.
func TestRosterTimes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"in/Jane_12_assignsubmission_file_a.zip": "x", "in/Bob_34_assignsubmission_file_a.zip": "x",
		"roster.csv": "Identifier,Full name,Last modified (submission)\nParticipant 12,Jane,\"Tuesday, 4 November 2026, 4:05 PM\"\nParticipant 34,Bob,-\n",
	})
	c, err := class.Find(class.Options{Path: filepath.Join(dir, "in"), Roster: filepath.Join(dir, "roster.csv"), Location: zone(t, "Europe/Berlin")})
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 11, 4, 15, 5, 0, 0, time.UTC)
	if got := c.Students[1].Handed.Submitted; got != want || !c.Students[0].Handed.Submitted.IsZero() || c.Times != class.TimesRoster {
		t.Errorf("got %v, times %s", got, c.Times)
	}
}

// TestBadRosters is about rosters that nobody should have to guess at.
func TestBadRosters(t *testing.T) {
	tests := map[string]struct{ roster, want string }{
		"empty":             {"", "roster.csv is empty"},
		"nobody":            {"id,name\n", "roster.csv lists nobody"},
		"no usable column":  {"a,b\n1,2\n", `line 1: no column says who a student is; there are ["a" "b"]`},
		"windows-1252":      {"id,name\n1,Jane\n2,M\xfcller\n", "roster.csv, line 3: is not UTF-8"},
		"utf-16":            {"\xff\xfei\x00d\x00", "roster.csv, line 1: is UTF-16"},
		"a spreadsheet":     {"PK\x03\x04", "is a spreadsheet or an archive"},
		"a stray quote":     {"id,name\n1,Jane\n2,\"B\"ob\"\n", "roster.csv, line 3: is not CSV"},
		"the same id twice": {"id,name\nJos\u00e9,A\nx,B\nJOSE\u0301,C\n", "roster.csv, lines 2 and 4: both have the id \"Jos\u00e9\""},
		"the same name":     {"name\nJane Doe\nJane Doe\n", "roster.csv, lines 2 and 3: both have the id \"Jane Doe\""},
		"nothing of who":    {"id,group\n1,a\n,b\n", "roster.csv, line 3: says nothing of who the student is"},
		"a cell too many":   {"id;name\n1;Jane;x\n", "roster.csv, line 2: has 3 cells, and the header 2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, ".", map[string]string{"roster.csv": test.roster, "in/a.zip": "x"})
			_, err := class.Find(class.Options{Path: "in", Roster: "roster.csv"})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
				t.Errorf("kind %d, remedy %q", fault.KindOf(err), fault.RemedyOf(err))
			}
		})
	}
	if _, err := class.Find(class.Options{Path: t.TempDir(), Roster: "nowhere.csv"}); err == nil || fault.RemedyOf(err) == "" {
		t.Errorf("a roster that is not there: %v", err)
	}
}
