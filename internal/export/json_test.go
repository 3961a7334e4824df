package export

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/gradescope/facts"
	"labctl.dev/labctl/internal/result"
)

// strict reads JSON into what the format's documentation knows, and nothing else.
func strict[T any](t *testing.T, data string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	if d.More() {
		t.Fatalf("something follows\n%s", data)
	}
	return v
}

func TestGradescope(t *testing.T) {
	for name, tt := range map[string]struct {
		report result.Report
		score  float64 // -1: none
		tests  int
		output string
	}{
		"graded":   {graded("a"), 60, 3, "1 of 3 checks passed."},
		"late":     {late(graded("a")), 48, 3, "Handed in 1 day 1 hour late (due 2026-11-23 20:30 UTC): 20% of the points are lost."},
		"rejected": {rejected("a"), 0, 0, "app.yaml, document 2, spec.template.spec.hostNetwork: must not use the node's network"},
		"missing":  {missing("a"), 0, 0, "Nothing was handed in."},
		"error":    {errored("a"), -1, 0, "no marks were given or taken.\ncheck backend-reaches-db could not be carried out"},
		"secretly": {secretlyErrored("a"), -1, 0, "no marks were given or taken."},
	} {
		g, err := facts.Read([]byte(one(t, tt.report, "gradescope")))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if (g.Score == nil) != (tt.score < 0) || g.Score != nil && *g.Score != tt.score || len(g.Tests) != tt.tests || !strings.Contains(g.Output, tt.output) {
			t.Errorf("%s: %+v", name, g)
		}
		if g.OutputFormat != "text" || g.TestOutputFormat != "text" || g.TestNameFormat != "text" || g.Visibility != "visible" || g.StdoutVisibility != "hidden" {
			t.Errorf("%s: %+v", name, g)
		}
		for _, test := range g.Tests {
			if test.Score == nil || test.MaxScore == nil || test.Status != "passed" && test.Status != "failed" || test.Name == "" ||
				!regexp.MustCompile(`^\d+\.\d+$`).MatchString(test.Number) || test.Visibility != "visible" {
				t.Errorf("%s: %+v", name, test)
			}
		}
	}
	golden(t, "gradescope.json", []byte(one(t, late(graded("anna")), "gradescope")))
}

