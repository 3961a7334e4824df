package class

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/heading"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
)

// maxRoster bounds a roster, in bytes.
const maxRoster = 16 << 20

const columnsRemedy = "it needs a column named username, id, login, student, email or name"

// roster is the list of a class.
type roster struct {
	path   string
	rows   []row
	header columns
}

// row is one student of the roster.
type row struct {
	line      int
	id        string
	number    string   // the learning platform's
	ids       []string // whatever else names the student and nobody else
	emails    []string
	names     []string
	person    *result.Person
	submitted time.Time // Moodle knows it; zero where nobody does
}

// readRoster reads a CSV file with a header, whatever separates its cells. Times in it are in
// the location.
func readRoster(name string, in *time.Location) (*roster, error) {
	data, err := home.Read(name, maxRoster)
	if err != nil {
		return nil, fault.Inputf("read the roster: %w", err).WithRemedy("name a CSV file that lists one class")
	}
	if data, err = decode(name, data); err != nil {
		return nil, err
	}
	lines := newLines(data)
	header, _, err := lines.next()
	if errors.Is(err, io.EOF) {
		return nil, fault.Inputf("roster %s is empty", name).WithRemedy(columnsRemedy)
	}
	r := &roster{path: name}
	var records []record
	for err == nil {
		var cells []string
		var line int
		if cells, line, err = lines.next(); err == nil {
			records = append(records, record{cells, line})
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, r.broken(err)
	}
	r.header = understand(header, records)
	if !r.header.usable() {
		return nil, fault.Inputf("roster %s, line 1: no column says who a student is; there are %.300q", name, r.header.names).
			WithRemedy(columnsRemedy)
	}
	for _, rec := range records {
		if err := r.add(rec, in); err != nil {
			return nil, err
		}
	}
	if len(r.rows) == 0 {
		return nil, fault.Inputf("roster %s lists nobody", name).WithRemedy("it needs one line for each student below its header")
	}
	return r, r.tellApart()
}

// decode takes the byte order mark off, and refuses what is no UTF-8: a guessed encoding would
// spell names wrong without a word.
func decode(name string, data []byte) ([]byte, error) {
	remedy := "save it as UTF-8: in Excel choose the file type \"CSV UTF-8\", or run: iconv -f %s -t UTF-8 %s > roster-utf8.csv"
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return nil, fault.Inputf("roster %s, line 1: is UTF-16, not UTF-8", name).WithRemedy(remedy, "UTF-16", name)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return nil, fault.Inputf("roster %s is a spreadsheet or an archive, not a CSV file", name).WithRemedy("save it as \"CSV UTF-8\"")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	line := 1
	for text := range bytes.Lines(data) {
		if !utf8.Valid(text) {
			return nil, fault.Inputf("roster %s, line %d: is not UTF-8", name, line).WithRemedy(remedy, "WINDOWS-1252", name)
		}
		line++
	}
	return data, nil
}

// record is one line of cells.
type record struct {
	cells []string
	line  int
}

// lines reads the records that are not empty.
type lines struct{ *csv.Reader }

func newLines(data []byte) lines {
	// Excel may say what separates the cells. The line stays, so that lines keep their numbers.
	first, _, _ := bytes.Cut(data, []byte("\n"))
	first = bytes.TrimSuffix(first, []byte("\r"))
	separator := rune(0)
	if said, ok := bytes.CutPrefix(first, []byte("sep=")); ok && len(said) == 1 && strings.ContainsAny(string(said), ",;\t|") {
		separator = rune(said[0])
		data = bytes.Replace(data, first, nil, 1)
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	if r.Comma = separator; separator == 0 {
		r.Comma = separatorOf(data)
	}
	return lines{r}
}

// separatorOf returns what separates the cells of the first line that is not empty.
func separatorOf(data []byte) rune {
	count := map[rune]int{}
	quoted := false
	for _, c := range strings.TrimLeft(string(data[:min(len(data), 64<<10)]), "\r\n") {
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted && c == '\n':
			return most(count)
		case !quoted:
			count[c]++
		}
	}
	return most(count)
}

func most(count map[rune]int) rune {
	best := ','
	for _, c := range []rune{';', '\t'} {
		if count[c] > count[best] {
			best = c
		}
	}
	return best
}

func (l lines) next() ([]string, int, error) {
	for {
		cells, err := l.Read()
		if err != nil {
			return nil, 0, err
		}
		empty := true
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
			empty = empty && cells[i] == ""
		}
		if !empty {
			line, _ := l.FieldPos(0)
			return cells, line, nil
		}
	}
}

