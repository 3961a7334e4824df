package check

import (
	"fmt"
	"strings"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// plain tells a watch as lines, one a change.
type plain struct {
	bench    *bench
	withheld []string
	status   map[string]result.CheckStatus
	passed   map[string]bool   // has passed at some time
	last     map[string]string // what was told of a check
	next     string
	green    []string // turned so since next was told
	ended    error
}

func newPlain(b *bench, withheld []string) *plain {
	p := &plain{bench: b, withheld: withheld, status: b.standing(), passed: map[string]bool{}, last: map[string]string{}}
	for id, c := range b.mine.Checks {
		p.passed[id] = !c.FirstPassed.IsZero()
	}
	fmt.Fprintf(b.opts.Streams.Out, "watching\t%s\n", b.lab.ID)
	return p
}

func (p *plain) tell(msg any) {
	out := p.bench.opts.Streams.Out
	switch msg := msg.(type) {
	case judgedMsg:
		p.judged(msg.check)
	case fileMsg:
		fmt.Fprintf(out, "changed\t%s\tnot applied yet: kubectl apply -f %s\n", msg.name, msg.name)
	case answerMsg:
		if msg.err != nil {
			fmt.Fprintf(out, "refused\tanswers\t%s\n", ui.Clean(msg.err.Error(), 0))
		}
	case idleMsg:
		if next := strings.Join(p.bench.outlook(p.status, p.withheld, p.green), "\n"); next != p.next {
			p.next = next
			fmt.Fprintln(p.bench.opts.Streams.Err, next)
		}
		p.green = nil
	case endedMsg:
		p.ended = msg.err
	}
}

func (p *plain) judged(c result.Check) {
	if c.Status == result.Passed && p.status[c.ID] != result.Passed {
		p.green = append(p.green, c.ID)
	}
	p.status[c.ID] = c.Status
	var b strings.Builder
	if c.Status == result.Failed && p.passed[c.ID] {
		fmt.Fprintf(&b, "regression\t%s\n", c.ID)
	}
	p.passed[c.ID] = p.passed[c.ID] || c.Status == result.Passed
	_ = ui.WriteCheck(&b, 0, 0, c) // a builder takes everything
	if key := string(c.Status) + c.Message; key != p.last[c.ID] {
		p.last[c.ID] = key
		fmt.Fprint(p.bench.opts.Streams.Out, b.String())
	}
}