// What is said before everything else is cleaned like all that follows. A check without points
// informs: it has a status, and no score.
func TestGradescopeNotice(t *testing.T) {
	r := graded("a")
	r.Checks = append(r.Checks, result.Check{ID: "note", Title: "A note", Status: result.Failed, Message: "look"})
	class := &Class{Lab: r.Lab, Reports: []result.Report{r}}
	made, err := class.Export("gradescope", Options{Notice: []string{"Read \x1b[2Jthis", ""}, Extra: map[string]string{"status": "read", "mode": "manifests\n"}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := facts.Read(made.Files[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(g.Output, `Read \u001b[2Jthis`+"\n\n1 of 4 checks passed.") {
		t.Errorf("output %q", g.Output)
	}
	if last := g.Tests[len(g.Tests)-1]; last.Score != nil || last.MaxScore != nil || last.Status != "failed" || last.Name != "A note" {
		t.Errorf("a note became %+v", last)
	}
	if extra := g.ExtraData["labctl"].(map[string]any); extra["status"] != "read" || extra["mode"] != "manifests" || extra["lab"] != "clusterip" {
		t.Errorf("extra data %v", extra)
	}
}

// What PrairieLearn documents of results.json.
type prairielearnFacts struct {
	Gradable     *bool    `json:"gradable"`
	FormatErrors []string `json:"format_errors"`
	Score        *float64 `json:"score"`
	Message      string   `json:"message"`
	Output       string   `json:"output"`
	Tests        []struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Points      *float64 `json:"points"`
		MaxPoints   *float64 `json:"max_points"`
		Message     string   `json:"message"`
		Output      string   `json:"output"`
	} `json:"tests"`
}

func TestPrairieLearn(t *testing.T) {
	for name, tt := range map[string]struct {
		report result.Report
		score  float64 // -1: not gradable
		tests  int
		says   string
	}{
		"graded":   {graded("a"), 0.6, 3, "1 of 3 checks passed."},
		"late":     {late(graded("a")), 0.48, 3, "20% of the points are lost."},
		"rejected": {rejected("a"), 0, 0, "hostNetwork"},
		"missing":  {missing("a"), 0, 0, "Nothing was handed in."},
		"error":    {errored("a"), -1, 0, "no marks were given or taken."},
		"secretly": {secretlyErrored("a"), -1, 0, "no marks were given or taken."},
	} {
		p := strict[prairielearnFacts](t, one(t, tt.report, "prairielearn"))
		said := p.Message + p.Output + strings.Join(p.FormatErrors, "")
		if p.Gradable == nil || *p.Gradable != (tt.score >= 0) || (p.Score == nil) != (tt.score < 0) || (len(p.FormatErrors) > 0) != (tt.score < 0) ||
			p.Score != nil && math.Abs(*p.Score-tt.score) > 1e-9 || len(p.Tests) != tt.tests || !strings.Contains(said, tt.says) {
			t.Errorf("%s: %+v", name, p)
		}
		for _, test := range p.Tests {
			if test.Points == nil || test.MaxPoints == nil || test.Name == "" {
				t.Errorf("%s: %+v", name, test)
			}
		}
	}
}

func TestPrairieLearnIsSmall(t *testing.T) {
	r := graded("a")
	for i := range 400 {
		c := r.Checks[1]
		c.ID, c.Message, c.Hint = "check-"+strings.Repeat("x", i), strings.Repeat("<\u00e9", 4000), strings.Repeat("h", 4000)
		for range 4 {
			c.Evidence = append(c.Evidence, result.Evidence{From: strings.Repeat("f", 900), To: strings.Repeat("t", 900), Got: strings.Repeat("\x1b", 400)})
		}
		r.Checks = append(r.Checks, c)
	}
	text := one(t, r, "prairielearn")
	if len(text) > 1<<20 {
		t.Errorf("%d bytes", len(text))
	}
	if p := strict[prairielearnFacts](t, text); len(p.Tests) != 403 || p.Tests[400].Message == "" {
		t.Errorf("%d tests", len(p.Tests))
	}
}

// What Classroom 50 documents of result.json, with the one field more.
type classroom50Facts struct {
	Schema     string `json:"schema"`
	Classroom  string `json:"classroom"`
	Assignment string `json:"assignment"`
	Submission string `json:"submission"`
	Commit     string `json:"commit"`
	Release    string `json:"release"`
	Review     string `json:"review"`
	Datetime   string `json:"datetime"`
	Score      *int   `json:"score"`
	MaxScore   *int   `json:"max-score"`
	Tests      []struct {
		Name     string `json:"test-name"`
		Passed   *bool  `json:"passed"`
		Score    *int   `json:"score"`
		MaxScore *int   `json:"max-score"`
		Message  string `json:"message"`
	} `json:"tests"`
}

func TestClassroom50(t *testing.T) {
	half := graded("a")
	half.Checks[0].Points, half.Checks[1].Points = 34.5, 20
	half.Tally()
	rejectedThen := rejected("a")
	submitted := at("2026-11-24T22:00:00Z")
	rejectedThen.Submitted = &submitted
	rejectedThen.MaxScore = 100
	for name, tt := range map[string]struct {
		report result.Report
		score  int
		tests  []int
	}{
		"graded":          {graded("a"), 60, []int{40, 0, 0}},
		"late":            {late(graded("a")), 48, []int{40, 0, 0}},
		"halves round up": {half, 75, []int{35, 20, 0}},
		"rejected":        {rejectedThen, 0, []int{0}},
	} {
		c := strict[classroom50Facts](t, one(t, tt.report, "classroom50"))
		if c.Schema != "classroom50/result/v1" || c.Score == nil || *c.Score != tt.score || c.MaxScore == nil || *c.MaxScore != 100 || c.Datetime != "2026-11-24T22:00:00Z" {
			t.Errorf("%s: %+v", name, c)
		}
		var got []int
		for _, test := range c.Tests {
			if test.Name == "" || test.Passed == nil || test.MaxScore == nil {
				t.Errorf("%s: %+v", name, test)
			}
			got = append(got, *test.Score)
		}
		if !slices.Equal(got, tt.tests) {
			t.Errorf("%s: tests %v", name, got)
		}
	}
	env := environment()
	env["REVIEW_URL"] = ""
	out, err := classOf(missing("a")).Export("classroom50", Options{Environment: env, Submitted: at("2026-11-24T23:30:00.7+01:00")})
	if err != nil {
		t.Fatal(err)
	}
	c := strict[classroom50Facts](t, string(out.Files[0].Data))
	if c.Review != c.Commit || c.Datetime != "2026-11-24T22:30:00Z" || *c.Score != 0 {
		t.Errorf("%+v", c)
	}
	for _, text := range hostile() {
		r := graded(text)
		r.Checks[1].Message, r.Checks[1].Title = text, text
		strict[classroom50Facts](t, one(t, r, "classroom50"))
	}
}

// What GitHub Classroom's reporter reads.
type githubFacts struct {
	Version  int      `json:"version"`
	Status   string   `json:"status"`
	MaxScore *float64 `json:"max_score"`
	Tests    []struct {
		Name     string   `json:"name"`
		Status   string   `json:"status"`
		Score    *float64 `json:"score"`
		Message  string   `json:"message"`
		TestCode string   `json:"test_code"`
		Filename string   `json:"filename"`
		LineNo   int      `json:"line_no"`
		Duration float64  `json:"duration"`
	} `json:"tests"`
}

func TestGitHubClassroom(t *testing.T) {
	full := graded("a")
	for i := range full.Checks {
		full.Checks[i].Status, full.Checks[i].Points = result.Passed, full.Checks[i].MaxPoints
	}
	full.Tally()
	for name, tt := range map[string]struct {
		report     result.Report
		status     string
		score, max float64 // what the reporter adds up
	}{
		"graded":   {graded("a"), "fail", 40, 80}, // without the hidden check
		"late":     {late(graded("a")), "fail", 32, 80},
		"full":     {full, "pass", 80, 80},
		"rejected": {rejected("a"), "fail", 0, 0},
		"missing":  {missing("a"), "fail", 0, 0},
		"error":    {errored("a"), "error", 0, 0}, // no maximum: no points are reported
	} {
		text := one(t, tt.report, "github-classroom")
		if strings.Count(text, "\n") != 1 {
			t.Errorf("%s: not one line", name)
		}
		data, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		g := strict[githubFacts](t, string(data))
		sum := 0.0
		for _, test := range g.Tests {
			if test.Name == "" || test.Score == nil || !slices.Contains([]string{"pass", "fail", "error"}, test.Status) {
				t.Errorf("%s: %+v", name, test)
			}
			sum += *test.Score
		}
		if g.Version != 1 || g.Status != tt.status || sum != tt.score || *g.MaxScore != tt.max {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

// An export depends on the reports alone.
func TestExportsAreTheSameTomorrow(t *testing.T) {
	first := map[string]string{}
	for range 2 {
		for _, f := range Formats() {
			if f.Name == "moodle" || f.Name == "classroom50" {
				continue
			}
			for _, file := range run(t, everybody(), f.Name, Options{}).Files {
				key := f.Name + "/" + file.Name
				if before, ok := first[key]; ok && before != string(file.Data) {
					t.Errorf("%s is another now", key)
				}
				first[key] = string(file.Data)
				if strings.Contains(string(file.Data), time.Now().UTC().Format("2006-01-02T15:04")) {
					t.Errorf("%s: says what time it is", key)
				}
			}
		}
	}
}
