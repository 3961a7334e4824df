package export

import (
	"fmt"
	"math"

	"labctl.dev/labctl/internal/result"
)

// overviewPage is what the overview shows.
type overviewPage struct {
	Lab, Version, Title string
	Students            int
	Counts              []countPage
	Scored              int
	Max                 float64
	Mean, Median        string // of the maximum
	Least, Most         string
	Bars                []barPage
	Checks              []classCheck
	Rows                []studentRow
	Missing, Ungraded   []studentRow
	Pairs               []pairPage
	MorePairs           int
}

type countPage struct {
	Word   string
	Status string
	Count  int
}

// barPage is a bar of the distribution, in the units of the drawing.
type barPage struct {
	Label               string
	Count               int
	X, Y, Height, Below int
}

type classCheck struct {
	ID, Title, Step string
	Hidden          bool
	Points          float64
	Rate            string
	Bar             int // of 100
	Passed, Of      int
	Skipped, Errors int
	Median          string
	Failure         *failurePage
}

type failurePage struct {
	Message  string
	Count    int
	Of       int
	Example  studentRow
	Evidence *evidencePage
}

type studentRow struct {
	Student, Name, Link string
	Status              result.Status
	Mark, Word          string
	Score, Late         string
	Failed              []failedCheck
	Message             string
}

type failedCheck struct {
	ID     string
	Hidden bool
}

type pairPage struct {
	A, B   studentRow
	Share  string
	Shared []string
}

// The drawing of the distribution.
const (
	barStep, barTop, barBase = 44, 20, 140
	maxPairs                 = 500
	maxShared                = 12
)

// writeOverview writes a page about the class, for instructors: hidden checks are on it, and
// marked. What is not graded counts neither in the distribution of the scores nor in a rate.
func writeOverview(j *job) error {
	c := j.class
	p := overviewPage{Lab: line(c.Lab.ID, nameLimit), Version: line(c.Lab.Version, nameLimit), Title: line(c.Lab.Title, nameLimit), Students: len(c.Reports)}
	if p.Title == "" {
		p.Title = p.Lab
	}
	rows := map[string]studentRow{}
	n := map[result.Status]int{}
	for i := range c.Reports {
		r := &c.Reports[i]
		row := j.studentRow(r)
		rows[r.Student] = row
		n[r.Status]++
		p.Max = max(p.Max, r.MaxScore)
		p.Rows = append(p.Rows, row)
		switch r.Status {
		case result.Missing:
			p.Missing = append(p.Missing, row)
		case result.Errored:
			p.Ungraded = append(p.Ungraded, row)
		case result.Graded, result.Rejected:
		}
	}
	for _, s := range []result.Status{result.Graded, result.Rejected, result.Missing, result.Errored} {
		p.Counts = append(p.Counts, countPage{Word: statusWord(s), Status: string(s), Count: n[s]})
	}
	p.scores(c)
	for _, s := range c.checks() {
		p.Checks = append(p.Checks, classCheckOf(s, rows))
	}
	j.pairs(&p, rows)
	data, err := render("overview.html.tmpl", p)
	if err != nil {
		return err
	}
	j.noteUngraded()
	j.add(nil, data)
	return nil
}

// scores fills in the distribution.
func (p *overviewPage) scores(c *Class) {
	counts, shares := c.distribution()
	p.Scored = len(shares)
	if len(shares) > 0 {
		of := func(share float64) string { return result.Points(share * p.Max) }
		p.Mean, p.Median, p.Least, p.Most = of(mean(shares)), of(median(shares)), of(shares[0]), of(shares[len(shares)-1])
	}
	highest := 1
	for _, n := range counts {
		highest = max(highest, n)
	}
	for i, n := range counts {
		label := fmt.Sprintf("%d–%d", i*10, i*10+10)
		height := int(math.Round(float64((barBase-barTop)*n) / float64(highest)))
		p.Bars = append(p.Bars, barPage{Label: label, Count: n, X: i * barStep, Y: barBase - height, Height: height, Below: barBase - height - 5})
	}
}

func (j *job) studentRow(r *result.Report) studentRow {
	row := studentRow{
		Student: line(r.Student, nameLimit), Name: shownName(r), Link: j.options.page(r.Student), Status: r.Status,
		Word: statusWord(r.Status), Score: "–",
	}
	for _, c := range r.Checks {
		if c.Status == result.Failed {
			row.Failed = append(row.Failed, failedCheck{line(c.ID, nameLimit), c.Hidden()})
		}
	}
	if s, ok := score(r); ok {
		row.Score = result.Points(s)
	}
	if r.Late != nil {
		row.Late = span(r.Late.Seconds)
		if r.Status == result.Graded {
			row.Late += ", −" + result.Points(r.Score-r.Final())
		}
	}
	switch r.Status {
	case result.Graded:
		row.Mark = "✓"
	case result.Rejected:
		row.Mark = "✗"
		if len(r.Findings) > 0 {
			row.Message = findingText(r.Findings[0])
			if more := len(r.Findings) - 1; more > 0 {
				row.Message += fmt.Sprintf(" (and %d more)", more)
			}
			break
		}
		row.Message = line(r.Message, textLimit)
	case result.Missing:
		row.Mark = "–"
	case result.Errored:
		row.Mark, row.Message = "!", line(r.Message, evidenceLimit)
	}
	return row
}

func classCheckOf(s *checkStats, rows map[string]studentRow) classCheck {
	rate, of := s.rate()
	c := classCheck{
		ID: line(s.ID, nameLimit), Title: titleOf(s.Check), Step: line(s.Step, nameLimit), Hidden: s.Hidden(), Points: s.MaxPoints,
		Rate: "–", Bar: int(math.Round(rate * 100)), Passed: s.passed, Of: of, Skipped: s.skipped, Errors: s.errors, Median: "–",
	}
	if of > 0 {
		c.Rate = fmt.Sprintf("%.0f %%", math.Round(rate*100))
	}
	if len(s.seconds) > 0 {
		c.Median = fmt.Sprintf("%.1f s", median(s.seconds))
	}
	if f := s.commonest(); f != nil {
		c.Failure = &failurePage{Message: line(f.message, evidenceLimit), Count: f.count, Of: s.failed, Example: rows[f.student]}
		if f.evidence != nil {
			e := evidenceOf(*f.evidence)
			c.Failure.Evidence = &e
		}
	}
	return c
}

// pairs lists the pairs as they come, with links where they are students of the class.
func (j *job) pairs(p *overviewPage, rows map[string]studentRow) {
	who := func(student string) studentRow {
		if row, ok := rows[student]; ok {
			return row
		}
		return studentRow{Name: line(student, nameLimit), Student: line(student, nameLimit)}
	}
	for i, pair := range j.class.Pairs {
		if i == maxPairs {
			p.MorePairs = len(j.class.Pairs) - i
			return
		}
		one := pairPage{A: who(pair.A), B: who(pair.B), Share: fmt.Sprintf("%.0f %%", 100*min(1, max(0, pair.Similarity)))}
		for _, text := range pair.Shared[:min(len(pair.Shared), maxShared)] {
			one.Shared = append(one.Shared, line(text, evidenceLimit))
		}
		p.Pairs = append(p.Pairs, one)
	}
}
