package class

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
)

// The ways to find a student in the roster, the surest first.
const (
	byNumber = iota
	byID
	byEmail
	byLocalPart
	byFullName
	ways
)

// wayName says how a student was looked for.
func wayName(way int) string {
	return [ways]string{"number", "id", "email address", "part of the email address before the @", "name"}[way]
}

// index finds the rows of a roster.
type index struct {
	*roster
	rows [ways]map[string][]int // by what they are found by; each row once
}

func (r *roster) index() *index {
	x := &index{roster: r}
	for way := range x.rows {
		x.rows[way] = map[string][]int{}
	}
	for i, row := range r.rows {
		x.add(byNumber, strings.TrimLeft(row.number, "0"), i)
		for _, id := range append(row.ids, row.id) {
			x.add(byID, submission.Folded(clean(id)), i)
			if !r.header.canvas && !r.header.moodle && strings.Trim(id, "0123456789") == "" { // it may be the platform's
				x.add(byNumber, strings.TrimLeft(id, "0"), i)
			}
		}
		for _, email := range row.emails {
			local, _, _ := strings.Cut(submission.Folded(email), "@")
			x.add(byEmail, submission.Folded(email), i)
			x.add(byLocalPart, local, i)
		}
		for _, name := range row.names {
			for _, key := range nameKeys(name) {
				x.add(byFullName, key, i)
			}
		}
	}
	return x
}

func (x *index) add(way int, key string, i int) {
	if key != "" && !slices.Contains(x.rows[way][key], i) {
		x.rows[way][key] = append(x.rows[way][key], i)
	}
}

// nameKeys returns what a name is found by, whatever the order of its words: the words in
// alphabetical order, and for Canvas the ways to squash them, with a space before them.
func nameKeys(name string) []string {
	w := words(name)
	if len(w) == 0 || len(w) > 12 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(w))
	keys := []string{strings.Join(sorted, "\x00")}
	for i := range w { // the last name may be one word or several
		keys = append(keys, " "+strings.Join(w[i:], "")+strings.Join(w[:i], ""))
	}
	return keys
}

// keys returns what a student is looked for by.
func (f *finder) keys(h *handing, way int) []string {
	o := h.owner
	named := f.platform() && o.number != "" // then the name is one, and no ID
	switch way {
	case byNumber:
		return []string{strings.TrimLeft(o.number, "0")}
	case byID:
		switch {
		case f.class.Layout == Gradescope: // its number is the school's
			return []string{submission.Folded(clean(o.number))}
		case named:
			return nil
		}
		return []string{submission.Folded(clean(o.name)), submission.Folded(clean(o.number))}
	case byEmail:
		return []string{submission.Folded(o.email), submission.Folded(clean(o.name))}
	case byLocalPart:
		local, _, _ := strings.Cut(submission.Folded(o.email), "@")
		if named {
			return []string{local}
		}
		return []string{local, submission.Folded(clean(o.name))}
	}
	if f.class.Layout == Canvas && named {
		return []string{" " + squashed(o.name)}
	}
	full := strings.Join(slices.Sorted(slices.Values(words(cmp.Or(o.full, o.name)))), "\x00")
	return []string{full, " " + squashed(o.name)}
}

// look returns the rows that a student may be, and how they were found.
func (f *finder) look(x *index, h *handing) ([]int, int) {
	for way := range ways {
		found := map[int]bool{}
		for _, key := range f.keys(h, way) {
			if key == "" {
				continue
			}
			for _, i := range x.rows[way][key] {
				if way != byNumber || f.sameNumbers(x) || f.sameName(x.roster.rows[i], h) {
					found[i] = true
				}
			}
		}
		if len(found) > 0 {
			return slices.Sorted(maps.Keys(found)), way
		}
	}
	return nil, ways
}

// sameNumbers tells whether the roster's numbers are those of the submissions. Any other list's
// may by chance be somebody else's, so that the name has to agree.
func (f *finder) sameNumbers(x *index) bool {
	return f.class.Layout == Canvas && x.header.canvas || f.class.Layout == Moodle && x.header.moodle || f.class.Layout == Pattern
}

