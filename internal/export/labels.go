package export

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"labctl.dev/labctl/internal/result"
)

// role is what a column says, in a roster or in a learning platform's file.
type role int

const (
	roleNone role = iota
	roleIdentifier
	roleEmail
	roleUsername
	roleNumber // the institution's
	roleName
	roleFirst
	roleLast
	roleGrade
	roleFeedback
	roleScale
)

// roleOf recognises a label: English, German, French, Spanish, Italian, Portuguese, Dutch.
func roleOf(label string) role {
	switch squashed(label) {
	case "identifier", "identifikator", "identifiant", "identificador", "identificativo", "identificatie", "participant": //nolint:misspell // no English
		return roleIdentifier
	case "email", "emailaddress", "mail", "emailadresse", "adressedecourriel", "courriel", "direcciondecorreo", "direcciondecorreoelectronico",
		"correoelectronico", "indirizzoemail", "enderecodeemail", "enderecodecorreioeletronico", "emailadres":
		return roleEmail
	case "username", "user", "login", "loginid", "sisloginid", "uid", "githubusername", "benutzername", "anmeldename", "nomdutilisateur",
		"nombredeusuario", "nomeutente", "nomedeusuario", "nomedeutilizador", "identificacaodeusuario", "gebruikersnaam":
		return roleUsername
	case "idnumber", "sisuserid", "studentid", "studentnumber", "idnummer", "matrikelnummer", "numerodidentification", "numerodetudiant",
		"numerodeid", "numerodematricula", "codiceidentificativo", "numerodeidentificacao", "numerodeidentificacaoid", "matricula", "studentnummer":
		return roleNumber
	case "name", "fullname", "student", "studentname", "displayname", "vollstandigername", "nomcomplet", "nombrecompleto", "nomecompleto", "nomeecognome",
		"volledigenaam":
		return roleName
	case "firstname", "givenname", "vorname", "prenom", "nombre", "nome", "voornaam":
		return roleFirst
	case "lastname", "surname", "familyname", "nachname", "nom", "nomdefamille", "apellido", "apellidos", "cognome", "apelido", "sobrenome", "achternaam":
		return roleLast
	case "grade", "bewertung", "note", "calificacion", "puntuacion", "valutazione", "voto", "nota", "avaliacao", "cijfer", "beoordeling":
		return roleGrade
	case "feedbackcomments", "feedbackalskommentar", "feedbackparcommentaires", "comentariosderetroalimentacion", "commentidifeedback",
		"commentifeedback", "comentariosdefeedback", "feedbackcomentarios", "feedbackopmerkingen", "feedbackinopmerkingen":
		return roleFeedback
	case "scale", "skala", "bareme", "escala", "scala", "schaal":
		return roleScale
	default:
		return roleNone
	}
}

// squashed is a label without accents, case, spaces and signs.
func squashed(label string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(label) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// roster returns what the roster says in a column of that label, or of that role.
func roster(r *result.Report, label string, want role) []string {
	if r.Person == nil {
		return nil
	}
	var labels []string
	for l := range r.Person.Columns {
		if squashed(l) == squashed(label) && label != "" || want != roleNone && roleOf(l) == want {
			labels = append(labels, l)
		}
	}
	slices.Sort(labels)
	var all []string
	for _, l := range labels {
		if v := strings.TrimSpace(r.Person.Columns[l]); v != "" {
			all = append(all, v)
		}
	}
	if v := strings.TrimSpace(r.Person.Email); want == roleEmail && v != "" {
		all = append(all, v)
	}
	if v := strings.TrimSpace(r.Person.Name); want == roleName && v != "" {
		all = append(all, v)
	}
	return all
}

// names returns a student's first and last names: the roster's columns, or else the name taken
// apart, at its comma or before its last word.
func names(r *result.Report) (first, last string) {
	f, l := roster(r, "", roleFirst), roster(r, "", roleLast)
	if len(f) > 0 && len(l) > 0 {
		return f[0], l[0]
	}
	name := ""
	if r.Person != nil {
		name = strings.TrimSpace(r.Person.Name)
	}
	if last, first, ok := strings.Cut(name, ","); ok {
		return strings.TrimSpace(first), strings.TrimSpace(last)
	}
	if i := strings.LastIndexByte(name, ' '); i >= 0 {
		return strings.TrimSpace(name[:i]), name[i+1:]
	}
	return "", name
}
