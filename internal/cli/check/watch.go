package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// recordAfter is how long verdicts are gathered before they are written down: a round ends
// with several at once.
const recordAfter = 400 * time.Millisecond

// What a watch tells, to the screen or to lines in a pipe.
type (
	begunMsg  struct{ checks []string }
	judgedMsg struct{ check result.Check }
	idleMsg   struct{}
	fileMsg   struct{ name string }
	answerMsg struct{ err error } // answers were read again, or could not be
	hintMsg   struct {
		check string
		hint  student.Hint
	}
	endedMsg struct{ err error }
)

// ask is a wish of who watches.
type ask struct {
	again bool
	hint  string // for the check
	shown string // the hint on it that is on the screen
}

// watcher runs the checks and the folder's watch, and takes their news to one place.
type watcher struct {
	*bench
	live   *grader.Live
	events chan grader.Event
	inputs chan grader.Input
	files  <-chan string
	asks   chan ask
	tell   func(any)

	gathered []result.Check
}

// watch stays until the student quits.
func (b *bench) watch(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	progress := ui.NewProgress(b.opts.Streams)
	s, err := b.session(ctx, progress)
	progress.Close()
	if err != nil {
		return err
	}
	files, err := watchFolder(ctx, b.mine.Folder)
	if err != nil {
		return err
	}
	w := &watcher{
		bench: b, files: files, events: make(chan grader.Event, 64), inputs: make(chan grader.Input, 8), asks: make(chan ask, 8),
	}
	w.live = &grader.Live{
		Session: s, IDs: ids(b.checks), Disturb: b.opts.All, Input: w.inputs,
		Tell: func(e grader.Event) {
			select {
			case w.events <- e:
			case <-ctx.Done():
			}
		},
	}
	if b.opts.Streams.OutTerminal {
		return w.screen(ctx)
	}
	return w.lines(ctx)
}

// screen shows the watch on a terminal.
func (w *watcher) screen(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m := newModel(w.bench, w.withheld(), w.asks)
	program := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(w.opts.Streams.In), tea.WithOutput(w.opts.Streams.Out), tea.WithoutSignalHandler())
	w.tell = func(msg any) { program.Send(msg) }
	pumped := make(chan struct{})
	go func() { defer close(pumped); w.run(ctx) }()
	last, err := program.Run()
	stop()
	<-pumped
	if err != nil && !errors.Is(err, tea.ErrInterrupted) {
		return fmt.Errorf("show the checks: %w", err)
	}
	end, _ := last.(model)
	for _, line := range end.parting() {
		fmt.Fprintln(w.opts.Streams.Err, line)
	}
	if errors.Is(err, tea.ErrInterrupted) {
		return &ui.ExitError{Code: int(fault.Interrupted)}
	}
	return end.ended
}

// lines tells what happens line by line, until it is interrupted.
func (w *watcher) lines(ctx context.Context) error {
	p := newPlain(w.bench, w.withheld())
	w.tell = p.tell
	w.run(ctx)
	return p.ended
}

func (w *watcher) withheld() []string {
	if w.opts.All {
		return nil
	}
	return grader.Withheld(w.lab)
}

// run takes in what happens until ctx ends or the cluster is gone.
func (w *watcher) run(ctx context.Context) {
	ended := make(chan error, 1)
	go func() { ended <- w.live.Run(ctx) }()
	due := time.NewTimer(recordAfter)
	defer due.Stop()
	// What was gathered is written down also when the student quits.
	defer func() { w.write(context.WithoutCancel(ctx)) }()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-ended:
			w.tell(endedMsg{err})
			return
		case e := <-w.events:
			w.event(e)
			due.Reset(recordAfter)
		case name, ok := <-w.files:
			if !ok {
				w.files = nil
				continue
			}
			w.file(ctx, name)
		case a := <-w.asks:
			w.asked(ctx, a)
		case <-due.C:
			w.write(ctx)
		}
	}
}

func (w *watcher) event(e grader.Event) {
	switch {
	case e.Begun != nil:
		w.tell(begunMsg{e.Begun})
	case e.Judged != nil:
		if c, ok := w.lab.Check(e.Judged.ID); ok && !c.Hidden() {
			w.gathered = append(w.gathered, *e.Judged)
			w.tell(judgedMsg{*e.Judged})
		}
	case e.Idle:
		w.tell(idleMsg{})
	}
}

// file takes in that a file of the working folder was written.
func (w *watcher) file(ctx context.Context, name string) {
	if name != "answers.yaml" && name != "answers.yml" {
		w.tell(fileMsg{name})
		return
	}
	answers, err := w.answers()
	w.tell(answerMsg{err})
	if err == nil {
		w.input(ctx, grader.Input{Answers: &answers})
	}
}

func (w *watcher) asked(ctx context.Context, a ask) {
	if a.again {
		w.input(ctx, grader.Input{Again: true})
	}
	c, ok := w.lab.Check(a.hint)
	if !ok {
		return
	}
	var hint student.Hint
	mine, err := w.course.Update(ctx, w.lab, func(_ *student.Progress, mine *student.Lab) {
		// What was observed is on the screen already, or else the lab's first hint.
		if hint = mine.NextHint(c, nil); hint.Text == a.shown && hint.Left > 0 {
			hint = mine.NextHint(c, nil)
		}
	})
	if err != nil {
		w.tell(endedMsg{err})
		return
	}
	w.mine = mine
	w.tell(hintMsg{check: c.ID, hint: hint})
}

func (w *watcher) input(ctx context.Context, in grader.Input) {
	select {
	case w.inputs <- in:
	case <-ctx.Done():
	}
}

// write records the verdicts that were gathered.
func (w *watcher) write(ctx context.Context) {
	if len(w.gathered) == 0 {
		return
	}
	r := w.head()
	for i, c := range w.gathered { // the last word on each check
		if !judgedLater(w.gathered[i+1:], c.ID) {
			r.Checks = append(r.Checks, c)
		}
	}
	w.gathered = nil
	w.order(&r)
	r.Finished = time.Now().UTC()
	r.Tally()
	if _, err := w.record(ctx, r); err != nil {
		w.tell(endedMsg{err})
	}
}

func judgedLater(rest []result.Check, id string) bool {
	for _, c := range rest {
		if c.ID == id {
			return true
		}
	}
	return false
}
