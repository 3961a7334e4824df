package export

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/heading"
	"labctl.dev/labctl/internal/result"
)

// possible is the first cell of the row that holds the full marks.
const possible = "Points Possible"

// writeCanvas writes a gradebook to import: the one that was downloaded, filled in, or else one
// that is made of the roster's columns. What was not handed in or not graded is left blank, or
// as it was: Canvas' own rule for missing submissions applies.
func writeCanvas(j *job) error {
	if id := j.options.AssignmentID; id != "" && !regexp.MustCompile(`^[0-9]+$`).MatchString(id) {
		return fault.Inputf("%q is no number of an assignment in Canvas", id).WithRemedy("take the number at the end of the assignment's address: --assignment-id 4711")
	}
	if j.options.Sheet != nil {
		return j.fillCanvas()
	}
	title := line(j.assignment(), nameLimit)
	if id := j.options.AssignmentID; id != "" {
		title += " (" + id + ")"
	}
	t := newTable("Student", "ID", "SIS User ID", "SIS Login ID", "Section", title)
	most := 0.0
	for i := range j.class.Reports {
		most = max(most, j.class.Reports[i].MaxScore)
	}
	t.row(possible, "", "", "", "", result.Points(most))
	for i := range j.class.Reports {
		r := &j.class.Reports[i]
		grade := ""
		if s, ok := score(r); ok && r.Status != result.Missing {
			grade = result.Points(s)
		}
		id, user, login, section := canvasColumns(r)
		t.row(cell(shownName(r)), cell(id), cell(user), cell(login), cell(section), grade)
	}
	j.noteUngraded()
	j.add(nil, t.bytes())
	return nil
}

// canvasColumns are what Canvas finds a student by. The roster's column ID is Canvas' own only
// where the roster came from there; the id under which a student was graded is the login where
// the roster says nothing else.
func canvasColumns(r *result.Report) (id, user, login, section string) {
	first := func(all []string) string {
		if len(all) == 0 {
			return ""
		}
		return all[0]
	}
	if fromCanvas(r) {
		id = first(roster(r, "ID", heading.None))
	}
	user, login = first(roster(r, "SIS User ID", heading.Number)), first(roster(r, "SIS Login ID", heading.Username))
	section = first(roster(r, "Section", heading.None))
	if id == "" && user == "" && login == "" {
		login = r.Student
	}
	return id, user, login, section
}

// fromCanvas tells whether the roster is a gradebook of Canvas.
func fromCanvas(r *result.Report) bool {
	if r.Person == nil {
		return false
	}
	student, sis := false, false
	for label := range r.Person.Columns {
		student = student || heading.Squash(label) == "student"
		sis = sis || heading.Squash(label) == "sisuserid" || heading.Squash(label) == "sisloginid" || heading.Squash(label) == "section"
	}
	return student && sis
}

// fillCanvas fills in the gradebook that was downloaded.
func (j *job) fillCanvas() error {
	s, err := readSheet(j.options.Sheet)
	if err != nil {
		return err
	}
	columns := map[string]int{}
	for i, label := range s.header() {
		if _, ok := columns[label]; !ok {
			columns[label] = i
		}
	}
	student, ok := columns["Student"]
	if _, id := columns["ID"]; !ok || !id {
		return fault.Inputf("%s is no gradebook of Canvas: it has no columns Student and ID", s.name).
			WithRemedy("download it from Canvas: Grades, Export, Export Entire Gradebook")
	}
	grade, err := j.canvasColumn(s)
	if err != nil {
		return err
	}
	rows, err := j.canvasRows(s, student, columns["ID"], grade)
	if err != nil {
		return err
	}
	canvas := false
	for i := range j.class.Reports {
		canvas = canvas || fromCanvas(&j.class.Reports[i])
	}
	var keys []key
	for _, k := range []struct {
		label string
		means heading.Meaning
		guess bool
	}{{"ID", heading.None, false}, {"SIS User ID", heading.Number, true}, {"SIS Login ID", heading.Username, true}, {"SIS Login ID", heading.Email, true}, {"Student", heading.Name, true}} {
		column, ok := columns[k.label]
		if !ok || k.label == "ID" && !canvas {
			continue
		}
		label := k.label
		if k.means == heading.Email { // of those whose login is their address
			label = ""
		}
		keys = append(keys, key{column: column, means: k.means, label: label, guess: k.guess})
	}
	who := func(row int) string { return s.cell(row, student) }
	return j.fill(match(s, rows, keys, j.class.Reports), grade, who, func(int, *result.Report) error { return nil })
}

// canvasColumn finds the assignment's column: by its number, or else by its title. Where nobody
// says what that is, it may be the lab's title or its ID.
func (j *job) canvasColumn(s *sheet) (int, error) {
	numbered := regexp.MustCompile(`^(.*) \(([0-9]+)\)$`)
	titles := []string{j.assignment()}
	if j.options.Assignment == "" {
		titles = append(titles, j.class.Lab.ID)
	}
	var found []int
	var known []string
	for i, label := range s.header() {
		m := numbered.FindStringSubmatch(label)
		if m != nil {
			known = append(known, strconv.Quote(line(label, 80)))
		}
		switch id := j.options.AssignmentID; {
		case id != "" && m != nil && m[2] == id,
			id == "" && (slices.Contains(titles, label) || m != nil && slices.Contains(titles, strings.TrimSpace(m[1]))):
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fault.Inputf("%s has several columns for %q", s.name, j.assignment()).WithRemedy("say which, by the number in its label: --assignment-id NUMBER")
	case j.options.AssignmentID != "":
		return 0, fault.Inputf("%s has no column for assignment %s; there are %s", s.name, j.options.AssignmentID, strings.Join(known, ", ")).
			WithRemedy("say which, by the number in its label: --assignment-id NUMBER")
	default:
		return 0, fault.Inputf("%s has no column for %q; there are %s", s.name, j.assignment(), strings.Join(known, ", ")).
			WithRemedy("say which: --assignment TITLE or --assignment-id NUMBER; or leave --gradebook away, and Canvas makes a new assignment")
	}
}

// canvasRows finds the rows that are students: below the full marks, which must be the reports'.
func (j *job) canvasRows(s *sheet, student, id, grade int) ([]int, error) {
	begin := 1
	for row := 1; row < len(s.rows); row++ {
		if s.cell(row, student) != possible {
			continue
		}
		begin = row + 1
		most, err := strconv.ParseFloat(s.cell(row, grade), 64)
		for i := range j.class.Reports {
			r := &j.class.Reports[i]
			if err == nil && r.Status == result.Graded && (r.MaxScore > most+0.005 || r.MaxScore < most-0.005) {
				return nil, fault.Inputf("full marks are %s points in the report of %s, and %s in %s", result.Points(r.MaxScore), line(r.Student, nameLimit), result.Points(most), s.name).
					WithRemedy("let the points be of Canvas' size: --out-of %s", result.Points(most))
			}
		}
	}
	var rows []int
	for row := begin; row < len(s.rows); row++ {
		if s.cell(row, student) == "" || s.cell(row, id) == "" || heading.Squash(s.cell(row, student)) == "studenttest" {
			continue // a line about the columns, and Canvas' own test student
		}
		rows = append(rows, row)
	}
	return rows, nil
}
