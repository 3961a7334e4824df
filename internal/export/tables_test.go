package export

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

// recorded is a CSV file that was read again.
type recorded struct {
	t    *testing.T
	rows [][]string
}

func records(t *testing.T, data []byte, comma rune) recorded {
	t.Helper()
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	r.Comma = comma
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return recorded{t, rows}
}

// cell returns a cell of the first row that begins so.
func (r recorded) cell(first, column string) string {
	r.t.Helper()
	i := slices.Index(r.rows[0], column)
	if i < 0 {
		r.t.Fatalf("no column %q in %q", column, r.rows[0])
	}
	for _, row := range r.rows[1:] {
		if row[0] == first {
			return row[i]
		}
	}
	r.t.Fatalf("no row %q", first)
	return ""
}

func TestCSV(t *testing.T) {
	out := run(t, everybody(), "csv", Options{})
	golden(t, "class.csv", out.Files[0].Data)
	rows := records(t, out.Files[0].Data, ',')
	if n := len(rows.rows); n != 7 {
		t.Errorf("%d rows", n)
	}
	for _, id := range []string{"db-is-internal", "backend-reaches-db", "survives", "secret-check (hidden)"} {
		if !slices.Contains(rows.rows[0], id) {
			t.Errorf("no column %s", id)
		}
	}
}

func TestCSVColumnsDoNotCollide(t *testing.T) {
	r := graded("anna")
	r.Checks[0].ID, r.Checks[1].ID = "status", "score"
	rows := records(t, []byte(one(t, r, "csv")), ',')
	if rows.cell("anna", "status") != "graded" || rows.cell("anna", "check status") != "40" || rows.cell("anna", "check score") != "0" {
		t.Errorf("%q", rows.rows)
	}
}

func TestNbgrader(t *testing.T) {
	out := run(t, everybody(), "nbgrader", Options{})
	golden(t, "nbgrader.csv", out.Files[0].Data)
	rows := records(t, out.Files[0].Data, ',')
	if got := strings.Join(rows.rows[0], ","); got != "assignment,duedate,timestamp,student_id,last_name,first_name,email,raw_score,late_submission_penalty,score,max_score" {
		t.Errorf("header %s", got)
	}
	if rows.rows[1][0] != "clusterip" || records(t, run(t, everybody(), "nbgrader", Options{Assignment: "lab 1"}).Files[0].Data, ',').rows[1][0] != "lab 1" {
		t.Error("not the assignment")
	}
}

// No cell that somebody wrote is a formula, and every table can be read again.
func TestTablesOfHostileText(t *testing.T) {
	for _, format := range []string{"csv", "nbgrader", "canvas"} {
		out := run(t, hostiles(), format, Options{})
		for _, row := range records(t, out.Files[0].Data, ',').rows {
			for _, c := range row {
				if strings.ContainsAny(c, "\n\r\t\x1b") {
					t.Errorf("%s: cell %q", format, c)
				}
				if c != "" && strings.ContainsAny(c[:1], "=+-@") || strings.HasPrefix(c, "＝") {
					t.Errorf("%s: a formula: %q", format, c)
				}
				if len([]rune(c)) > textLimit+2 && !strings.Contains(c, "…") {
					t.Errorf("%s: a cell of %d bytes", format, len(c))
				}
			}
		}
	}
}

func TestDefused(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "a=b": "a=b", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@a": "'@a", " =1": "' =1", "\t=1": "'\t=1", "\rx": "'\rx", "＝1": "'＝1", "'=1": "'=1",
	} {
		if got := defused(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestCanvasFromTheRoster(t *testing.T) {
	c := everybody()
	c.Reports[1].Person = fromDownload("Bert Baum", "42", "sis42", "bert@uni", "Mon, 10")
	out := run(t, c, "canvas", Options{AssignmentID: "4711"})
	golden(t, "canvas.csv", out.Files[0].Data)
	rows := records(t, out.Files[0].Data, ',').rows
	if got := strings.Join(rows[0], "|"); got != "Student|ID|SIS User ID|SIS Login ID|Section|ClusterIP, the office intercom (4711)" {
		t.Errorf("header %s", got)
	}
	if rows[1][0] != "Points Possible" || rows[1][5] != "100" {
		t.Errorf("%q", rows[1])
	}
	out = run(t, c, "canvas", Options{Assignment: "Lab 1", OutOf: 10})
	if rows := records(t, out.Files[0].Data, ',').rows; rows[0][5] != "Lab 1" || rows[1][5] != "10" || rows[3][5] != "4.8" {
		t.Errorf("%q", rows)
	}
}
