package ui

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// minBeside is what a text gets at least, however little the head beside it leaves.
const minBeside = 20

// Columns returns how wide text may be on the terminal that Out is; 0 where Out is none, so
// that nothing is to be folded there.
func (s Streams) Columns() int {
	if !s.OutTerminal {
		return 0
	}
	return s.TextWidth()
}

// Beside sets text beside head, which may be painted: what does not fit into the columns goes
// on below the text's beginning. With 0 columns all stays on one line.
func Beside(head, text string, columns int) string {
	if columns <= 0 {
		return head + text
	}
	indent := ansi.StringWidth(head)
	return head + strings.Join(wrapped(text, max(columns-indent, minBeside)), "\n"+strings.Repeat(" ", indent))
}

// Line prints text beside head on Out, folded where that is a terminal.
func (s Streams) Line(head, text string) {
	fmt.Fprintln(s.Out, Beside(head, text, s.Columns()))
}

// Detail is one line about what stands above it, by name, on a terminal of the columns.
func Detail(name, text string, columns int) string {
	return Beside("  "+Paint(true, Faint, fmt.Sprintf("%-5s", name))+"  ", text, columns)
}

// Reflow sets paragraphs anew in the columns. The lines of one that has indented lines, such as a
// list, stay lines; with 0 columns all stays as it is.
func Reflow(text string, columns int) string {
	if columns <= 0 {
		return text
	}
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		lines := strings.Split(p, "\n")
		if !strings.Contains("\n"+p, "\n ") {
			lines = []string{strings.Join(lines, " ")}
		}
		for j, line := range lines {
			bare := strings.TrimLeft(line, " ")
			lines[j] = Beside(line[:len(line)-len(bare)], bare, columns)
		}
		paragraphs[i] = strings.Join(lines, "\n")
	}
	return strings.Join(paragraphs, "\n\n")
}

// wrapped breaks a line at spaces only, and not within `a command`, which is there to be
// copied: no option is torn from its dash. What is wider than the width stays whole.
func wrapped(line string, width int) []string {
	var lines []string
	current, used := "", 0
	for i, word := range words(line) {
		w := ansi.StringWidth(word)
		if i > 0 && used+1+w > width {
			style := openStyle(current)
			if style != "" {
				current += "\x1b[m"
			}
			lines = append(lines, current)
			current, used = style+word, w
			continue
		}
		if i > 0 {
			current, used = current+" ", used+1
		}
		current, used = current+word, used+w
	}
	return append(lines, current)
}

// words are what stands between spaces; what stands between backticks is one of them.
func words(line string) []string {
	var all []string
	open := false
	for _, w := range strings.Split(line, " ") {
		if open {
			all[len(all)-1] += " " + w
		} else {
			all = append(all, w)
		}
		open = open != (strings.Count(w, "`")%2 == 1)
	}
	if open { // the first backtick has no second: it begins no command
		return strings.Split(line, " ")
	}
	return all
}

// openStyle returns the style that is still set at the end of the text, or "". It ends with
// the line, so that it does not colour what stands beside a cell or before a hanging line.
func openStyle(text string) string {
	all := regexp.MustCompile("\x1b\\[[0-9;]*m").FindAllString(text, -1)
	if len(all) == 0 || all[len(all)-1] == "\x1b[m" || all[len(all)-1] == "\x1b[0m" {
		return ""
	}
	return all[len(all)-1]
}
