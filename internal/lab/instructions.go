package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Instructions are a lab's README.md, cut at the headings of its steps. Put together again,
// in order, the texts are the README.md.
type Instructions struct {
	Intro string     // what comes before the first step: why, and the picture
	Steps []StepText // in their order
	After string     // what follows the last step: when it does not work, what was learned
}

// StepText is the instructions of one step, with its heading.
type StepText struct {
	Number int
	Title  string
	Text   string
	line   int // of the heading, 1-based
}

// All returns the whole text.
func (i Instructions) All() string {
	var b strings.Builder
	b.WriteString(i.Intro)
	for _, s := range i.Steps {
		b.WriteString(s.Text)
	}
	b.WriteString(i.After)
	return b.String()
}

// Instructions reads the lab's README.md.
func (l *Lab) Instructions() (Instructions, error) {
	text, err := fs.ReadFile(l.Files, ReadMeName)
	if err != nil {
		return Instructions{}, fmt.Errorf("read the instructions of lab %s: %w", l.ID, err)
	}
	return ParseInstructions(string(text)), nil
}

// Explanation reads the lab's EXPLANATION.md; "" where there is none.
func (l *Lab) Explanation() (string, error) {
	text, err := fs.ReadFile(l.Files, ExplanationName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the explanation of lab %s: %w", l.ID, err)
	}
	return string(text), nil
}

// ParseInstructions cuts a README at its headings "## Step N: title". What looks like a
// heading within a code block is none.
func ParseInstructions(text string) Instructions {
	heading := regexp.MustCompile(`^## Step (\d+): (.*\S)\s*$`)
	var i Instructions
	part, fence, number := &i.Intro, "", 0
	for line := range strings.Lines(text) {
		number++
		wasCode := fence != ""
		fence = codeFence(fence, line)
		if !wasCode && fence == "" && strings.HasPrefix(line, "## ") {
			if m := heading.FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[1]) // one that is too large is no step's number, as 0 is
				i.Steps = append(i.Steps, StepText{Number: n, Title: m[2], line: number})
				part = &i.Steps[len(i.Steps)-1].Text
			} else if len(i.Steps) > 0 {
				part = &i.After
			}
		}
		*part += line
	}
	return i
}

// codeFence returns the fence of the code block that is open after the line, "" where none is.
func codeFence(open, line string) string {
	line = strings.TrimSpace(line)
	for _, mark := range []string{"`", "~"} {
		fence := line[:len(line)-len(strings.TrimLeft(line, mark))]
		if len(fence) < 3 {
			continue
		}
		switch {
		case open == "":
			return fence
		case fence == line && strings.HasPrefix(fence, open):
			return ""
		}
	}
	return open
}

// instructions reports a README whose steps are not those of lab.yaml: students are led by
// the one and graded by the other.
func (p *problems) instructions(l *Lab, text string) {
	if slices.ContainsFunc(p.list, func(q Problem) bool { return strings.HasPrefix(q.Field, "steps") }) {
		return // what the steps are is not settled
	}
	found := ParseInstructions(text).Steps
	for n, s := range l.Steps {
		if n >= len(found) {
			p.inFile(ReadMeName, "has no heading for step %d; write: ## Step %d: %s", n+1, n+1, s.Title)
			continue
		}
		if f := found[n]; f.Number != n+1 || f.Title != s.Title {
			p.inFileAt(ReadMeName, f.line, "says \"Step %d: %s\" where lab.yaml has step %d, %q; write: ## Step %d: %s",
				f.Number, f.Title, n+1, s.ID, n+1, s.Title)
		}
	}
	for _, f := range found[min(len(l.Steps), len(found)):] {
		p.inFileAt(ReadMeName, f.line, "says \"Step %d: %s\", which is no step of lab.yaml", f.Number, f.Title)
	}
}

// maxDrawing is how many columns a drawing may have: a terminal of 80 shows it indented.
const maxDrawing = 76

// WideDrawings reports lines of the texts' drawings, which are code blocks without a language, that
// a terminal of 80 columns would break.
func (l *Lab) WideDrawings() []Problem {
	var wide []Problem
	for _, name := range []string{ReadMeName, ExplanationName} {
		text, err := fs.ReadFile(l.Files, name)
		if err != nil {
			continue // loading has said so
		}
		fence, drawing, number := "", false, 0
		for line := range strings.Lines(string(text)) {
			number++
			before := fence
			fence = codeFence(fence, line)
			if before == "" {
				drawing = fence != "" && strings.TrimSpace(line) == fence
				continue
			}
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n ")); drawing && n > maxDrawing {
				wide = append(wide, Problem{
					File: path.Join(path.Dir(l.Path), name), Line: number,
					Message: fmt.Sprintf("a drawing of %d columns; a terminal of 80 shows up to %d", n, maxDrawing),
				})
			}
		}
	}
	return wide
}

// inFileAt reports a problem on a line of a file beside lab.yaml.
func (p *problems) inFileAt(name string, line int, format string, args ...any) {
	p.inFile(name, format, args...)
	p.list[len(p.list)-1].Line = line
}
