package export

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"

	"labctl.dev/labctl/internal/result"
)

//go:embed page.html.tmpl overview.html.tmpl style.css
var pages embed.FS

// render fills in one of the pages. Nothing but its own style is allowed to it, by the style's
// hash.
func render(name string, data any) ([]byte, error) {
	style, err := pages.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("find the pages' style: %w", err)
	}
	sum := sha256.Sum256(style)
	t, err := template.New(name).Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(style) },
		"policy": func() string { return policy(base64.StdEncoding.EncodeToString(sum[:])) },
		"points": result.Points,
	}).ParseFS(pages, name)
	if err != nil {
		return nil, fmt.Errorf("read the page %s: %w", name, err)
	}
	var buf bytes.Buffer
	if err := t.Execute(&buf, data); err != nil {
		return nil, fmt.Errorf("write the page %s: %w", name, err)
	}
	return buf.Bytes(), nil
}

func policy(hash string) string {
	return "default-src 'none'; style-src 'sha256-" + hash + "'; base-uri 'none'; form-action 'none'"
}

// studentPage is what a student's page shows.
type studentPage struct {
	Lab, Version, Title string
	Name, Student       string
	Submitted, Graded   string
	Submission          string
	Status              result.Status
	Headline            string // what became of it, where it is not graded or not all of it is
	Score, Max          float64
	Bar                 int // of 100
	Passed, Total       int
	Late                *latePage
	Said                []string // why, where it is not graded
	Findings            []findingPage
	MoreFindings        int
	Checks              []checkPage
}

type latePage struct {
	Due, Rule, By, Percent string
	Raw, Lost              float64
}

type findingPage struct{ Place, Message, Rule string }

type checkPage struct {
	ID, Title, Step, Mark, Word string
	Status                      result.CheckStatus
	Points, Max                 float64
	Scored                      bool
	Seconds                     string
	Message, Hint               string
	Evidence                    []evidencePage
	More                        int // pieces of evidence that are not shown
}

type evidencePage struct {
	From, To, Want, Got, Answered, Took, Mark, Word string
	Count                                           int
	OK                                              bool
}

// writePage writes a page for each student, of the report as result.Report.ForStudent has it:
// without the hidden checks and without their points, so that its score may differ from the one
// in a gradebook. A submission that only a hidden check kept from being graded is graded there.
func writePage(j *job) error {
	return j.each(func(full *result.Report) ([]byte, error) {
		seen := forStudent(full)
		return render("page.html.tmpl", pageOf(&seen))
	})
}

func pageOf(r *result.Report) studentPage {
	p := studentPage{
		Lab: line(r.Lab.ID, nameLimit), Version: line(r.Lab.Version, nameLimit), Title: line(r.Lab.Title, nameLimit),
		Name: shownName(r), Student: line(r.Student, nameLimit), Graded: moment(r.Finished), Submission: line(r.Submission, nameLimit),
		Status: r.Status, Score: r.Final(), Max: r.MaxScore, Passed: r.Count(result.Passed), Total: len(r.Checks),
	}
	if p.Title == "" {
		p.Title = p.Lab
	}
	if r.Submitted != nil {
		p.Submitted = moment(*r.Submitted)
	}
	if r.MaxScore > 0 {
		p.Bar = int(math.Round(100 * min(1, p.Score/r.MaxScore)))
	}
	if r.Late != nil {
		p.Late = &latePage{Due: moment(r.Late.Due), Rule: line(r.Late.Rule, nameLimit), By: span(r.Late.Seconds), Percent: result.Points(r.Late.Percent), Raw: r.Score, Lost: r.Score - r.Final()}
	}
	if r.Status != result.Graded {
		said := summary(r, r)
		p.Headline, p.Said = said[0], said[1:]
	}
	switch {
	case len(r.Findings) == 0:
	case r.Status == result.Rejected:
		p.Said = nil
	case r.Status == result.Graded:
		p.Headline = leftOut
	}
	for i, f := range r.Findings {
		if i == maxFindings {
			p.MoreFindings = len(r.Findings) - i
			break
		}
		p.Findings = append(p.Findings, findingPage{place(f), line(f.Message, textLimit), line(f.Rule, nameLimit)})
	}
	for _, c := range r.Checks {
		p.Checks = append(p.Checks, checkOf(c, r.Status == result.Graded))
	}
	return p
}

func checkOf(c result.Check, scored bool) checkPage {
	p := checkPage{
		ID: line(c.ID, nameLimit), Title: titleOf(c), Step: line(c.Step, nameLimit), Status: c.Status, Points: c.Points, Max: c.MaxPoints,
		Scored: scored, Seconds: fmt.Sprintf("%.1f s", c.Seconds), Message: line(c.Message, textLimit),
	}
	p.Mark, p.Word = markOf(c.Status)
	if c.Status != result.Passed {
		p.Hint = line(c.Hint, textLimit)
	}
	for i, e := range c.Evidence {
		if i == maxEvidence {
			p.More = len(c.Evidence) - i
			break
		}
		p.Evidence = append(p.Evidence, evidenceOf(e))
	}
	return p
}

func evidenceOf(e result.Evidence) evidencePage {
	p := evidencePage{
		From: line(e.From, evidenceLimit), To: line(e.To, evidenceLimit), Want: line(e.Want, evidenceLimit), Got: orDash(gotText(e)),
		Answered: line(e.Answered, evidenceLimit), Count: max(1, e.Count), OK: e.OK, Mark: "✗", Word: "not as wanted",
	}
	if e.OK {
		p.Mark, p.Word = "✓", "as wanted"
	}
	switch {
	case e.Seconds <= 0 || e.Seconds > 1e6:
	case e.Seconds < 1:
		p.Took = fmt.Sprintf("%.0f ms", e.Seconds*1000)
	default:
		p.Took = fmt.Sprintf("%.1f s", e.Seconds)
	}
	return p
}

// markOf is how a verdict looks: never by its colour alone.
func markOf(s result.CheckStatus) (mark, word string) {
	switch s {
	case result.Passed:
		return "✓", "passed"
	case result.Failed:
		return "✗", "failed"
	case result.Error:
		return "!", "could not be carried out"
	default:
		return "–", "skipped"
	}
}
