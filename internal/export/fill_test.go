package export

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// fromDownload is somebody whose roster is Canvas' gradebook.
func fromDownload(name, id, user, login, section string) *result.Person {
	return &result.Person{Name: name, Columns: map[string]string{"Student": name, "ID": id, "SIS User ID": user, "SIS Login ID": login, "Section": section}}
}

func named(student, name, email string, columns ...string) result.Report {
	r := graded(student)
	r.Person = &result.Person{Name: name, Email: email, Columns: map[string]string{}}
	for i := 0; i+1 < len(columns); i += 2 {
		r.Person.Columns[columns[i]] = columns[i+1]
	}
	return r
}

// gradebook is as Canvas writes it, with a byte order mark and CRLF.
const gradebook = "\xef\xbb\xbfStudent,ID,SIS User ID,SIS Login ID,Section,\"ClusterIP, the office intercom (4711)\",Essay (4712),Final Score\r\n" +
	",,,,,Manual Posting,,\r\n" +
	"    Points Possible,,,,,100,10,(read only)\r\n" +
	"\"Arnold, Anna\",1,s1,anna,\"Mon, 10\",,\"7.5\",70\r\n" +
	"\"Baum, Bert\",2,s2,bert@uni,Tue,,,\r\n" +
	"\"Clark, Carl \"\"CC\"\"\",3,s3,carl,Tue,55,,\r\n" +
	"\"Doe, Dora\",4,s4,dora,Tue,EX,,\r\n" +
	"\"Ernst, Emil\",5,s5,emil,Tue,12,,\r\n" +
	"\"Twin, Tim\",6,s6,tim1,Tue,,,\r\n" +
	"\"Twin, Tim\",7,s7,tim2,Tue,,,\r\n" +
	"\"Zed, Zoe\",8,s8,zoe,Tue,,,\r\n" +
	"\"Student, Test\",9,,abc,Tue,,,\r\n"

func TestCanvasFillsTheGradebookIn(t *testing.T) {
	bert := late(named("bert", "Bert Baum", "bert@uni"))
	c := classOf(named("0", "Whoever", "", "Student", "Whoever", "ID", "1", "SIS User ID", "s1"), bert, rejected("s3"), missing("dora"), errored("emil"),
		named("t", "Tim Twin", ""), named("nobody", "No Body", ""))
	out := run(t, c, "canvas", Options{Sheet: &File{"gradebook.csv", []byte(gradebook)}})
	want := strings.NewReplacer(
		`"Mon, 10",,`, `"Mon, 10",60,`, "bert@uni,Tue,,", "bert@uni,Tue,48,", "carl,Tue,55,", "carl,Tue,0,",
	).Replace(gradebook)
	if got := string(out.Files[0].Data); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	wantNotes := []Note{
		{"nothing handed in, and left as it was", "dora"}, {"not graded, and left as it was", "emil"},
		{"not filled in, since several rows or reports are alike", "t"}, {"not filled in, since no row of gradebook.csv is about", "nobody"},
		{"without a report, and left as it was", "Twin, Tim"}, {"without a report, and left as it was", "Twin, Tim"}, {"without a report, and left as it was", "Zed, Zoe"},
	}
	if !slices.Equal(out.Notes, wantNotes) {
		t.Errorf("notes %q", out.Notes)
	}
	// What was filled in is the only thing that is different when it is read again.
	before, after := records(t, []byte(gradebook), ',').rows, records(t, out.Files[0].Data, ',').rows
	for i := range before {
		for j := range before[i] {
			if before[i][j] != after[i][j] && (j != 5 || i < 3 || i > 5) {
				t.Errorf("row %d, column %d: %q became %q", i, j, before[i][j], after[i][j])
			}
		}
	}
}

