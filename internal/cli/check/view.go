package check

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// detailLimit bounds, in runes, what is shown of one piece of evidence.
const detailLimit = 400

// View draws the whole screen.
func (m model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	return v
}

// lines is the screen; what does not fit in its height is taken from the evidence.
func (m model) lines() []string {
	top := []string{m.title(), ""}
	details := m.details()
	above, below := m.checkLines()
	bottom := m.bottom()
	room := m.height - len(top) - len(above) - len(below) - len(bottom)
	if len(details) > room {
		details = details[:max(0, room)]
	}
	all := slices.Concat(top, above, details, below, bottom)
	return all[:min(len(all), max(1, m.height))]
}

func (m model) title() string {
	passed, points, total := 0, 0.0, 0.0
	visible := m.bench.lab.Visible()
	for _, c := range visible {
		r := m.rows[c.ID]
		points, total = points+r.check.Points, total+c.Points
		if r.check.Status == result.Passed {
			passed++
		}
	}
	left := "Lab " + m.bench.lab.ID
	for i, s := range m.bench.lab.Steps {
		if s.ID == m.step && !m.all {
			left += fmt.Sprintf("  step %d of %d: %s", i+1, len(m.bench.lab.Steps), s.Title)
		}
	}
	right := fmt.Sprintf("%d/%d checks  %g/%g points", passed, len(visible), points, total)
	room := m.width - lipgloss.Width(right) - 2
	left = cut(left, room)
	return ui.Paint(true, ui.Bold, left) + strings.Repeat(" ", max(2, m.width-lipgloss.Width(left)-lipgloss.Width(right))) + right
}

// checkLines are the checks up to the first failing one, and those after it.
func (m model) checkLines() (above, below []string) {
	failing, found := m.failing()
	width := ui.Width(ids(m.shown()))
	into := &above
	step := ""
	for _, c := range m.shown() {
		if m.all && c.Step != step {
			step = c.Step
			*into = append(*into, ui.Paint(true, ui.Faint, m.stepLine(step)))
		}
		*into = append(*into, m.checkLine(c, width))
		if found && c.ID == failing.check.ID {
			into = &below
		}
	}
	return above, below
}

func (m model) checkLine(c lab.Check, width int) string {
	r := m.rows[c.ID]
	mark, points, note := m.mark(r), fmt.Sprintf("%g/%g", r.check.Points, c.Points), ""
	switch {
	case slices.Contains(m.withheld, c.ID) && r.check.Status != result.Passed:
		note = "left out here: labctl check"
	case r.running && r.check.Status == "":
		note = "being checked"
	case r.running:
		note = "being checked again"
	case r.regressed():
		note = ui.Paint(true, ui.Red, "regression: it passed before")
	case r.check.Status == result.Skipped && r.check.Message != "":
		note = strings.TrimSuffix(ui.Clean(r.check.Message, detailLimit), ", which did not pass")
	case r.check.Status == "":
		note = "not checked yet"
	}
	line := fmt.Sprintf("%s %-*s  %7s", mark, width, c.ID, points)
	if note != "" {
		line += "  " + cut(note, m.width-lipgloss.Width(line)-2)
	}
	return strings.TrimRight(line, " ")
}

func (m model) mark(r row) string {
	if r.running {
		frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
		return string(frames[m.frame%len(frames)])
	}
	switch r.check.Status {
	case result.Passed:
		return ui.Paint(true, ui.Green, "✓")
	case result.Failed:
		return ui.Paint(true, ui.Red, "✗")
	case result.Error:
		return ui.Paint(true, ui.Yellow, "!")
	}
	return ui.Paint(true, ui.Faint, "-")
}

// details are the evidence and the hint of the first failing check.
func (m model) details() []string {
	r, ok := m.failing()
	if !ok {
		return nil
	}
	var lines []string
	add := func(name, text string) {
		if text != "" {
			lines = append(lines, m.detail(name, text)...)
		}
	}
	add("why", r.check.Message)
	for _, e := range r.check.Evidence {
		if !e.OK {
			add("tried", e.From+" → "+e.To)
			add("got", e.Got)
			break
		}
	}
	add("hint", r.told())
	if r.hint != nil && r.hint.Left == 0 {
		add("", "that was the last hint; labctl explain "+r.check.ID+" shows what was tried")
	}
	return lines
}

// detail is a name and a text, which is wrapped beside it.
func (m model) detail(name, text string) []string {
	return strings.Split(ui.Detail(name, ui.Clean(text, detailLimit), m.width), "\n")
}

// bottom is what happened, what to do next, and the keys.
func (m model) bottom() []string {
	lines := []string{""}
	if !m.all && len(m.bench.lab.Steps) > 1 {
		var others []string
		for _, s := range m.bench.lab.Steps {
			if s.ID != m.step {
				others = append(others, m.stepLine(s.ID))
			}
		}
		lines = append(lines, cut("Other steps: "+strings.Join(others, ", "), m.width))
	}
	for _, n := range m.news {
		style := ui.Green
		if strings.HasPrefix(n, "✗") {
			style = ui.Red
		}
		lines = append(lines, ui.Paint(true, style, cut(n, m.width)))
	}
	if m.trouble != "" {
		lines = append(lines, m.detail("file", m.trouble)...)
	}
	if len(m.files) > 0 {
		lines = append(lines, cut(fmt.Sprintf("%s changed, not applied yet", join(m.files)), m.width))
		lines = append(lines, ui.Paint(true, ui.Bold, cut("Next: kubectl apply -f "+strings.Join(m.files, " -f "), m.width)))
	} else {
		for _, l := range m.bench.outlook(m.status(), m.withheld, m.green) {
			if strings.HasPrefix(l, "Next: ") {
				l = ui.Paint(true, ui.Bold, cut(l, m.width))
			}
			lines = append(lines, strings.Split(ui.Beside("", l, m.width), "\n")...)
		}
	}
	return append(lines, "", ui.Paint(true, ui.Faint, cut("q quit   a all steps   h next hint   r run all again", m.width)))
}

func (m model) stepLine(step string) string {
	passed, total := m.count(step)
	return fmt.Sprintf("%s %d/%d", step, passed, total)
}

// cut shortens a line of text, which may be painted, to the width.
func cut(text string, width int) string {
	if width < 1 {
		return ""
	}
	if lipgloss.Width(text) <= width {
		return text
	}
	return lipgloss.NewStyle().MaxWidth(width-1).Render(text) + "…"
}
