package course

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"labctl.dev/labctl/internal/exercise"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// Level is how a line of a table is marked.
type Level string

// The levels, by the words that stand for them in a pipe.
const (
	OK     Level = "ok"
	Failed Level = "failed"
	Warn   Level = "note"
	Todo   Level = "todo"
)

// Table prints lines of cells: marks and columns on a terminal, words and tabs in a pipe.
type Table struct {
	Streams ui.Streams
	levels  []Level
	rows    [][]string
}

// Head prints a line that belongs to no column, at once.
func (t *Table) Head(kind, id, title string) {
	if !t.Streams.OutTerminal {
		fmt.Fprintf(t.Streams.Out, "%s\t%s\t%s\n", kind, id, title)
		return
	}
	fmt.Fprintf(t.Streams.Out, "%s  %s\n", ui.Paint(true, ui.Bold, strings.ToUpper(kind[:1])+kind[1:]+" "+id), title)
}

// Line adds a line; the last cell may be of any length, and empty cells at the end are left out.
func (t *Table) Line(level Level, cells ...string) {
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	for i := range cells {
		cells[i] = ui.Clean(cells[i], 0)
	}
	t.levels, t.rows = append(t.levels, level), append(t.rows, cells)
}

// Flush prints the lines that were added.
func (t *Table) Flush() {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i+1 < len(row) {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	for n, row := range t.rows {
		if !t.Streams.OutTerminal {
			fmt.Fprintf(t.Streams.Out, "%s\t%s\n", t.levels[n], strings.Join(row, "\t"))
			continue
		}
		head, last := Mark(t.levels[n])+" ", len(row)-1
		for i, cell := range row[:last] {
			head += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
		}
		t.Streams.Line(head, row[last])
	}
	t.levels, t.rows = nil, nil
}

// Mark returns the sign for a level on a terminal.
func Mark(level Level) string {
	switch level {
	case OK:
		return ui.Paint(true, ui.Green, "✓")
	case Failed:
		return ui.Paint(true, ui.Red, "✗")
	case Warn:
		return ui.Paint(true, ui.Yellow, "!")
	}
	return ui.Paint(true, ui.Faint, "-")
}

// PrintApplied adds what became of the objects that a lab begins with.
func PrintApplied(t *Table, applied []exercise.Applied, kubecontext string) {
	var names []string
	for _, a := range applied {
		if a.Refused == "" {
			names = append(names, a.Object)
		}
	}
	if len(names) > 0 {
		t.Line(OK, "applied", strings.Join(names, ", "))
	}
	for _, a := range applied {
		namespace, service, held := strings.Cut(a.Held, "/")
		switch {
		case a.Refused == "":
		case held:
			t.Line(Warn, "refused", a.Object, fmt.Sprintf("its node port is held by Service %s of namespace %s; when you are done there: `kubectl --context %s -n %s delete service %s`, then `kubectl apply -f .`",
				service, namespace, kubecontext, namespace, service))
		default:
			t.Line(Warn, "refused", a.Object, a.Refused+" (this is part of the lab)")
		}
	}
}

// PrintGiven adds what became of the files of a working folder.
func PrintGiven(t *Table, dir string, given []student.Given) {
	names := map[student.Action][]string{}
	for _, g := range given {
		names[g.Action] = append(names[g.Action], g.Name)
	}
	for _, action := range []student.Action{student.Created, student.Updated, student.Same} {
		if len(names[action]) > 0 {
			t.Line(OK, "folder", Short(dir), string(action)+": "+strings.Join(names[action], ", "))
		}
	}
	for _, g := range given {
		switch g.Action {
		case student.Kept:
			t.Line(Warn, "folder", Short(dir), g.Name+" kept: you changed it (--force replaces it, after a copy was made)")
		case student.Replaced:
			t.Line(Warn, "folder", Short(dir), g.Name+" replaced; yours is kept as "+g.Backup)
		}
	}
}

// PrintContext adds whether kubectl works in the lab's namespace now.
func PrintContext(t *Table, c exercise.Context, namespace string) {
	switch {
	case c.Missing:
		t.Line(Warn, "context", c.Name, "is not in your kubeconfig; labctl up writes it, then start again")
	case c.Current != c.Name:
		t.Line(Warn, "context", c.Name, fmt.Sprintf("uses namespace %s, and kubectl uses context %q; switch: `kubectl config use-context %s`", namespace, c.Current, c.Name))
	default:
		t.Line(OK, "context", c.Name, "uses namespace "+namespace)
	}
}

// PrintQuestion prints a question below a heading, and what there is to choose from.
func PrintQuestion(s ui.Streams, heading string, c lab.Check) {
	PrintAsked(s, heading, c)
	for i, option := range c.Options() {
		s.Line(fmt.Sprintf("  %d) ", i+1), option)
	}
}

// PrintAsked prints what a question asks, and nothing of its options.
func PrintAsked(s ui.Streams, heading string, c lab.Check) {
	s.Line("", ui.Paint(s.OutTerminal, ui.Bold, heading+":")+" "+strings.TrimSpace(c.Question.Ask))
}

// Short returns a path as seen from the current folder, where that is shorter.
func Short(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if short, err := filepath.Rel(here, path); err == nil && len(short) < len(path) {
		return short
	}
	return path
}

// LevelOf returns how a check stands, for its line.
func LevelOf(mine *student.Lab, check string) Level {
	if mine == nil || mine.Checks[check] == nil {
		return Todo
	}
	switch mine.Checks[check].Status {
	case result.Passed:
		return OK
	case result.Failed:
		return Failed
	}
	return Todo
}
