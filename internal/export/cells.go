package export

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"labctl.dev/labctl/internal/result"
)

// cell makes text from outside safe as a cell of a table: on one line, bounded, and no formula
// for the spreadsheet that opens it. Numbers do not go through it.
func cell(text string) string { return defused(line(text, textLimit)) }

// defused puts an apostrophe before what a spreadsheet may take for a formula.
func defused(text string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(text, unicode.IsSpace))
	if first == utf8.RuneError {
		return text
	}
	if strings.ContainsRune("=+-@＝＋－＠", first) {
		return "'" + text
	}
	if text[0] == '\t' || text[0] == '\r' {
		return "'" + text
	}
	return text
}

// table is a CSV file under way.
type table struct {
	buf    bytes.Buffer
	writer *csv.Writer
}

func newTable(header ...string) *table {
	t := &table{}
	t.writer = csv.NewWriter(&t.buf)
	t.row(header...)
	return t
}

// row writes a row; the writer's only error is that of its buffer, which has none.
func (t *table) row(cells ...string) { _ = t.writer.Write(cells) }

func (t *table) bytes() []byte {
	t.writer.Flush()
	return t.buf.Bytes()
}

// checkColumns are the ids of all checks of a class, in their order, and which are hidden.
func (c *Class) checkColumns() (ids []string, hidden map[string]bool) {
	hidden = map[string]bool{}
	for i := range c.Reports {
		for _, check := range c.Reports[i].Checks {
			if _, ok := hidden[check.ID]; !ok {
				ids = append(ids, check.ID)
			}
			hidden[check.ID] = hidden[check.ID] || check.Hidden()
		}
	}
	return ids, hidden
}

// writeCSV writes one row a student. A column "ID" of each check holds its points; "ID (hidden)"
// is one that students do not see. A report that has no verdicts has no points in them, and one
// that is not graded no score.
func writeCSV(j *job) error {
	ids, hidden := j.class.checkColumns()
	header := []string{"student", "name", "email", "status", "score", "raw_score", "late_penalty", "max_score", "seconds_late", "submitted", "graded", "failed", "message", "submission"}
	fixed := map[string]bool{}
	for _, h := range header {
		fixed[h] = true
	}
	for _, id := range ids {
		name := cell(id)
		if hidden[id] {
			name += " (hidden)"
		}
		if fixed[name] {
			name = "check " + name
		}
		header = append(header, name)
	}
	t := newTable(header...)
	for i := range j.class.Reports {
		t.row(csvRow(&j.class.Reports[i], ids)...)
	}
	j.noteUngraded()
	j.add(nil, t.bytes())
	return nil
}

func csvRow(r *result.Report, ids []string) []string {
	final, raw, penalty, seconds, email, submitted := "", "", "", "", "", ""
	if s, ok := score(r); ok {
		final, raw, penalty = result.Points(s), result.Points(r.Score), "0"
	}
	if r.Late != nil {
		seconds = fmt.Sprintf("%.0f", r.Late.Seconds)
		if final != "" {
			penalty = result.Points(r.Score - r.Final())
		}
	}
	if r.Person != nil {
		email = r.Person.Email
	}
	if r.Submitted != nil {
		submitted = r.Submitted.UTC().Format("2006-01-02T15:04:05Z")
	}
	graded := ""
	if !r.Finished.IsZero() {
		graded = r.Finished.UTC().Format("2006-01-02T15:04:05Z")
	}
	message := r.Message
	if len(r.Findings) > 0 {
		message = strings.Join(findings(r), "; ")
	}
	row := []string{cell(r.Student), cell(shownName(r)), cell(email), string(r.Status), final, raw, penalty, result.Points(r.MaxScore), seconds,
		submitted, graded, strings.Join(failedIDs(r), " "), cell(message), cell(r.Submission)}
	byID := map[string]string{}
	if r.Status == result.Graded {
		for _, c := range r.Checks {
			byID[c.ID] = result.Points(c.Points)
		}
	}
	for _, id := range ids {
		row = append(row, byID[id])
	}
	return row
}

// writeNbgrader writes the table that nbgrader export writes. What was not handed in has a
// score of 0 and no timestamp, as there; what is not graded has no scores.
func writeNbgrader(j *job) error {
	t := newTable("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email",
		"raw_score", "late_submission_penalty", "score", "max_score")
	const layout = "2006-01-02 15:04:05"
	for i := range j.class.Reports {
		r := &j.class.Reports[i]
		due, at, email, raw, penalty, final := "", "", "", "", "", ""
		if r.Late != nil {
			due = r.Late.Due.UTC().Format(layout)
		}
		if r.Submitted != nil {
			at = r.Submitted.UTC().Format(layout)
		}
		if r.Person != nil {
			email = r.Person.Email
		}
		if s, ok := score(r); ok {
			raw, penalty, final = result.Points(r.Score), "0", result.Points(s)
			if r.Late != nil {
				penalty = result.Points(r.Score - s)
			}
		}
		first, last := names(r)
		t.row(cell(j.assignment()), due, at, cell(r.Student), cell(last), cell(first), cell(email), raw, penalty, final, result.Points(r.MaxScore))
	}
	j.noteUngraded()
	j.add(nil, t.bytes())
	return nil
}

// assignment is what the learning platform calls the lab.
func (j *job) assignment() string {
	switch {
	case j.options.Assignment != "":
		return j.options.Assignment
	case j.format.Name == "nbgrader" || j.class.Lab.Title == "":
		return j.class.Lab.ID
	default:
		return j.class.Lab.Title
	}
}
