package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Progress shows steps with their times: redrawn in place on a terminal, a line a step in
// a pipe. Steps may overlap. It is safe for concurrent use.
type Progress struct {
	out      io.Writer
	terminal bool
	records  bool // steps are records of the log
	width    func() int

	mu     sync.Mutex
	active []*step
	foot   []string // lines below the active steps, on a terminal
	drawn  int      // lines of the active block that are on the screen
	frame  int
	muted  bool // steps end without a line
	stop   chan struct{}
	wait   sync.WaitGroup
}

type step struct {
	name  string
	start time.Time
	late  *time.Timer
}

// announceAfter is when a step in a pipe is long enough to say that it has begun.
const announceAfter = 5 * time.Second

// NewProgress writes to the streams' Err. Close it before anything else is printed there.
func NewProgress(s Streams) *Progress {
	records := LogsJSON()
	p := &Progress{out: s.Err, terminal: s.ErrTerminal && !records, records: records, stop: make(chan struct{})}
	p.width = func() int {
		if f, ok := s.Err.(*os.File); ok {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
				return w
			}
		}
		return 80
	}
	if p.terminal {
		p.wait.Add(1)
		go p.spin()
	}
	return p
}

// Begin shows that the step has begun; the returned function shows how it ended. Calling
// it again does nothing.
func (p *Progress) Begin(name string) (end func(error)) {
	s := &step{name: name, start: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = append(p.active, s)
	if p.terminal {
		p.redraw("")
	} else {
		s.late = time.AfterFunc(announceAfter, func() { p.announce(s) })
	}
	var once sync.Once
	return func(err error) { once.Do(func() { p.end(s, err) }) }
}

// Aside shows a step only while it is under way, and only on a terminal: for what there is a
// lot of.
func (p *Progress) Aside(name string) (end func()) {
	if !p.terminal {
		return func() {}
	}
	s := &step{name: name, start: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = append(p.active, s)
	p.redraw("")
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.remove(s)
		p.redraw("")
	}
}

// remove takes a step off the active ones; the lock is held.
func (p *Progress) remove(s *step) {
	if i := slices.Index(p.active, s); i >= 0 {
		p.active = slices.Delete(p.active, i, i+1)
	}
}

// Note prints one line that belongs to no step.
func (p *Progress) Note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.records {
		slog.Info(CleanLines(text))
		return
	}
	p.line("- " + text)
}

// Foot shows the lines below the steps on a terminal, in the place of those before.
func (p *Progress) Foot(lines ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.foot = lines; p.terminal {
		p.redraw("")
	}
}

// Drop ends a step without a line about it: its result is told elsewhere.
func (p *Progress) Drop(end func(error)) {
	p.mu.Lock()
	p.muted = true
	p.mu.Unlock()
	end(nil)
	p.mu.Lock()
	p.muted = false
	p.mu.Unlock()
}

// Above lets something be printed, to whatever stream, above the steps that are redrawn.
func (p *Progress) Above(print func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		print()
		return
	}
	active, foot := p.active, p.foot
	p.active, p.foot = nil, nil
	p.redraw("")
	print()
	p.active, p.foot = active, foot
	p.redraw("")
}

// Close ends the redrawing; steps still under way disappear from a terminal.
func (p *Progress) Close() {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	select {
	case <-p.stop:
		p.mu.Unlock()
		return
	default:
	}
	close(p.stop)
	p.active, p.foot = nil, nil
	p.redraw("")
	p.mu.Unlock()
	p.wait.Wait()
}

func (p *Progress) announce(s *step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.active {
		if a == s && !p.records {
			fmt.Fprintf(p.out, "...\t%s\n", s.name)
		}
	}
}

func (p *Progress) end(s *step, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(s)
	if s.late != nil {
		s.late.Stop()
	}
	if p.muted {
		if p.terminal {
			p.redraw("")
		}
		return
	}
	if p.records {
		logStep(s.name, time.Since(s.start), err)
		return
	}
	p.line(p.ended(s, err))
}

func (p *Progress) ended(s *step, err error) string {
	took := Duration(time.Since(s.start))
	word, mark, style := "ok", "✓", Green
	switch {
	case errors.Is(err, context.Canceled):
		word, mark, style = "stopped", "-", Yellow
	case err != nil:
		word, mark, style = "failed", "✗", Red
	}
	if !p.terminal {
		return fmt.Sprintf("%s\t%s\t%s", word, took, s.name)
	}
	return fmt.Sprintf("%s %s %s", Paint(true, style, mark), s.name, Paint(true, Faint, took))
}

// line prints a permanent line above the active block; the lock is held.
func (p *Progress) line(text string) {
	if p.terminal {
		p.redraw(text + "\n")
		return
	}
	fmt.Fprintln(p.out, text)
}

// redraw replaces the active block, printing permanent text above it; the lock is held. Lines
// are replaced one by one, and what is left below is erased afterwards: to erase all first
// flickers, and tmux keeps what is erased from the top of the screen as lines to scroll back to.
func (p *Progress) redraw(above string) {
	var text strings.Builder
	text.WriteString(above)
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	for _, s := range p.active {
		line := fmt.Sprintf("%c %s %s", frames[p.frame%len(frames)], s.name, Duration(time.Since(s.start)))
		text.WriteString(cut(line, p.width()) + "\n")
	}
	for _, line := range p.foot {
		text.WriteString(cut(line, p.width()) + "\n")
	}
	up := ""
	if p.drawn > 0 {
		up = fmt.Sprintf("\x1b[%dA", p.drawn)
	}
	p.drawn = len(p.active) + len(p.foot)
	_, _ = io.WriteString(p.out, up+"\r\x1b[K"+strings.ReplaceAll(text.String(), "\n", "\n\x1b[K")+"\x1b[J")
}

// cut keeps a line from being broken.
func cut(text string, width int) string {
	if r := []rune(text); len(r) >= width {
		return string(r[:width-1])
	}
	return text
}

func (p *Progress) spin() {
	defer p.wait.Done()
	tick := time.NewTicker(120 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.mu.Lock()
			p.frame++
			if len(p.active) > 0 {
				p.redraw("")
			}
			p.mu.Unlock()
		}
	}
}

// Duration formats a time for people: "0.3s", "12.4s", "3m05s".
func Duration(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
