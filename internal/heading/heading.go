// Package heading knows what the columns of rosters and of learning platforms' files mean, by
// their headings in English, German, French, Spanish, Italian, Portuguese, Dutch and Swedish.
package heading

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Meaning is what a column says of a student.
type Meaning int

// The meanings; None is of a heading that says nothing.
const (
	None        Meaning = iota
	Participant         // the learning platform's number, as in Moodle's "Identifier"
	ID                  // just "ID": whose, the columns beside it say
	Number              // the institution's
	Username
	OtherID // of another system
	Email
	Student // name or ID: the columns beside it say which
	Name
	First
	Last
	Submitted // when
	Grade
	Feedback
	Scale // of the grade
)

// Of returns what a heading means.
func Of(label string) Meaning {
	switch Squash(label) {
	case "identifier", "identifikator", "identifiant", "identificador", "identificativo", "identificatie", "participant": //nolint:misspell // no English
		return Participant
	case "id":
		return ID
	case "idnumber", "sisuserid", "studentid", "studentnumber", "sid", "matriculationnumber", "idnummer", "matrikelnummer",
		"matrnr", "numerodidentification", "numerodetudiant", "numerodeid", "numerodematricula", "codiceidentificativo",
		"numerodeidentificacao", "numerodeidentificacaoid", "matricula", "studentnummer":
		return Number
	case "username", "user", "login", "loginid", "userlogin", "sisloginid", "uid", "account", "githubusername", "benutzername",
		"anmeldename", "nutzername", "nomdutilisateur", "nombredeusuario", "nomeutente", "nomedeusuario", "nomedeutilizador",
		"identificacaodeusuario", "gebruikersnaam":
		return Username
	case "githubid", "canvasid", "moodleid", "userid":
		return OtherID
	case "email", "emailaddress", "mail", "mailaddress", "emailadresse", "adressedecourriel", "courriel", "direcciondecorreo",
		"direcciondecorreoelectronico", "correoelectronico", "correo", "indirizzoemail", "enderecodeemail",
		"enderecodecorreioeletronico", "emailadres", "epost", "epostadress":
		return Email
	case "student", "students", "learner":
		return Student
	case "name", "fullname", "studentname", "displayname", "sortablename", "vollstandigername", "nomcomplet", "nombrecompleto",
		"nomecompleto", "nomeecognome", "volledigenaam":
		return Name
	case "firstname", "first", "givenname", "forename", "vorname", "prenom", "nombre", "nome", "voornaam":
		return First
	case "lastname", "last", "surname", "familyname", "nachname", "familienname", "nom", "nomdefamille", "apellido",
		"apellidos", "cognome", "apelido", "sobrenome", "achternaam":
		return Last
	case "lastmodifiedsubmission":
		return Submitted
	case "grade", "bewertung", "note", "calificacion", "puntuacion", "valutazione", "voto", "nota", "avaliacao", "cijfer",
		"beoordeling":
		return Grade
	case "feedbackcomments", "feedbackalskommentar", "feedbackparcommentaires", "comentariosderetroalimentacion",
		"commentidifeedback", "commentifeedback", "comentariosdefeedback", "feedbackcomentarios", "feedbackopmerkingen",
		"feedbackinopmerkingen":
		return Feedback
	case "scale", "skala", "bareme", "escala", "scala", "schaal":
		return Scale
	default:
		return None
	}
}

// Squash is a heading without accents, case, spaces and signs, by which headings are compared.
func Squash(label string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(label) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}
