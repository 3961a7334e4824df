package export

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"labctl.dev/labctl/internal/heading"
	"labctl.dev/labctl/internal/result"
)

// key is a column by which students are found in a sheet.
type key struct {
	column int
	means  heading.Meaning
	label  string
	// guess lets the id under which a student was graded count as what the column holds, where
	// the roster has no such column.
	guess bool
}

// values are what the column may hold for a student. They are sure where the roster has a column
// of the very label: one of the same kind may be of another system, as a login is.
func (k key) values(r *result.Report) (all []string, sure bool) {
	all = roster(r, k.label, k.means)
	sure = len(roster(r, k.label, heading.None)) > 0 || k.means == heading.Email && len(all) > 0
	if k.guess && !sure {
		all = append(all, r.Student)
	}
	for i := range all {
		all[i] = k.normal(all[i])
	}
	return all, sure
}

// normal is a value as it is compared.
func (k key) normal(value string) string {
	value = strings.Join(strings.Fields(norm.NFC.String(value)), " ")
	switch k.means {
	case heading.Name:
		if last, first, ok := strings.Cut(value, ","); ok {
			value = strings.TrimSpace(first) + " " + strings.TrimSpace(last)
		}
		return strings.ToLower(value)
	case heading.Email, heading.Username:
		return strings.ToLower(value)
	default:
		return value
	}
}

// matching finds the rows of reports.
type matching struct {
	sheet *sheet
	rows  []int // those that are students
	keys  []key // what counts first, first

	of        map[int]int // the row of a report
	taken     map[int]bool
	ambiguous map[int]bool // reports that a key led to several rows
}

// match finds the row of every report that exactly one row is about. A key that comes later is
// only for whom those before did not find, and never leads to a row that one before speaks
// against.
func match(s *sheet, rows []int, keys []key, reports []result.Report) *matching {
	m := &matching{sheet: s, rows: rows, keys: keys, of: map[int]int{}, taken: map[int]bool{}, ambiguous: map[int]bool{}}
	for n, k := range keys {
		m.by(n, k, reports)
	}
	for i := range m.of {
		delete(m.ambiguous, i)
	}
	return m
}

// by finds rows by one key.
func (m *matching) by(n int, k key, reports []result.Report) {
	index := map[string][]int{}
	for _, row := range m.rows {
		if v := k.normal(m.sheet.cell(row, k.column)); v != "" {
			index[v] = append(index[v], row)
		}
	}
	found := map[int][]int{} // the reports of a row
	for i := range reports {
		if _, done := m.of[i]; done {
			continue
		}
		rows := map[int]bool{}
		values, _ := k.values(&reports[i])
		for _, v := range values {
			for _, row := range index[v] {
				if !m.refuted(n, row, &reports[i]) {
					rows[row] = true
				}
			}
		}
		if len(rows) > 1 {
			m.ambiguous[i] = true
			continue
		}
		for row := range rows {
			found[row] = append(found[row], i)
		}
	}
	for row, of := range found {
		if len(of) > 1 || m.taken[row] {
			for _, i := range of {
				m.ambiguous[i] = true
			}
			continue
		}
		m.of[of[0]], m.taken[row] = row, true
	}
}

// refuted tells whether a key before the nth says that the row is somebody else's.
func (m *matching) refuted(n int, row int, r *result.Report) bool {
	for _, k := range m.keys[:n] {
		has := k.normal(m.sheet.cell(row, k.column))
		values, sure := k.values(r)
		if !sure || has == "" || k.column == m.keys[n].column {
			continue
		}
		same := false
		for _, v := range values {
			same = same || v == has
		}
		if !same {
			return true
		}
	}
	return false
}

// fill puts the score of every report that was found into its row, and notes what it could not
// fill in. What was not handed in or not graded leaves its cell as it is.
func (j *job) fill(m *matching, grade int, who func(row int) string, also func(row int, r *result.Report) error) error {
	for i := range j.class.Reports {
		r := &j.class.Reports[i]
		row, found := m.of[i]
		s, ok := score(r)
		switch {
		case m.ambiguous[i]:
			j.note("not filled in, since several rows or reports are alike", r.Student)
		case !found:
			j.note("not filled in, since no row of "+m.sheet.name+" is about", r.Student)
		case !ok:
			j.note("not graded, and left as it was", r.Student)
		case r.Status == result.Missing:
			j.note("nothing handed in, and left as it was", r.Student)
		default:
			if err := m.sheet.set(row, grade, result.Points(s)); err != nil {
				return err
			}
			if err := also(row, r); err != nil {
				return err
			}
		}
	}
	for _, row := range m.rows {
		if !m.taken[row] {
			j.note("without a report, and left as it was", who(row))
		}
	}
	j.add(nil, m.sheet.bytes())
	return nil
}
