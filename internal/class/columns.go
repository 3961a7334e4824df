package class

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// role is what a column of a roster says of a student.
type role int

const (
	asNothing role = iota
	asUsername
	asID
	asOther  // names the student, too, but is no ID to read
	asNumber // the learning platform's
	asEmail
	asName
	asFirst
	asLast
	asSubmitted
)

// roleOf returns what a header means, in the languages in which Moodle and Canvas are most
// used. The word "student" depends on the columns beside it; see understand.
func roleOf(header string) role {
	switch squashed(header) {
	case "username", "user", "login", "loginid", "userlogin", "sisloginid", "uid", "account", "githubusername",
		"benutzername", "anmeldename", "nutzername", "nomdutilisateur", "nombredeusuario", "nomeutente", "gebruikersnaam":
		return asUsername
	case "id", "sisuserid", "idnumber", "studentid", "studentnumber", "sid", "matriculationnumber", "matrikelnummer",
		"matrnr", "idnummer", "numerodidentification", "numerodeid", "numerodematricula", "codiceidentificativo":
		return asID
	case "githubid", "canvasid", "moodleid", "userid":
		return asOther
	case "identifier", "participant", "identifikator", "identifiant", "identificador":
		return asNumber
	case "email", "emailaddress", "mail", "mailaddress", "emailadresse", "adressedecourriel", "courriel", "direcciondecorreo",
		"correoelectronico", "correo", "indirizzoemail", "emailadres", "epost", "epostadress":
		return asEmail
	case "name", "fullname", "studentname", "displayname", "sortablename", "vollstandigername", "nomcomplet", "nombrecompleto",
		"nomecompleto", "volledigenaam":
		return asName
	case "firstname", "first", "givenname", "forename", "vorname", "prenom", "nombre", "nome", "voornaam":
		return asFirst
	case "lastname", "last", "surname", "familyname", "nachname", "familienname", "nom", "apellido", "apellidos", "cognome", "achternaam":
		return asLast
	case "lastmodifiedsubmission":
		return asSubmitted
	default:
		return asNothing
	}
}

// columns are a roster's columns.
type columns struct {
	names  []string // none twice, none empty
	roles  []role
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
		c.roles = append(c.roles, roleOf(title))
		switch squashed(title) {
		case "student", "students", "learner":
			student = i
		case "sisuserid", "sisloginid":
			c.canvas = true
		case "id":
			hasID = true
		}
	}
	c.canvas = student >= 0 && (c.canvas || hasID)
	if student >= 0 {
		c.roles[student] = asID
	}
	if c.canvas {
		c.roles[student] = asName
		for i, title := range c.names {
			if squashed(title) == "id" {
				c.roles[i] = asNumber
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
		case r == asNothing && c.every(records, i, func(cell string) bool { return strings.Count(cell, "@") == 1 }):
			c.roles[i] = asEmail
		case i == 0 && (r == asNumber || r == asNothing) && c.every(records, i, participant.MatchString) && c.different(records, i):
			c.roles[i] = asNumber
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
		if r != asNothing && r != asSubmitted && r != asOther {
			named = append(named, c.names[i])
		}
	}
	return strings.Join(named, " or ")
}

// cells returns what is in the columns of the roles, in the order of the roles.
func (c *columns) cells(rec record, roles ...role) []string {
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
func (c *columns) cell(rec record, r role) string {
	if all := c.cells(rec, r); len(all) > 0 {
		return all[0]
	}
	return ""
}

// number returns the learning platform's number: the digits at the end of "Participant 12".
func (c *columns) number(rec record) string {
	cell := c.cell(rec, asNumber)
	return cell[len(strings.TrimRight(cell, "0123456789")):]
}

// fullNames returns the names of the student, the one to show first.
func (c *columns) fullNames(rec record) []string {
	all := c.cells(rec, asName)
	given, family := c.cell(rec, asFirst), c.cell(rec, asLast)
	if both := strings.TrimSpace(given + " " + family); both != "" {
		all = append(all, both)
	}
	return all
}

// time returns when Moodle says that the student handed in, as its worksheet in English says
// it. Zero is unknown.
func (c *columns) time(rec record, in *time.Location) time.Time {
	t, err := time.ParseInLocation("Monday, 2 January 2006, 3:04 PM", c.cell(rec, asSubmitted), in)
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
