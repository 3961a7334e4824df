package class

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"labctl.dev/labctl/internal/heading"
)

// meaning is what a heading means in a roster, where nobody is graded yet. The word "student"
// depends on the columns beside it; see understand.
func meaning(title string) heading.Meaning {
	switch m := heading.Of(title); m {
	case heading.ID:
		return heading.Number
	case heading.Student, heading.Grade, heading.Feedback, heading.Scale:
		return heading.None
	default:
		return m
	}
}

// columns are a roster's columns.
type columns struct {
	names  []string // none twice, none empty
	roles  []heading.Meaning
	canvas bool // a gradebook or a list of Canvas
	moodle bool // a grading worksheet of Moodle
}

// understand finds out what the columns mean: by their names, and where these are in a language
// that nobody thought of, by what is in them.
func understand(header []string, records []record) columns {
	var c columns
	taken := map[string]bool{}
	student, hasID := -1, false
	for i, title := range header {
		if title == "" {
			title = fmt.Sprintf("column %d", i+1)
		}
		c.names = append(c.names, unique(title, taken))
		c.roles = append(c.roles, meaning(title))
		switch heading.Of(title) {
		case heading.Student:
			student = i
		case heading.ID:
			hasID = true
		}
		switch heading.Squash(title) {
		case "sisuserid", "sisloginid":
			c.canvas = true
		}
	}
	c.canvas = student >= 0 && (c.canvas || hasID)
	if student >= 0 {
		c.roles[student] = heading.Number
	}
	if c.canvas {
		c.roles[student] = heading.Name
		for i, title := range c.names {
			if heading.Of(title) == heading.ID {
				c.roles[i] = heading.Participant
			}
		}
	}
	c.byContent(records)
	return c
}

// byContent gives a meaning to columns that their names do not give one.
func (c *columns) byContent(records []record) {
	// "Participant 12" in any language, and no student's ID such as "s12".
	participant := regexp.MustCompile(`^(?:\D{6,}|\D*[^\x00-\x7f]\D*)\d+$`)
	for i, r := range c.roles {
		switch {
		case r == heading.None && c.every(records, i, func(cell string) bool { return strings.Count(cell, "@") == 1 }):
			c.roles[i] = heading.Email
		case i == 0 && (r == heading.Participant || r == heading.None) && c.every(records, i, participant.MatchString) && c.different(records, i):
			c.roles[i] = heading.Participant
			c.moodle = true
		}
	}
}

// every tells whether a column has cells, and all that are not empty are as asked.
func (c *columns) every(records []record, i int, is func(string) bool) bool {
	some := false
	for _, rec := range records {
		if i >= len(rec.cells) || rec.cells[i] == "" {
			continue
		}
		if some = true; !is(rec.cells[i]) {
			return false
		}
	}
	return some
}

// different tells whether the cells of a column are one word with different numbers.
func (c *columns) different(records []record, i int) bool {
	seen := map[string]bool{}
	word := ""
	for _, rec := range records {
		if i >= len(rec.cells) {
			return false
		}
		cell := rec.cells[i]
		w := strings.TrimRight(cell, "0123456789")
		if seen[cell] || word != "" && w != word {
			return false
		}
		seen[cell], word = true, w
	}
	return true
}

// usable tells whether a column says who a student is.
func (c *columns) usable() bool { return c.wanted() != "" }

// wanted names the columns that say who a student is.
func (c *columns) wanted() string {
	var named []string
	for i, r := range c.roles {
		if r != heading.None && r != heading.Submitted && r != heading.OtherID {
			named = append(named, c.names[i])
		}
	}
	return strings.Join(named, " or ")
}

// cells returns what is in the columns of the roles, in the order of the roles.
func (c *columns) cells(rec record, roles ...heading.Meaning) []string {
	var all []string
	for _, want := range roles {
		for i, r := range c.roles {
			if r == want && i < len(rec.cells) && rec.cells[i] != "" {
				all = append(all, rec.cells[i])
			}
		}
	}
	return all
}

// cell returns the first cell of a role, or "".
func (c *columns) cell(rec record, r heading.Meaning) string {
	if all := c.cells(rec, r); len(all) > 0 {
		return all[0]
	}
	return ""
}

// number returns the learning platform's number: the digits at the end of "Participant 12".
func (c *columns) number(rec record) string {
	cell := c.cell(rec, heading.Participant)
	return cell[len(strings.TrimRight(cell, "0123456789")):]
}

// fullNames returns the names of the student, the one to show first.
func (c *columns) fullNames(rec record) []string {
	all := c.cells(rec, heading.Name)
	given, family := c.cell(rec, heading.First), c.cell(rec, heading.Last)
	if both := strings.TrimSpace(given + " " + family); both != "" {
		all = append(all, both)
	}
	return all
}

// time returns when Moodle says that the student handed in, as its worksheet in English says
// it. Zero is unknown.
func (c *columns) time(rec record, in *time.Location) time.Time {
	t, err := time.ParseInLocation("Monday, 2 January 2006, 3:04 PM", c.cell(rec, heading.Submitted), in)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// separatorHint guesses at what separated too many cells.
func (c *columns) separatorHint(rec record) string {
	for _, s := range []string{";", "\t"} {
		if strings.Contains(strings.Join(c.names, ""), s) || strings.Contains(strings.Join(rec.cells, ""), s) {
			return s
		}
	}
	return ","
}
