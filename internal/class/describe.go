package class

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Describe writes what was understood, one thing a line: a word for what it is, and cells with
// tabs between them. Paths are relative to the submissions', whether these are a folder or an archive,
// and are written as in a Go string where they hold what nobody sees.
func (c *Class) Describe(w io.Writer) error {
	out := bufio.NewWriter(w)
	line := func(cells ...string) {
		for i, cell := range cells {
			cells[i] = visible(cell)
		}
		_, _ = fmt.Fprintln(out, strings.Join(cells, "\t")) // Flush tells
	}
	handed, missing := 0, 0
	for _, s := range c.Students {
		if s.Handed == nil {
			missing++
		} else {
			handed++
		}
	}
	line("layout", string(c.Layout))
	line("times", string(c.Times), c.Times.explain())
	line("students", fmt.Sprintf("%d handed in, %d missing", handed, missing))
	for _, s := range c.Students {
		if s.Handed == nil {
			line("missing", s.ID, nameOf(s))
			continue
		}
		line("handed-in", s.ID, nameOf(s), c.shown(s.Handed.Path), when(s.Handed.Submitted), flag(s.Handed.LateFlag))
		for _, o := range s.Superseded {
			line("superseded", s.ID, nameOf(s), c.shown(o.Path), when(o.Submitted), flag(o.LateFlag))
		}
	}
	for _, u := range c.Unmatched {
		line("unmatched", u.Student, u.Reason)
	}
	for _, i := range c.Ignored {
		line("ignored", i.Path, i.Reason)
	}
	return out.Flush()
}

// shown is a submission's path as the one who gave the submissions knows it.
func (c *Class) shown(path string) string {
	for _, base := range c.bases {
		if in, err := filepath.Rel(base, path); err == nil && filepath.IsLocal(in) {
			return filepath.ToSlash(in)
		}
	}
	return path
}

func (t Times) explain() string {
	switch t {
	case TimesPattern:
		return "as the pattern reads them from the names"
	case TimesRoster:
		return "as Moodle's worksheet has them"
	case TimesExport:
		return "as Gradescope's export lists them"
	case TimesFiles:
		return "when the files were changed, which copying and unpacking may have lost"
	default:
		return "a download does not have them, so nothing counts as late"
	}
}

func nameOf(s Student) string {
	if s.Person == nil {
		return ""
	}
	return s.Person.Name
}

func when(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format(time.RFC3339)
}

func flag(late bool) string {
	if late {
		return "late, says Canvas"
	}
	return ""
}

// visible quotes a cell that would not show as what it is.
func visible(cell string) string {
	hiddenRune := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(cell) || strings.ContainsFunc(cell, hiddenRune) {
		return fmt.Sprintf("%q", cell)
	}
	return cell
}