func TestCanvasFindsTheColumn(t *testing.T) {
	sheet := func(text string) *File { return &File{"g.csv", []byte(text)} }
	r := classOf(named("anna", "Anna", ""))
	for name, tt := range map[string]struct {
		sheet string
		o     Options
		want  string
	}{
		"by number":        {"Student,ID,SIS Login ID,Other (4711)\nA,1,anna,\n", Options{AssignmentID: "4711"}, "A,1,anna,60\n"},
		"by title":         {"Student,ID,SIS Login ID,Lab 1 (4)\nA,1,anna,\n", Options{Assignment: "Lab 1"}, "A,1,anna,60\n"},
		"by a bare title":  {"Student,ID,SIS Login ID,Lab 1\nA,1,anna,\n", Options{Assignment: "Lab 1"}, "A,1,anna,60\n"},
		"by the lab's ID":  {"Student,ID,SIS Login ID," + r.Lab.ID + " (4)\nA,1,anna,\n", Options{}, "A,1,anna,60\n"},
		"no last line end": {"Student,ID,SIS Login ID,Lab 1\nA,1,anna,", Options{Assignment: "Lab 1"}, "A,1,anna,60"},
		"semicolons":       {"Student;ID;SIS Login ID;Lab 1\nA;1;anna;\n", Options{Assignment: "Lab 1"}, "A;1;anna;60\n"},
	} {
		tt.o.Sheet = sheet(tt.sheet)
		out, err := r.Export("canvas", tt.o)
		if err != nil || !strings.HasSuffix(string(out.Files[0].Data), tt.want) {
			t.Errorf("%s: %v, %q", name, err, out)
		}
	}
	for name, tt := range map[string]struct {
		sheet string
		o     Options
		want  string
	}{
		"no gradebook":   {"a,b\n1,2\n", Options{}, "no columns Student and ID"},
		"no such title":  {"Student,ID,Lab 2 (5)\n", Options{Assignment: "Lab 1"}, `no column for "Lab 1"; there are "Lab 2 (5)"`},
		"not its own ID": {"Student,ID," + r.Lab.ID + " (5)\n", Options{Assignment: "Lab 1"}, `no column for "Lab 1"`},
		"no such number": {"Student,ID,Lab 2 (5)\n", Options{AssignmentID: "6"}, "no column for assignment 6"},
		"two of a title": {"Student,ID,L (5),L (6)\n", Options{Assignment: "L"}, `several columns for "L"`},
		"other points":   {"Student,ID,L (5)\nPoints Possible,,10\nA,1,\n", Options{Assignment: "L"}, "100 points in the report of anna, and 10 in g.csv"},
		"a short row":    {"Student,ID,SIS Login ID,L\nA,1,anna\n", Options{Assignment: "L"}, "g.csv, line 2: has 3 cells, and the header 4"},
		"an open quote":  {"Student,ID,L\n\"A,1,\n", Options{Assignment: "L"}, "g.csv, line 2: is not CSV: a quote is never closed"},
		"a loose quote":  {"Student,ID,L\n\"A\"x,1,\n", Options{Assignment: "L"}, "line 2: is not CSV: something follows"},
		"UTF-16":         {"\xff\xfeS\x00", Options{}, "is UTF-16"},
		"Latin-1":        {"Student,ID,L\nM\xfcller,1,\n", Options{}, "is not UTF-8"},
		"a spreadsheet":  {"PK\x03\x04...", Options{}, "not a CSV file"},
		"nothing":        {"\xef\xbb\xbf\n\n", Options{}, "g.csv is empty"},
	} {
		tt.o.Sheet = sheet(tt.sheet)
		_, err := r.Export("canvas", tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const english = "\xef\xbb\xbfIdentifier,\"Full name\",\"ID number\",\"Email address\",Status,Grade,\"Maximum Grade\",\"Grade can be changed\",\"Last modified (submission)\",\"Last modified (grade)\",\"Feedback comments\"\n" +
	"\"Participant 101\",\"Anna Arnold\",m1,anna@example.org,\"Submitted for grading - \",,100.00,Yes,\"Monday, 23 November 2026, 5:00 PM\",-,\n" +
	"\"Participant 102\",\"Bert, \"\"B\"\"\",m2,bert@example.org,\"No submission\",55.00,100.00,Yes,-,-,\"well\nalready said\"\n" +
	"\"Participant 103\",\"Carl\",m3,carl@example.org,,,100.00,Yes,-,-,\n" +
	"\"Participant 104\",Dora,m4,dora@example.org,,3,100.00,Yes,-,-,kept\n" +
	"\"Participant 105\",Emil,m5,emil@example.org,,,100.00,Yes,-,-,\n" +
	"\"Participant 999\",Zoe,m9,zoe@example.org,,,100.00,Yes,-,-,\n"

func TestMoodleFillsTheWorksheetIn(t *testing.T) {
	anna := named("anna", "A. Other Name", "", "Identifier", "Participant 101")
	bert := late(named("bert", "", "BERT@example.org"))
	carl := rejected("m3")
	c := classOf(anna, bert, carl, missing("dora@example.org"), errored("emil@example.org"), graded("xaver"))
	out := run(t, c, "moodle", Options{Sheet: &File{"w.csv", []byte(english)}})
	want := strings.Replace(english, `grading - ",,100.00`, `grading - ",60,100.00`, 1)
	want = strings.Replace(want, `5:00 PM",-,`, `5:00 PM",-,1 of 3 checks passed. The backend reaches the database: db does not answer pod/backend-75d7db5759-fjmpp at 10.96.3.4:5432: REFUSED after 3 ms`, 1)
	want = strings.Replace(want, "55.00,", "48,", 1)
	want = strings.Replace(want, "carl@example.org,,,100.00,Yes,-,-,", "carl@example.org,,0,100.00,Yes,-,-,\"The submission was refused before anything was graded. app.yaml, document 2, spec.template.spec.hostNetwork: must not use the node&#39;s network\"", 1)
	if got := string(out.Files[0].Data); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	wantNotes := []Note{
		{"nothing handed in, and left as it was", "dora@example.org"}, {"not graded, and left as it was", "emil@example.org"},
		{"not filled in, since no row of w.csv is about", "xaver"}, {"without a report, and left as it was", "Participant 999 Zoe"},
	}
	if !slices.Equal(out.Notes, wantNotes) {
		t.Errorf("notes %q", out.Notes)
	}
	before, after := records(t, []byte(english), ',').rows, records(t, out.Files[0].Data, ',').rows
	for i := range before {
		for j := range before[i] {
			if before[i][j] != after[i][j] && j != 5 && j != 10 {
				t.Errorf("row %d, column %d: %q became %q", i, j, before[i][j], after[i][j])
			}
		}
	}
}

// The worksheets of several languages, as Moodle writes their headers.
func TestMoodleLanguages(t *testing.T) {
	for language, tt := range map[string]struct{ header, participant string }{
		"en":    {`Identifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed","Last modified (submission)","Last modified (grade)","Feedback comments"`, "Participant 12"},
		"de":    {`ID,"Vollständiger Name",E-Mail-Adresse,Status,Bewertung,Bestwertung,"Bewertung kann geändert werden","Zuletzt geändert (Abgabe)","Zuletzt geändert (Bewertung)","Feedback als Kommentar"`, "Teilnehmer/in12"},
		"fr":    {`Identifiant,"Nom complet","Adresse de courriel",Statut,Note,"Note maximale","La note peut être modifiée","Dernière modification (travail remis)","Dernière modification (note)","Feedback par commentaires"`, "Participant 12"},
		"es":    {`Identificador,"Nombre completo","Dirección de correo",Estado,Calificación,"Calificación máxima","La calificación puede ser cambiada","Última modificación (entrega)","Última modificación (calificación)","Comentarios de retroalimentación"`, "Participante 12"}, //nolint:misspell // no English
		"it":    {`Identificativo,"Nome completo","Indirizzo email",Stato,Valutazione,"Valutazione massima","La valutazione può essere modificata","Ultima modifica (consegna)","Ultima modifica (valutazione)","Commenti di feedback"`, "Partecipante 12"},                          //nolint:misspell // no English
		"pt_br": {`Identificador,"Nome completo","Endereço de e-mail",Status,Nota,"Nota máxima","Nota pode ser alterada","Última modificação (envio)","Última modificação (nota)","Comentários de feedback"`, "Participante 12"},                                                     //nolint:misspell // no English
		"pt":    {`Identificador,"Nome completo","Endereço de e-mail",Estado,Avaliação,"Avaliação máxima","A avaliação pode ser alterada","Última atualização (submissão)","Última atualização (avaliação)","Comentários de feedback"`, "Participante 12"},                           //nolint:misspell // no English
		"nl":    {`Identificatie,"Volledige naam",E-mailadres,Status,Beoordeling,"Maximumbeoordeling","Beoordeling kan gewijzigd worden","Laatst gewijzigd (inzending)","Laatst gewijzigd (beoordeling)","Feedback (opmerkingen)"`, "Deelnemer 12"},
		"ca":    {`Identificador,"Nom complet","Adreça electrònica",Estat,Qualificació,"Qualificació màxima","La qualificació pot canviar-se","Darrera modificació (tramesa)","Darrera modificació (qualificació)",Comentaris`, "Participant 12"},
		"ru":    {`Идентификатор,"Полное имя","Адрес электронной почты",Состояние,Оценка,"Максимальная оценка","Оценка может быть изменена","Последнее изменение (ответ)","Последнее изменение (оценка)",Отзыв`, "Участник12"},
	} {
		text := tt.header + "\n" + `"` + tt.participant + `",Anna,anna@example.org,ok,,"100,00",1,-,-,` + "\n"
		c := classOf(named("anna", "", "anna@example.org"))
		out, err := c.Export("moodle", Options{Sheet: &File{"w.csv", []byte(text)}})
		if err != nil {
			t.Errorf("%s: %v", language, err)
			continue
		}
		rows := records(t, out.Files[0].Data, ',').rows
		if rows[1][4] != "60" || !strings.HasPrefix(string(out.Files[0].Data), tt.header+"\n") {
			t.Errorf("%s: %s", language, out.Files[0].Data)
		}
		if feedback := rows[1][9]; (feedback != "") != (language != "ca" && language != "ru") {
			t.Errorf("%s: feedback %q", language, feedback)
		}
	}
}

func TestMoodleColumns(t *testing.T) {
	const odd = "Wer;Konto;Punkte;Text\nA;anna;;\nB;bert;;\n"
	c := classOf(graded("anna"))
	columns := map[string]string{"identifier": "Wer", "grade": "punkte", "match": "Konto", "feedback": "Text"}
	out := run(t, c, "moodle", Options{Sheet: &File{"w.csv", []byte(odd)}, Columns: columns})
	if got := string(out.Files[0].Data); !strings.HasPrefix(got, "Wer;Konto;Punkte;Text\nA;anna;60;1 of 3 checks passed.") || !strings.HasSuffix(got, "\nB;bert;;\n") {
		t.Errorf("%s", got)
	}
	for name, tt := range map[string]struct {
		text    string
		columns map[string]string
		want    string
	}{
		"no identifier":     {odd, nil, `w.csv has no column that is the identifier; there are "Wer", "Konto"`},
		"no grade":          {odd, map[string]string{"identifier": "Wer"}, "no column that is the grade"},
		"no such label":     {odd, map[string]string{"identifier": "Nobody"}, `no column "Nobody"`},
		"no such kind":      {odd, map[string]string{"marks": "Punkte"}, `no column of the kind "marks"`},
		"no such match":     {odd, map[string]string{"identifier": "Wer", "grade": "Punkte", "match": "X"}, `no column "X"`},
		"two grades":        {"Identifier,Grade,Note\nParticipant 1,,\n", nil, "no column that is the grade"},
		"graded on a scale": {"Identifier,Grade,Scale,Last modified (grade)\nParticipant 1,,\"bad, good\",-\n", nil, "on a scale"},
		"another maximum":   {"Identifier,Grade,Maximum grade\nParticipant 1,,\"10,00\"\n", nil, "100 points in the report of anna, and 10 in w.csv"},
	} {
		_, err := c.Export("moodle", Options{Sheet: &File{"w.csv", []byte(tt.text)}, Columns: tt.columns})
		if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
			t.Errorf("%s: %v, remedy %q", name, err, fault.RemedyOf(err))
		}
	}
	out = run(t, c, "moodle", Options{OutOf: 10, Sheet: &File{"w.csv", []byte("Identifier,Username,Grade,Maximum grade\nParticipant 1,anna,,\"10,00\"\n")}})
	if !bytes.Contains(out.Files[0].Data, []byte(`anna,6,"10,00"`)) {
		t.Errorf("%s", out.Files[0].Data)
	}
}

func TestMoodleHostile(t *testing.T) {
	text := "Identifier,Username,Grade,Feedback comments\n"
	c := classOf()
	n := 0
	for _, h := range hostile() {
		n++
		r := graded(fmt.Sprintf("u%d", n))
		r.Checks[1].Title, r.Checks[1].Message = h, h
		c.Reports = append(c.Reports, r)
		text += fmt.Sprintf("Participant %d,u%d,,\n", n, n)
	}
	out := run(t, c, "moodle", Options{Sheet: &File{"w.csv", []byte(text)}})
	for _, row := range records(t, out.Files[0].Data, ',').rows[1:] {
		if row[2] != "60" || strings.ContainsAny(row[3], "<>\x1b\n\u202e") || row[3] == "" || len([]rune(row[3])) > 6*textLimit {
			t.Errorf("%q", row)
		}
	}
}

// Nobody gets somebody else's points.
func TestMatching(t *testing.T) {
	sheet := func(rows string) *File {
		return &File{"w.csv", []byte("Identifier,Full name,Email address,Username,Grade\n" + rows)}
	}
	for name, tt := range map[string]struct {
		rows    string
		reports []result.Report
		want    []string // the grades
	}{
		"by name, however it is written": {"Participant 1,\"Arnold,  Anna\",,,\n", []result.Report{named("x", "anna arnold", "")}, []string{"60"}},
		"a name that two rows have":      {"Participant 1,Tim,,,\nParticipant 2,Tim,,,\n", []result.Report{named("x", "Tim", "")}, []string{"", ""}},
		"a name that two reports have":   {"Participant 1,Tim,,,\n", []result.Report{named("x", "Tim", ""), named("y", "Tim", "")}, []string{""}},
		"the address decides":            {"Participant 1,Tim,a@x,,\nParticipant 2,Tim,b@x,,\n", []result.Report{named("x", "Tim", "b@x"), named("y", "Tim", "a@x")}, []string{"60", "60"}},
		"the address speaks against":     {"Participant 1,Tim,a@x,,\n", []result.Report{named("x", "Tim", "b@x")}, []string{""}},
		"a row is taken":                 {"Participant 1,Tim,a@x,,\n", []result.Report{named("x", "", "a@x"), named("y", "Tim", "")}, []string{"60"}},
		"an id is no part of another":    {"Participant 1,,,ann,\n", []result.Report{graded("anna")}, []string{""}},
		"an empty cell is nobody":        {"Participant 1,,,,\n", []result.Report{named("x", "", "")}, []string{""}},
		"a login of another system":      {"Participant 1,Tim Twin,,tt1,\n", []result.Report{named("tim-gh", "Tim Twin", "", "github_username", "tim-gh")}, []string{"60"}},
		"the login of this one":          {"Participant 1,Tim Twin,,tt1,\n", []result.Report{named("x", "Tim Twin", "", "Username", "tt2")}, []string{""}},
		"accents in both spellings":      {"Participant 1,J\u00f6rg,,,\n", []result.Report{named("x", "Jo\u0308rg", "")}, []string{"60"}},
	} {
		out, err := classOf(tt.reports...).Export("moodle", Options{Sheet: sheet(tt.rows)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, row := range records(t, out.Files[0].Data, ',').rows[1:] {
			got = append(got, row[4])
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q; %q", name, got, tt.want, out.Notes)
		}
	}
}

// A file in which nothing is set comes out as it went in.
func FuzzSheet(f *testing.F) {
	for _, seed := range []string{gradebook, english, "a;b\n1;\"x\n\"\"y\"\r\n\n", "\"", "a\"b,c", "\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readSheet(&File{"f.csv", data})
		if err != nil {
			if fault.KindOf(err) != fault.Input {
				t.Error(err)
			}
			return
		}
		if got := s.bytes(); !bytes.Equal(got, data) {
			t.Errorf("%q became %q", data, got)
		}
		last := len(s.rows) - 1
		if err := s.set(last, 0, "7,\"5"); err != nil {
			t.Fatal(err)
		}
		again, err := readSheet(&File{"f.csv", s.bytes()})
		if err != nil || len(again.rows) != len(s.rows) {
			if separator(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) == separator(bytes.TrimPrefix(s.bytes(), []byte("\xef\xbb\xbf"))) {
				t.Fatalf("%q became %q: %v", data, s.bytes(), err)
			}
			return
		}
		if again.comma == s.comma && again.rows[last].cells[0].text != "7,\"5" {
			t.Errorf("%q became %q", data, s.bytes())
		}
	})
}