// broken says where a roster is no CSV.
func (r *roster) broken(err error) error {
	var at *csv.ParseError
	if errors.As(err, &at) {
		return fault.Inputf("roster %s, line %d: is not CSV: %w", r.path, at.Line, at.Err).
			WithRemedy(`a cell that has a quote in it is written "like ""this"""`)
	}
	return fault.Inputf("read the roster: %w", err)
}

// add adds the student of a record, unless it is none.
func (r *roster) add(rec record, in *time.Location) error {
	h := r.header
	if len(rec.cells) > len(h.names) && strings.Join(rec.cells[len(h.names):], "") != "" {
		return fault.Inputf("roster %s, line %d: has %d cells, and the header %d", r.path, rec.line, len(rec.cells), len(h.names)).
			WithRemedy("a cell that has a %q in it is written in quotes", h.separatorHint(rec))
	}
	if squashed(rec.cells[0]) == "pointspossible" || h.canvas && isTestStudent(h.cell(rec, heading.Name)) {
		return nil
	}
	student := row{line: rec.line, number: h.number(rec), person: &result.Person{}}
	student.ids = h.cells(rec, heading.Username, heading.Number, heading.OtherID, heading.Participant)
	student.emails = h.cells(rec, heading.Email)
	student.names = h.fullNames(rec)
	if len(student.names) > 0 {
		student.person.Name = student.names[0]
	}
	if len(student.emails) > 0 {
		student.person.Email = student.emails[0]
	}
	student.person.Columns = map[string]string{}
	for i, column := range h.names {
		if i < len(rec.cells) && rec.cells[i] != "" {
			student.person.Columns[column] = rec.cells[i]
		}
	}
	student.submitted = h.time(rec, in)
	for _, said := range [][]string{h.cells(rec, heading.Username, heading.Number), student.emails, student.names, h.cells(rec, heading.Participant)} {
		if len(said) > 0 && student.id == "" {
			student.id = clean(said[0])
		}
	}
	if student.id == "" {
		if h.canvas { // a line about the columns, such as "Manual Posting"
			return nil
		}
		return fault.Inputf("roster %s, line %d: says nothing of who the student is", r.path, rec.line).WithRemedy("fill in %s, or take the line out", h.wanted())
	}
	r.rows = append(r.rows, student)
	return nil
}

func isTestStudent(name string) bool {
	switch squashed(name) {
	case "teststudent", "studenttest":
		return true
	}
	return false
}

// tellApart sees to it that no two students have the same ID. Names may be the same where the
// learning platform's numbers tell them apart.
func (r *roster) tellApart() error {
	lines := map[string][]int{}
	for i, row := range r.rows {
		lines[submission.Folded(row.id)] = append(lines[submission.Folded(row.id)], i)
	}
	for _, row := range r.rows { // in the order of the file
		same := lines[submission.Folded(row.id)]
		if len(same) < 2 {
			continue
		}
		first, second := r.rows[same[0]], r.rows[same[1]]
		if !byName(first) || !byName(second) || first.number == "" || second.number == "" || first.number == second.number {
			return fault.Inputf("roster %s, lines %d and %d: both have the id %q", r.path, first.line, second.line, row.id).
				WithRemedy("take one of the two lines out, or add a column named id that tells them apart")
		}
	}
	taken := map[string]bool{}
	for i := range r.rows {
		if row := &r.rows[i]; len(lines[submission.Folded(row.id)]) > 1 {
			row.id += "-" + row.number
		}
		r.rows[i].id = unique(r.rows[i].id, taken)
	}
	return nil
}

// byName tells whether a row's ID is but a name.
func byName(r row) bool {
	return len(r.names) > 0 && clean(r.names[0]) == r.id
}

// describe names a row to the author of the roster.
func (r *roster) describe(i int) string {
	return fmt.Sprintf("line %d (%s)", r.rows[i].line, r.rows[i].id)
}
