package ui

import (
	"fmt"
	"io"
	"strings"

	"labctl.dev/labctl/internal/result"
)

// textLimit bounds, in runes, one field of a report on a terminal.
const textLimit = 400

// WriteReport prints a report: marks and colours on a terminal of so many columns, words and
// tabs in a pipe (0 columns), where nothing is cut off.
func WriteReport(w io.Writer, columns int, r result.Report) error {
	p := reportPrinter{columns: columns}
	p.head(r)
	for _, f := range r.Findings {
		p.finding(f)
	}
	width := 0
	for _, c := range r.Checks {
		width = max(width, len(c.ID))
	}
	for _, c := range r.Checks {
		p.check(c, width, r.Status)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// WriteCheck prints one check as WriteReport does, for who shows them one by one.
func WriteCheck(w io.Writer, columns, width int, c result.Check) error {
	p := reportPrinter{columns: columns}
	p.check(c, width, result.Graded)
	_, err := io.WriteString(w, p.String())
	return err
}

// WriteHead prints only the first line of a report.
func WriteHead(w io.Writer, columns int, r result.Report) error {
	p := reportPrinter{columns: columns}
	p.head(r)
	_, err := io.WriteString(w, p.String())
	return err
}

// Width is that of the longest name, for columns.
func Width(names []string) int {
	width := 0
	for _, n := range names {
		width = max(width, len(n))
	}
	return width
}

type reportPrinter struct {
	strings.Builder
	columns int // 0 in a pipe
}

func (p *reportPrinter) terminal() bool { return p.columns > 0 }

func (p *reportPrinter) clean(text string) string {
	if p.terminal() {
		return Clean(text, textLimit)
	}
	return Clean(text, 0)
}

func (p *reportPrinter) head(r result.Report) {
	counts := fmt.Sprintf("%d of %d checks passed", r.Count(result.Passed), len(r.Checks))
	points := fmt.Sprintf("%s/%s points", result.Points(r.Score), result.Points(r.MaxScore))
	if r.Status != result.Graded {
		counts, points = string(r.Status)+": not graded", p.clean(r.Message)
	}
	if !p.terminal() {
		fmt.Fprintf(p, "lab\t%s\t%s\t%s\n", r.Lab.ID, counts, points)
		return
	}
	fmt.Fprintf(p, "%s  %s  %s\n", Paint(true, Bold, "Lab "+r.Lab.ID), counts, points)
}

func (p *reportPrinter) finding(f result.Finding) {
	p.detail("refused", p.clean(f.Place())+": "+p.clean(f.Message))
}

func (p *reportPrinter) check(c result.Check, width int, status result.Status) {
	points := fmt.Sprintf("%s/%s", result.Points(c.Points), result.Points(c.MaxPoints))
	if status != result.Graded {
		points = "-"
	}
	hidden := "" // from students; whoever sees it here is an instructor
	switch {
	case !p.terminal():
		if c.Hidden() {
			hidden = "\thidden"
		}
		fmt.Fprintf(p, "%s\t%s\t%s\t%s%s\n", c.Status, c.ID, points, p.clean(c.Message), hidden)
	default:
		if c.Hidden() {
			hidden = "  " + Paint(true, Faint, "hidden")
		}
		mark, style := markOf(c.Status)
		fmt.Fprintf(p, "%s %-*s  %7s%s\n", Paint(true, style, mark), width, c.ID, points, hidden)
	}
	if c.Status == result.Passed {
		return
	}
	if p.terminal() && c.Message != "" {
		p.detail("why", p.clean(c.Message))
	}
	if e, ok := telling(c.Evidence); ok {
		p.detail("tried", p.clean(e.From+" → "+e.To))
		p.detail("got", p.clean(e.Got))
	}
	if c.Hint != "" {
		p.detail("hint", p.clean(c.Hint))
	}
}

func (p *reportPrinter) detail(name, text string) {
	if p.terminal() {
		fmt.Fprintln(p, Detail(name, text, p.columns))
		return
	}
	fmt.Fprintf(p, "\t%s\t%s\n", name, text)
}

// telling picks the piece of evidence that shows best what went wrong: the first that is
// not as it should be.
func telling(evidence []result.Evidence) (result.Evidence, bool) {
	for _, e := range evidence {
		if !e.OK {
			return e, true
		}
	}
	return result.Evidence{}, false
}

func markOf(s result.CheckStatus) (string, Style) {
	switch s {
	case result.Passed:
		return "✓", Green
	case result.Failed:
		return "✗", Red
	case result.Error:
		return "!", Yellow
	default:
		return "-", Faint
	}
}
