package trace

import (
	"fmt"
	"io"
	"strings"

	"labctl.dev/labctl/grader/trace"
	"labctl.dev/labctl/internal/ui"
)

// writeDot prints the trace as a graph: a box a hop, an arrow from each to the next. Hops
// that several paths share are one box.
func writeDot(w io.Writer, t *trace.Trace) error {
	g := &graph{boxes: map[string]bool{}, arrows: map[string]bool{}}
	fmt.Fprintf(g, "digraph %s {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\"];\n", quote(t.Service))
	for _, p := range t.Paths {
		g.path(p)
	}
	fmt.Fprintln(g, "}")
	_, err := io.WriteString(w, g.String())
	return err
}

type graph struct {
	strings.Builder
	boxes, arrows map[string]bool
}

func (g *graph) path(p trace.Path) {
	for i, h := range p.Hops {
		style, reached := "", p.Break == nil || i <= p.Break.Hop
		switch {
		case p.Break != nil && i == p.Break.Hop:
			style = ", color=red, tooltip=" + quote(p.Break.Why)
		case !reached:
			style = ", style=dashed"
		}
		g.box(h, style)
		if i == 0 {
			continue
		}
		label, line := "", "color=darkgreen"
		if i == 1 {
			label = ", label=" + quote(string(p.Via))
		}
		if p.Break != nil && i >= p.Break.Hop {
			line = "color=red, style=dashed"
		}
		arrow := fmt.Sprintf("  %s -> %s [%s%s];\n", key(p.Hops[i-1]), key(h), line, label)
		if !g.arrows[arrow] {
			g.arrows[arrow] = true
			g.WriteString(arrow)
		}
	}
}

// box draws a hop once. One that is broken on a path is drawn so, whatever else leads there.
func (g *graph) box(h trace.Hop, style string) {
	id := key(h)
	if g.boxes[id] && !strings.Contains(style, "red") {
		return
	}
	g.boxes[id] = true
	lines := []string{h.Name}
	for _, more := range []string{h.Address, h.Node} {
		if more != "" {
			lines = append(lines, more)
		}
	}
	fmt.Fprintf(g, "  %s [label=%s%s];\n", id, quote(strings.Join(lines, "\n")), style)
}

func key(h trace.Hop) string { return quote(string(h.Kind) + " " + h.Name + " " + h.Address) }

// quote writes a double-quoted string of the DOT language, in which only the quote has to
// be escaped, and a backslash so that it starts no escape of a label.
func quote(text string) string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		line = ui.Clean(line, 0)
		line = strings.ReplaceAll(line, `\`, `\\`)
		lines = append(lines, strings.ReplaceAll(line, `"`, `\"`))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