// sameName tells whether a row may bear the name of the submission.
func (f *finder) sameName(r row, h *handing) bool {
	if len(r.names) == 0 {
		return true
	}
	for _, name := range r.names {
		for _, key := range nameKeys(name) {
			if slices.Contains(f.keys(h, byFullName), key) {
				return true
			}
		}
	}
	return false
}

// settle makes the class of those who handed in, and of those in the roster who did not.
func (f *finder) settle(students []*handing) {
	if f.roster == nil {
		for _, h := range students {
			f.class.Students = append(f.class.Students, h.student(h.id, h.person()))
		}
		return
	}
	x := f.roster.index()
	rows, reasons := f.assign(x, students)
	taken := map[string]bool{}
	for _, row := range f.roster.rows {
		taken[submission.Folded(row.id)] = true
	}
	found := map[int]bool{}
	for i, h := range students {
		if rows[i] >= 0 {
			row := f.roster.rows[rows[i]]
			found[rows[i]] = true
			f.class.Students = append(f.class.Students, f.inRoster(row, h))
			continue
		}
		id := h.id
		if taken[submission.Folded(id)] && h.owner.number != "" {
			id += "-" + clean(h.owner.number)
		}
		id = unique(id, taken)
		f.class.Students = append(f.class.Students, h.student(id, h.person()))
		f.class.Unmatched = append(f.class.Unmatched, Unmatched{Student: id, Reason: reasons[i]})
	}
	for i, row := range f.roster.rows {
		if !found[i] {
			f.class.Students = append(f.class.Students, Student{ID: row.id, Person: row.person})
		}
	}
}

// assign finds the row of each student, or says why none; nothing is guessed.
func (f *finder) assign(x *index, students []*handing) (rows []int, reasons []string) {
	rows, reasons = make([]int, len(students)), make([]string, len(students))
	how := make([]int, len(students))
	claims := map[int][]int{}
	for i, h := range students {
		found, way := f.look(x, h)
		rows[i], how[i] = -1, way
		switch len(found) {
		case 0:
			reasons[i] = "not in the roster"
		case 1:
			rows[i] = found[0]
			claims[found[0]] = append(claims[found[0]], i)
		default:
			var lines []string
			for _, r := range found[:min(len(found), 5)] {
				lines = append(lines, x.describe(r))
			}
			reasons[i] = fmt.Sprintf("fits %d students of the roster by its %s: %s", len(found), wayName(way), strings.Join(lines, ", "))
		}
	}
	for r, claimed := range claims {
		best := slices.MinFunc(claimed, func(a, b int) int { return cmp.Compare(how[a], how[b]) })
		equal := 0
		for _, i := range claimed {
			if how[i] == how[best] {
				equal++
			}
		}
		for _, i := range claimed {
			switch {
			case equal > 1:
				reasons[i] = fmt.Sprintf("one of %d that fit %s of the roster by their %s", len(claimed), x.describe(r), wayName(how[i]))
			case i != best:
				reasons[i] = fmt.Sprintf("fits %s of the roster by its %s, but %s is that student", x.describe(r), wayName(how[i]), students[best].id)
			default:
				continue
			}
			rows[i] = -1
		}
	}
	return rows, reasons
}

// inRoster returns a student whom the roster knows.
func (f *finder) inRoster(r row, h *handing) Student {
	p := *r.person
	if own := h.person(); own != nil {
		p = complete(p, *own)
	}
	s := h.student(r.id, &p)
	if s.Handed != nil && s.Handed.Submitted.IsZero() && !r.submitted.IsZero() {
		s.Handed.Submitted = r.submitted
		f.class.Times = TimesRoster
	}
	return s
}

// complete adds to what the roster says what only the submission's name does: the number by
// which the learning platform finds the student when grades are imported.
func complete(p, own result.Person) result.Person {
	p.Name, p.Email = cmp.Or(p.Name, own.Name), cmp.Or(p.Email, own.Email)
	columns := maps.Clone(own.Columns)
	if columns == nil {
		columns = map[string]string{}
	}
	maps.Copy(columns, p.Columns)
	p.Columns = columns
	return p
}
