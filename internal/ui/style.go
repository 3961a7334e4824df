package ui

import (
	"fmt"
	"strings"
	"unicode"
)

// Style is one of the eight ANSI colours or bold, as an SGR parameter.
type Style string

// The styles that labctl uses.
const (
	Bold   Style = "1"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Faint  Style = "2"
)

// Paint wraps text in the style where wanted is true.
func Paint(wanted bool, style Style, text string) string {
	if !wanted || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// Clean makes text from outside (a log, a body, a name) safe to print on one line of a
// terminal: control characters and invisible direction marks become spaces or escapes,
// and it is cut to limit runes (0: not cut).
func Clean(text string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if limit > 0 && n >= limit {
			b.WriteRune('…')
			break
		}
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
		n++
	}
	return b.String()
}

// CleanLines is Clean for text of several lines, which it leaves apart.
func CleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		columns := strings.Split(line, "\t")
		for j := range columns {
			columns[j] = Clean(columns[j], 0)
		}
		lines[i] = strings.Join(columns, "\t")
	}
	return strings.Join(lines, "\n")
}
