package export

import (
	"html"
	"regexp"
	"strconv"
	"strings"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/heading"
	"labctl.dev/labctl/internal/result"
)

// worksheet is Moodle's grading worksheet with what its columns mean; -1 is none.
type worksheet struct {
	*sheet
	identifier, grade, feedback int
	rows                        []int
	keys                        []key
}

// writeMoodle fills in the grading worksheet that the teacher downloaded: the grade, with a
// point for the decimals, which Moodle reads in every language, and the feedback where its cell
// is empty. What was not handed in or not graded is left as it is, and Moodle's own rule for
// what is missing applies. Grades above Moodle's maximum, which it would skip without a word,
// are refused.
func writeMoodle(j *job) error {
	if j.options.Sheet == nil {
		return fault.Inputf("format moodle fills in a grading worksheet, and none is given").
			WithRemedy("download it from the assignment (Actions, Download grading worksheet), and name it: --worksheet FILE")
	}
	s, err := readSheet(j.options.Sheet)
	if err != nil {
		return err
	}
	w := &worksheet{sheet: s}
	if err := w.understand(j.options.Columns); err != nil {
		return err
	}
	if err := w.fits(j.class); err != nil {
		return err
	}
	m := match(s, w.rows, w.keys, j.class.Reports)
	return j.fill(m, w.grade, w.who, w.comment)
}

// participant is what Moodle calls somebody in a worksheet, whatever the language: "Participant
// 12", "Teilnehmer/in12".
func participant() *regexp.Regexp { return regexp.MustCompile(`^\D*\pL\D*?(\d+)$`) }

// understand finds the columns.
func (w *worksheet) understand(named map[string]string) error {
	for row := range w.sheet.rows[1:] {
		w.rows = append(w.rows, row+1)
	}
	for what := range named {
		switch what {
		case "identifier", "grade", "feedback", "match":
		default:
			return fault.Inputf("a worksheet has no column of the kind %q", what).WithRemedy("name identifier, grade, feedback or match, as in --column grade=LABEL")
		}
	}
	var err error
	if w.identifier, err = w.find(named, "identifier", w.identifiers()); err != nil {
		return err
	}
	if w.grade, err = w.find(named, "grade", w.grades()); err != nil {
		return err
	}
	w.feedback = -1
	if all := w.of(heading.Feedback); named["feedback"] != "" || len(all) == 1 {
		if w.feedback, err = w.find(named, "feedback", all); err != nil {
			return err
		}
	}
	return w.matchBy(named["match"])
}

// find returns the column that is named, or else the only one that it can be.
func (w *worksheet) find(named map[string]string, what string, can []int) (int, error) {
	if label := named[what]; label != "" {
		return w.labelled(label)
	}
	switch len(can) {
	case 1:
		return can[0], nil
	case 0:
		return 0, fault.Inputf("%s has no column that is the %s; there are %s", w.name, what, w.labels()).
			WithRemedy("say which it is: --column %s=LABEL", what)
	default:
		return 0, fault.Inputf("%s has several columns that may be the %s; there are %s", w.name, what, w.labels()).
			WithRemedy("say which it is: --column %s=LABEL", what)
	}
}

func (w *worksheet) labelled(label string) (int, error) {
	at := -1
	for i, l := range w.header() {
		if l == label || at < 0 && heading.Squash(l) == heading.Squash(label) {
			at = i
		}
	}
	if at < 0 {
		return 0, fault.Inputf("%s has no column %q; there are %s", w.name, label, w.labels()).WithRemedy("name one of its columns: --column KIND=LABEL")
	}
	return at, nil
}

// labels lists the columns.
func (w *worksheet) labels() string {
	var all []string
	for _, l := range w.header() {
		all = append(all, strconv.Quote(line(l, 60)))
	}
	return strings.Join(all, ", ")
}

func (w *worksheet) of(want heading.Meaning) []int {
	var all []int
	for i, l := range w.header() {
		if meaning(l) == want {
			all = append(all, i)
		}
	}
	return all
}

// identifiers finds the column of participants: Moodle puts it first. Its label is but "ID" in
// some languages, so that what is in it decides.
func (w *worksheet) identifiers() []int {
	if w.every(0, participant().MatchString) {
		return []int{0}
	}
	return w.of(heading.Participant)
}

