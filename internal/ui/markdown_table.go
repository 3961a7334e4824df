package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// columnGap stands between the columns of a table.
const columnGap = "  "

// minColumn is the least that a column is narrowed to.
const minColumn = 8

// table lays a table out in the width: columns are as wide as their cells, and the widest
// are narrowed until the line fits.
func (m *markdown) table(lines []string) error {
	var rows [][]string
	for _, line := range lines {
		if strings.Trim(line, "|-: ") == "" {
			continue // the rule below the head
		}
		var row []string
		for _, cell := range cells(line) {
			out, err := m.renderer.Render(local().ReplaceAllString(cell, "$1"))
			if err != nil {
				return err
			}
			row = append(row, strings.TrimSpace(strings.ReplaceAll(strings.Trim(out, "\n"), "\n", " ")))
		}
		rows = append(rows, row)
	}
	widths := m.columns(rows)
	m.WriteString("\n")
	for i, row := range rows {
		if i == 0 {
			for j := range row {
				row[j] = Paint(row[j] != "", Bold, row[j])
			}
		}
		m.row(row, widths)
	}
	return nil
}

// cells cuts a line at its bars; one after a backslash is part of the cell.
func cells(line string) []string {
	const escaped = "\x00"
	line = strings.Trim(strings.ReplaceAll(line, `\|`, escaped), "|")
	parts := strings.Split(line, "|")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.TrimSpace(p), escaped, "|")
	}
	return parts
}

// columns chooses the columns' widths.
func (m *markdown) columns(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 1)
			}
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	for {
		total, widest := len(columnGap)*(len(widths)-1), 0
		for i, w := range widths {
			total += w
			if w > widths[widest] {
				widest = i
			}
		}
		if len(widths) == 0 || total <= m.width || widths[widest] <= minColumn {
			return widths
		}
		widths[widest]--
	}
}

// row writes one row, on as many lines as its longest cell takes.
func (m *markdown) row(row []string, widths []int) {
	parts := make([][]string, len(row))
	height := 1
	for i, cell := range row {
		parts[i] = wrapped(cell, widths[i])
		height = max(height, len(parts[i]))
	}
	for n := range height {
		line := ""
		for i := range row {
			part := ""
			if n < len(parts[i]) {
				part = parts[i][n]
			}
			line += part
			if i+1 < len(row) {
				line += strings.Repeat(" ", max(0, widths[i]-ansi.StringWidth(part))) + columnGap
			}
		}
		m.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}
