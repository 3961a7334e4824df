package trace

import (
	"fmt"
	"io"
	"strings"

	"labctl.dev/labctl/grader/trace"
	"labctl.dev/labctl/internal/ui"
)

// textLimit bounds, in runes, one field on a terminal.
const textLimit = 300

// write prints the trace: marks and colours on a terminal of so many columns, words and tabs in
// a pipe (0 columns).
func write(w io.Writer, columns int, t *trace.Trace) error {
	p := &printer{columns: columns}
	p.head(t)
	for _, path := range t.Paths {
		p.path(path)
	}
	if p.terminal() && len(t.Endpoints) > 0 {
		fmt.Fprintln(p, "Endpoints, asked directly:")
	}
	for _, e := range t.Endpoints {
		p.endpoint(e)
	}
	for _, n := range t.Notes {
		p.detail("note", n)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

type printer struct {
	strings.Builder
	columns int // 0 in a pipe
}

func (p *printer) terminal() bool { return p.columns > 0 }

// clean makes a field safe to print: names and values come from the cluster.
func (p *printer) clean(text string) string {
	if p.terminal() {
		return ui.Clean(text, textLimit)
	}
	return ui.Clean(text, 0)
}

func (p *printer) head(t *trace.Trace) {
	if !p.terminal() {
		fmt.Fprintf(p, "service\t%s\t%s\t%s\t%s\n", t.Namespace, p.clean(t.Service), t.Type, p.clean(t.Selector))
		return
	}
	parts := []string{ui.Paint(true, ui.Bold, "Service "+p.clean(t.Service)), "in " + t.Namespace}
	if t.Type != "" {
		parts = append(parts, t.Type)
	}
	if t.Selector != "" {
		parts = append(parts, "selects "+p.clean(t.Selector))
	}
	fmt.Fprintln(p, strings.Join(parts, "  "))
}

// titles are the names of the paths for people.
func title(path trace.Path) string {
	switch path.Via {
	case trace.ViaClusterIP:
		return fmt.Sprintf("ClusterIP, port %d", path.Port)
	case trace.ViaNodePort:
		return fmt.Sprintf("NodePort on %s, port %d", path.Node, path.Port)
	case trace.ViaLoadBalancer:
		return fmt.Sprintf("LoadBalancer, port %d", path.Port)
	case trace.ViaHeadless:
		return "headless: the name stands for the pods"
	case trace.ViaAlias:
		return "ExternalName: the name is an alias"
	}
	return fmt.Sprintf("as an application is configured, port %d", path.Port)
}

func (p *printer) path(path trace.Path) {
	outcome := p.outcome(path)
	if !p.terminal() {
		status := "broken"
		if path.OK {
			status = "ok"
		}
		fmt.Fprintf(p, "path\t%s\t%d\t%s\t%s\t%s\n", path.Via, path.Port, path.Node, status, outcome)
	} else {
		mark := ui.Paint(true, ui.Red, "✗")
		if path.OK {
			mark = ui.Paint(true, ui.Green, "✓")
		}
		fmt.Fprintf(p, "%s %s  %s\n", mark, title(path), ui.Paint(true, ui.Faint, outcome))
	}
	for i, h := range path.Hops {
		p.hop(i, h, path)
	}
	if b := path.Break; b != nil {
		p.detail("why", b.Why)
		for _, f := range b.Facts {
			p.detail("seen", f)
		}
		if b.Hint != "" {
			p.detail("hint", b.Hint)
		}
	}
}

func (p *printer) outcome(path trace.Path) string {
	switch {
	case path.OK && path.Answered != "":
		return fmt.Sprintf("%s answered after %.0f ms", p.clean(path.Answered), path.Seconds*1000)
	case path.OK:
		return fmt.Sprintf("answered after %.0f ms, by somebody who does not say who", path.Seconds*1000)
	}
	return p.clean(path.Got)
}

func (p *printer) hop(i int, h trace.Hop, path trace.Path) {
	state := "ok"
	switch {
	case path.Break != nil && i == path.Break.Hop:
		state = "broken"
	case path.Break != nil && i > path.Break.Hop:
		state = "unreached"
	}
	if !p.terminal() {
		fmt.Fprintf(p, "\thop\t%s\t%s\t%s\t%s\t%s\n", h.Kind, p.clean(h.Name), p.clean(h.Address), h.Node, state)
		return
	}
	text := p.clean(h.Name)
	if h.Address != "" {
		text += " " + p.clean(h.Address)
	}
	if h.Node != "" {
		text += " on " + h.Node
	}
	arrow := "→ "
	if i == 0 {
		arrow = ""
	}
	switch state {
	case "broken":
		fmt.Fprintf(p, "  %s%s  %s\n", arrow, text, ui.Paint(true, ui.Red, "✗ breaks here"))
	case "unreached":
		fmt.Fprintf(p, "  %s\n", ui.Paint(true, ui.Faint, "  "+text+"  (not reached)"))
	default:
		fmt.Fprintf(p, "  %s%s\n", arrow, text)
	}
}

func (p *printer) endpoint(e trace.Endpoint) {
	ready := "ready"
	if !e.Ready {
		ready = "not ready"
	}
	if !p.terminal() {
		fmt.Fprintf(p, "endpoint\t%s\t%s\t%s\t%s\t%s\n", p.clean(e.Pod), e.Address, e.Node, ready, p.clean(e.Direct))
		return
	}
	mark := ui.Paint(true, ui.Green, "✓")
	if !e.Ready || e.Direct != "answers" {
		mark = ui.Paint(true, ui.Yellow, "!")
	}
	state := e.Direct
	if state == "" {
		state = "not asked"
	}
	if !e.Ready {
		state = "not ready, " + state
	}
	fmt.Fprintf(p, "%s %s %s on %s  %s\n", mark, p.clean(e.Pod), e.Address, e.Node, ui.Paint(true, ui.Faint, p.clean(state)))
}

func (p *printer) detail(name, text string) {
	if p.terminal() {
		fmt.Fprintln(p, ui.Detail(name, p.clean(text), p.columns))
		return
	}
	fmt.Fprintf(p, "\t%s\t%s\n", name, p.clean(text))
}
