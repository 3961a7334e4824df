package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// idle is how long a program that nobody asks is kept.
const idle = 30 * time.Second

// line is the way to a probe program that is running at a place. To start one costs more
// than most plans do, so that one is kept for as long as it is asked, by any number of calls
// at the same time. Its zero value is ready for use.
type line struct {
	mu   sync.Mutex
	talk *talk // nil: none is running
}

// start starts the probe program, and returns when it has ended. Its context ends when the
// program is no longer wanted.
type start func(ctx context.Context, s streams) error

// ask has the plan carried out, by the program that is running or by a new one. A program
// that does not answer in time is not asked again.
func (l *line) ask(ctx context.Context, run start, plan Plan) (Results, error) {
	t := l.join(ctx, run)
	defer l.leave(t)
	reply, err := t.ask(ctx, plan)
	if err == nil {
		err = answers(plan, reply.Results)
	}
	if err != nil {
		if !errors.Is(err, context.Canceled) { // who gave up says nothing about the program
			l.hangUp(t)
		}
		return Results{}, err
	}
	return reply.Results, nil
}

// join returns the running talk, or a new one, which lasts until the call leaves it.
func (l *line) join(ctx context.Context, run start) *talk {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.talk == nil || l.talk.over() {
		l.talk = begin(context.WithoutCancel(ctx), run)
	}
	l.talk.enter()
	return l.talk
}

// leave says that a call is over. A program that nobody has asked for a while is ended.
func (l *line) leave(t *talk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy--
	if t.busy > 0 {
		return
	}
	t.idle = time.AfterFunc(idle, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !t.used() {
			l.drop(t)
		}
	})
}

// hangUp ends the talk.
func (l *line) hangUp(t *talk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(t)
}

// reset ends the talk that is there, if any.
func (l *line) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.talk != nil {
		l.drop(l.talk)
	}
}

// drop ends the talk, with the lock held; there may be another one by now.
func (l *line) drop(t *talk) {
	t.end()
	if l.talk == t {
		l.talk = nil
	}
}

// talk is one run of the probe program.
type talk struct {
	end  context.CancelFunc
	said *bounded // on standard error
	to   *outbox

	mu      sync.Mutex
	calls   uint64
	busy    int         // calls under way
	idle    *time.Timer // nil while there are any
	waiting map[uint64]chan Reply
	line    []byte // of its standard output, not complete so far
	broken  error  // what it wrote that is no reply

	done chan struct{}
	err  error // why it ended; to be read after done
}

func begin(ctx context.Context, run start) *talk {
	ctx, cancel := context.WithCancel(ctx)
	t := &talk{
		end: cancel, said: &bounded{max: maxErrors}, to: newOutbox(),
		waiting: make(map[uint64]chan Reply), done: make(chan struct{}),
	}
	go func() {
		defer cancel()
		t.ended(run(ctx, streams{in: t.to, out: t, err: t.said}))
	}()
	context.AfterFunc(ctx, t.to.close) // the end of its input ends the program
	return t
}

func (t *talk) ended(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	said := strings.TrimSpace(t.said.String())
	switch {
	case t.broken != nil:
		err = t.broken
	case err == nil:
		err = errors.New("the probe ended")
	}
	if said != "" && !strings.Contains(err.Error(), said) {
		err = fmt.Errorf("%w: %s", err, said)
	}
	t.err = err
	close(t.done)
}

func (t *talk) over() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

func (t *talk) used() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.busy > 0
}

// enter says that a call begins.
func (t *talk) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle != nil {
		t.idle.Stop()
		t.idle = nil
	}
	t.busy++
}

// ask sends the plan and waits for the reply to it.
func (t *talk) ask(ctx context.Context, plan Plan) (Reply, error) {
	answer := make(chan Reply, 1)
	t.mu.Lock()
	t.calls++
	number := t.calls
	t.waiting[number] = answer
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.waiting, number)
		t.mu.Unlock()
	}()
	body, err := json.Marshal(Call{Number: number, Plan: plan})
	if err != nil {
		return Reply{}, fmt.Errorf("encode the plan: %w", err)
	}
	t.to.send(append(body, '\n'))
	select {
	case reply := <-answer:
		return reply, refusal(reply)
	case <-ctx.Done():
		return Reply{}, ctx.Err()
	case <-t.done:
	}
	select { // it may have answered with its last breath
	case reply := <-answer:
		return reply, refusal(reply)
	default:
		return Reply{}, t.err
	}
}

// Write takes what the program writes to its standard output: one reply a line.
func (t *talk) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := p; len(rest) > 0; {
		part, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		if len(t.line)+len(part) > maxOutput {
			return 0, t.fail(fmt.Errorf("the probe wrote more than %d bytes", maxOutput))
		}
		t.line = append(t.line, part...)
		if !whole {
			break
		}
		var reply Reply
		if err := json.Unmarshal(t.line, &reply); err != nil {
			return 0, t.fail(fmt.Errorf("read the probe's results: %w", err))
		}
		t.line = t.line[:0]
		if answer, ok := t.waiting[reply.Number]; ok {
			delete(t.waiting, reply.Number) // a second one is nobody's
			answer <- reply
		}
	}
	return len(p), nil
}

// fail gives up a program that does not keep to the protocol.
func (t *talk) fail(err error) error {
	if t.broken == nil {
		t.broken = err
	}
	t.line = nil
	t.end()
	return err
}

// refused says that the program refused the plan: a mistake of ours.
type refused string

func (r refused) Error() string { return "the probe refused the plan: " + string(r) }

func refusal(r Reply) error {
	if r.Refused == "" {
		return nil
	}
	return refused(r.Refused)
}

// outbox is what the program reads: everything that was sent, in order. To send never waits.
type outbox struct {
	mu     sync.Mutex
	some   *sync.Cond // something was sent, or it was closed
	buf    bytes.Buffer
	closed bool
}

func newOutbox() *outbox {
	o := &outbox{}
	o.some = sync.NewCond(&o.mu)
	return o
}

func (o *outbox) send(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	o.some.Broadcast()
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.some.Broadcast()
}

func (o *outbox) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.buf.Len() == 0 && !o.closed {
		o.some.Wait()
	}
	if o.closed {
		return 0, io.EOF
	}
	return o.buf.Read(p)
}