// grades finds the grade: by its label, or by another column's, "Last modified (grade)".
func (w *worksheet) grades() []int {
	if all := w.of(heading.Grade); len(all) == 1 {
		return all
	}
	bracketed := regexp.MustCompile(`\(([^()]+)\)$`)
	var all []int
	for i, l := range w.header() {
		for _, other := range w.header() {
			if m := bracketed.FindStringSubmatch(other); m != nil && heading.Squash(m[1]) == heading.Squash(l) {
				all = append(all, i)
			}
		}
	}
	return all
}

// every tells whether a column has cells, and all that are not empty are as asked.
func (w *worksheet) every(column int, is func(string) bool) bool {
	some := false
	for _, row := range w.rows {
		if c := w.cell(row, column); c != "" {
			if some = true; !is(c) {
				return false
			}
		}
	}
	return some
}

// matchBy chooses the columns by which students are found.
func (w *worksheet) matchBy(label string) error {
	roles := map[int]heading.Meaning{}
	for i, l := range w.header() {
		switch r := meaning(l); {
		case i == w.identifier:
			roles[i] = heading.Participant
		case i == w.grade || i == w.feedback:
		case w.every(i, func(c string) bool { return strings.Count(c, "@") == 1 && !strings.Contains(c, " ") }):
			roles[i] = heading.Email
		case r == heading.Email || r == heading.Username || r == heading.Number || r == heading.Name:
			roles[i] = r
		}
	}
	if label != "" {
		i, err := w.labelled(label)
		if err != nil {
			return err
		}
		w.keys = []key{{column: i, means: roles[i], label: w.header()[i], guess: true}}
		return nil
	}
	for _, want := range []heading.Meaning{heading.Participant, heading.Email, heading.Username, heading.Number, heading.Name} {
		for i, l := range w.header() {
			if roles[i] == want {
				w.keys = append(w.keys, key{column: i, means: want, label: l, guess: true})
			}
		}
	}
	return nil
}

// fits tells whether Moodle takes the grades.
func (w *worksheet) fits(c *Class) error {
	next := w.grade + 1
	if next < len(w.header()) && meaning(w.header()[next]) == heading.Scale {
		return fault.Inputf("%s is of an assignment that is graded on a scale, not in points", w.name).
			WithRemedy("set the assignment's grade to points in Moodle, and download the worksheet again")
	}
	most, ok := w.maximum(next)
	if !ok {
		return nil
	}
	for i := range c.Reports {
		r := &c.Reports[i]
		if r.Status == result.Graded && (r.MaxScore > most+0.005 || r.MaxScore < most-0.005) {
			return fault.Inputf("full marks are %s points in the report of %s, and %s in %s", result.Points(r.MaxScore), line(r.Student, nameLimit), result.Points(most), w.name).
				WithRemedy("let the points be of Moodle's size: --out-of %s", result.Points(most))
		}
	}
	return nil
}

// maximum reads the maximum grade, which is the same in every row.
func (w *worksheet) maximum(column int) (most float64, ok bool) {
	same := w.every(column, func(c string) bool {
		f, err := strconv.ParseFloat(strings.Replace(c, ",", ".", 1), 64)
		if err != nil || f <= 0 || ok && f != most {
			return false
		}
		most, ok = f, true
		return true
	})
	return most, same
}

// who names a row to a person.
func (w *worksheet) who(row int) string {
	name := w.cell(row, w.identifier)
	for i, l := range w.header() {
		if meaning(l) == heading.Name {
			name += " " + w.cell(row, i)
		}
	}
	return name
}

// comment says in the feedback why points were lost. Moodle takes it for HTML.
func (w *worksheet) comment(row int, full *result.Report) error {
	if w.feedback < 0 || w.cell(row, w.feedback) != "" {
		return nil
	}
	seen := forStudent(full)
	said := summary(full, &seen)
	if full.Status == result.Graded {
		for _, c := range seen.Checks {
			if c.Status == result.Failed {
				said = append(said, titleOf(c)+": "+line(c.Message, evidenceLimit))
			}
		}
	}
	text := []rune(strings.Join(said, " "))
	if len(text) > 2*textLimit {
		text = append(text[:2*textLimit], '…')
	}
	return w.set(row, w.feedback, defused(html.EscapeString(string(text))))
}
