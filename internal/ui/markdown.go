package ui

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"charm.land/glamour/v2"
	gansi "charm.land/glamour/v2/ansi"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// The bounds of the width that text is set in: longer lines are hard to read.
const (
	minTextWidth = 40
	maxTextWidth = 100
)

// codeIndent sets code off from text. Code is never wrapped: it is there to be copied.
const codeIndent = "  "

// TextWidth returns how wide text may be on the terminal that Out is; 80 where that cannot
// be told.
func (s Streams) TextWidth() int {
	width := 80
	if f, ok := s.Out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			width = w
		}
	}
	return min(max(width, minTextWidth), maxTextWidth)
}

// Markdown renders a text for the terminal that Out is. In a pipe it stays as it is.
func (s Streams) Markdown(text string) (string, error) {
	if !s.OutTerminal {
		return strings.TrimRight(text, "\n") + "\n", nil
	}
	return RenderMarkdown(text, s.TextWidth())
}

// RenderMarkdown renders a text for a terminal of the width, in columns.
func RenderMarkdown(text string, width int) (string, error) {
	r, err := glamour.NewTermRenderer(glamour.WithStyles(markdownStyle()), glamour.WithWordWrap(0))
	if err != nil {
		return "", fmt.Errorf("prepare to show a text: %w", err)
	}
	m := markdown{renderer: r, width: width}
	for _, b := range blocksOf(text) {
		if err := m.block(b); err != nil {
			return "", fmt.Errorf("show a text: %w", err)
		}
	}
	return strings.TrimLeft(m.String(), "\n"), nil
}

// blockKind is what a run of lines is.
type blockKind int

const (
	prose blockKind = iota
	aside           // a paragraph that goes on with a list's item after a code block
	code
	table
)

// block is a run of lines of one kind.
type block struct {
	kind      blockKind
	lines     []string
	afterCode bool
}

// follows says whether an indented line now belongs to the item that a code block was in.
func (b block) follows() bool {
	return b.kind == aside || b.afterCode && strings.TrimSpace(strings.Join(b.lines, "")) == ""
}

// blocksOf cuts a text into prose, code blocks (without their fences) and tables.
func blocksOf(text string) []block {
	blocks, begins := []block{{}}, itemStart()
	add := func(kind blockKind, line string) {
		if last := &blocks[len(blocks)-1]; last.kind == kind {
			last.lines = append(last.lines, line)
			return
		}
		blocks = append(blocks, block{kind: kind, lines: []string{line}})
	}
	fence := ""
	for _, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "" && strings.HasPrefix(trimmed, fence) && strings.Trim(trimmed, fence[:1]) == "":
			fence = ""
			blocks = append(blocks, block{afterCode: true})
		case fence != "":
			add(code, line)
		case strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, trimmed[:1]))]
			blocks = append(blocks, block{kind: code})
		case strings.HasPrefix(trimmed, "|"):
			add(table, trimmed)
		case strings.HasPrefix(line, " ") && !begins.MatchString(line) && blocks[len(blocks)-1].follows():
			add(aside, line)
		default:
			add(prose, line)
		}
	}
	return blocks
}

// markdown renders blocks, one after the other.
type markdown struct {
	strings.Builder
	renderer *glamour.TermRenderer
	width    int
}

func (m *markdown) block(b block) error {
	switch b.kind {
	case code:
		m.WriteString("\n")
		for _, line := range b.lines {
			m.WriteString(strings.TrimRight(codeIndent+line, " ") + "\n")
		}
		return nil
	case table:
		return m.table(b.lines)
	}
	text := strings.TrimSpace(strings.Join(b.lines, "\n"))
	if text == "" {
		return nil
	}
	out, err := m.renderer.Render(local().ReplaceAllString(joined(text), "$1"))
	if err != nil {
		return err
	}
	indent := ""
	if b.kind == aside {
		indent = b.lines[0][:len(b.lines[0])-len(strings.TrimLeft(b.lines[0], " "))]
	}
	m.WriteString("\n")
	for line := range strings.Lines(strings.Trim(out, "\n")) {
		m.wrap(indent + strings.TrimRight(line, "\n "))
	}
	return nil
}

// local finds links within the lab's files, which lead nowhere on a terminal.
func local() *regexp.Regexp { return regexp.MustCompile(`\[([^\]]+)\]\([^):]+\)`) }

// itemStart matches a line that begins something of its own, and goes on with no paragraph.
func itemStart() *regexp.Regexp { return regexp.MustCompile(`^\s*([-*+] |\d+[.)] |#|>|$)`) }

// joined puts what is broken over several lines into one: paragraphs and items of lists.
func joined(text string) string {
	var lines []string
	begins := itemStart()
	for _, line := range strings.Split(text, "\n") {
		if n := len(lines) - 1; n >= 0 && !begins.MatchString(line) && lines[n] != "" && !strings.HasPrefix(lines[n], "#") {
			lines[n] += " " + strings.TrimSpace(line)
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// wrap writes a line in the width; what follows the mark of a list's item stands below it.
func (m *markdown) wrap(line string) {
	mark := regexp.MustCompile(`^ *(• |\d+\. |│ )?`).FindString(line)
	rest := line[len(mark):]
	for i, part := range wrapped(rest, m.width-ansi.StringWidth(mark)) {
		if i > 0 && !strings.Contains(mark, "│") {
			mark = strings.Repeat(" ", ansi.StringWidth(mark))
		}
		m.WriteString(strings.TrimRight(mark+part, " ") + "\n")
	}
}

// markdownStyle is labctl's own: bold, faint and the eight ANSI colours, which follow the
// colours that the user chose for the terminal, dark or light.
func markdownStyle() gansi.StyleConfig {
	yes := true
	cyan, green, bar, one := "6", "2", "│ ", uint(1)
	return gansi.StyleConfig{
		Heading:        gansi.StyleBlock{StylePrimitive: gansi.StylePrimitive{Bold: &yes, BlockSuffix: "\n"}},
		H2:             gansi.StyleBlock{StylePrimitive: gansi.StylePrimitive{Bold: &yes, Color: &cyan}},
		BlockQuote:     gansi.StyleBlock{Indent: &one, IndentToken: &bar},
		List:           gansi.StyleList{LevelIndent: 2},
		Item:           gansi.StylePrimitive{BlockPrefix: "• "},
		Enumeration:    gansi.StylePrimitive{BlockPrefix: ". "},
		HorizontalRule: gansi.StylePrimitive{Faint: &yes, Format: "\n────────\n"},
		Emph:           gansi.StylePrimitive{Italic: &yes},
		Strong:         gansi.StylePrimitive{Bold: &yes},
		Link:           gansi.StylePrimitive{Faint: &yes},
		Code:           gansi.StyleBlock{StylePrimitive: gansi.StylePrimitive{Color: &green}},
	}
}
