package export

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// forStudents are the formats that students see.
func forStudents() []string {
	return []string{"html", "gradescope", "prairielearn", "classroom50", "github-classroom", "junit"}
}

func forInstructors() []string { return []string{"csv", "overview", "markdown"} }

// plain text of a format.
func readable(t *testing.T, format, text string) string {
	t.Helper()
	if format != "github-classroom" {
		return text
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestHiddenChecksLeaveNoTrace(t *testing.T) {
	for _, format := range forStudents() {
		for name, r := range map[string]result.Report{
			"graded": graded("anna"), "late": late(graded("anna")), "errored": errored("anna"), "only the hidden check errored": secretlyErrored("anna"),
		} {
			if format == "classroom50" && r.Status == result.Errored {
				continue // has no result
			}
			text := strings.ToLower(readable(t, format, one(t, r, format)))
			text = strings.Replace(text, `"stdout_visibility": "hidden"`, "", 1)
			// aria-hidden and the style's own words are no trace.
			text = strings.NewReplacer(`aria-hidden="true"`, "", "overflow: hidden", "", "visually-hidden", "").Replace(text)
			for _, trace := range []string{"secret", "hidden", "nobody may know"} {
				if strings.Contains(text, trace) {
					t.Errorf("%s, %s: a trace of the hidden check: %q in\n%s", format, name, trace, text)
				}
			}
		}
	}
}

func TestInstructorsSeeHiddenChecks(t *testing.T) {
	for _, format := range forInstructors() {
		text := one(t, graded("anna"), format)
		if !strings.Contains(text, "secret") && !strings.Contains(text, "Nobody may know") {
			t.Errorf("%s: the hidden check is not there", format)
		}
		if !strings.Contains(text, "hidden") {
			t.Errorf("%s: it is not marked", format)
		}
	}
}

// A text that somebody wrote must not be in an export as it is where it could do harm there.
func TestHostileTextIsCleaned(t *testing.T) {
	class := hostiles()
	class.Pairs = []Pair{{A: class.Reports[0].Student, B: "\x1b[31m<b>", Similarity: 7, Shared: []string{"</script>\u202e"}}}
	for _, format := range Formats() {
		o := Options{Pages: "pages"}
		switch format.Name {
		case "moodle":
			continue // see TestMoodleHostile
		case "classroom50":
			continue // is about one: see TestClassroom50
		}
		out := run(t, class, format.Name, o)
		names := map[string]bool{}
		for _, f := range out.Files {
			text := readable(t, format.Name, string(f.Data))
			if !utf8.ValidString(text) {
				t.Errorf("%s: not UTF-8", format.Name)
			}
			for _, r := range text {
				if r != '\n' && r != '\r' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == 0xffff || r == '\ufeff') {
					t.Errorf("%s: %q is in it", format.Name, r)
					break
				}
			}
			if names[strings.ToLower(f.Name)] {
				t.Errorf("%s: two files %s", format.Name, f.Name)
			}
			names[strings.ToLower(f.Name)] = true
			if strings.ContainsAny(f.Name, "/\\\x00:<>|?*\"") {
				t.Errorf("%s: file %q", format.Name, f.Name)
			}
			if limit := 400_000; len(out.Files) > 1 && len(f.Data) > limit {
				t.Errorf("%s: a file of %d bytes", format.Name, len(f.Data))
			}
		}
		for _, n := range out.Notes {
			if strings.ContainsAny(n.Who+n.What, "\x1b\n\r\t\u202e") {
				t.Errorf("%s: note %q", format.Name, n)
			}
		}
	}
}

func TestNotGradedHasNoScore(t *testing.T) {
	class := everybody()
	for _, format := range Formats() {
		if format.Name == "moodle" || format.Name == "classroom50" {
			continue
		}
		out := run(t, class, format.Name, Options{})
		noted := map[string]bool{}
		for _, n := range out.Notes {
			if n.What == "not graded" {
				noted[n.Who] = true
			}
		}
		if !noted["emil"] || !noted["fred"] || len(noted) != 2 {
			t.Errorf("%s: noted %v", format.Name, out.Notes)
		}
	}
}

func TestExportRefuses(t *testing.T) {
	class := everybody()
	for name, tt := range map[string]struct {
		format string
		o      Options
		want   string
		kind   fault.Kind
	}{
		"an unknown format":        {"xlsx", Options{}, `no format "xlsx"`, fault.Input},
		"an unknown student":       {"csv", Options{Student: "zoe"}, `no report of student "zoe"`, fault.Input},
		"negative marks":           {"csv", Options{OutOf: -1}, "full marks are -1", fault.Input},
		"moodle without worksheet": {"moodle", Options{}, "none is given", fault.Input},
		"canvas' number":           {"canvas", Options{AssignmentID: "x1"}, `"x1" is no number`, fault.Input},
		"classroom50 of a class":   {"classroom50", Options{}, "about one submission", fault.Input},
		"classroom50 without env":  {"classroom50", Options{Student: "anna"}, "needs CLASSROOM", fault.Input},
		"classroom50 not graded":   {"classroom50", Options{Student: "emil", Environment: environment()}, "is not graded", fault.Environment},
		"classroom50 without time": {"classroom50", Options{Student: "carl", Environment: environment()}, "when the work was handed in", fault.Input},
	} {
		_, err := class.Export(tt.format, tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != tt.kind || fault.RemedyOf(err) == "" {
			t.Errorf("%s: %v, kind %d, remedy %q", name, err, fault.KindOf(err), fault.RemedyOf(err))
		}
	}
}

func TestOutOf(t *testing.T) {
	class := everybody()
	out := run(t, class, "csv", Options{OutOf: 10})
	rows := records(t, out.Files[0].Data, ',')
	// student, score, raw, penalty, maximum, first check
	want := map[string][]string{
		"anna": {"6", "6", "0", "10", "4"}, "bert": {"4.8", "6", "1.2", "10", "4"}, "carl": {"0", "0", "0", "10", ""},
		"dora": {"0", "0", "0", "10", ""}, "emil": {"", "", "", "10", ""},
	}
	for student, w := range want {
		for i, column := range []string{"score", "raw_score", "late_penalty", "max_score", "db-is-internal"} {
			if got := rows.cell(student, column); got != w[i] {
				t.Errorf("%s of %s is %q, want %q", column, student, got, w[i])
			}
		}
	}
	if class.Reports[1].Late.Points != 12 || class.Reports[0].Checks[0].Points != 40 {
		t.Error("the reports were changed")
	}
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                      "plain",
		" \na\tb\r\n":                "a b",
		"a\u202eb\u200fc":            `a\u202eb\u200fc`,
		"a\u200bb\u2028c":            `a\u200bb c`,
		"\u05d0\u05d1":               "\u05d0\u05d1",
		"\U0001f469\u200d\U0001f4bb": "\U0001f469\u200d\U0001f4bb",
		"\x1b[31m":                   `\u001b[31m`,
		strings.Repeat("x", 300):     strings.Repeat("x", 200) + "…",
	} {
		if got := line(in, nameLimit); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[float64]int{0: 0, 0.49: 0, 0.5: 1, 74.5: 75, 74.49999999: 75, 74.49: 74, 99.5: 100, 2.5: 3} {
		if got := whole(in); got != want {
			t.Errorf("%g is %d, want %d", in, got, want)
		}
	}
	for in, want := range map[float64]string{0: "0", 7.5: "7.5", 33.333333: "33.33", 100: "100", 0.1 + 0.2: "0.3"} {
		if got := result.Points(in); got != want {
			t.Errorf("%g is %s, want %s", in, got, want)
		}
	}
	for in, want := range map[float64]string{1: "1 minute", 60: "1 minute", 3600: "1 hour", 5400: "1 hour 30 minutes", 86400: "1 day", 91800: "1 day 1 hour", 200000: "2 days 7 hours"} {
		if got := span(in); got != want {
			t.Errorf("%g seconds is %q, want %q", in, got, want)
		}
	}
}
