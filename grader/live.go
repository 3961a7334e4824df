package grader

import (
	"context"
	"maps"
	"slices"
	"time"

	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

const (
	// quiet is how long nothing may change before a round begins: what one command applies
	// arrives in several events.
	quiet = 150 * time.Millisecond
	// unquiet bounds the waiting for it.
	unquiet = time.Second
	// secondLook is the pause before checks are tried again that could not be carried out, or
	// whose failure time may turn without anything that is watched: rules and names spread.
	secondLook = 5 * time.Second
	// secondLooks is how often a failure is looked at again while nothing changes.
	secondLooks = 2
)

// Live keeps the verdicts on a lab's checks up to date while somebody works in its
// namespace. Only checks are carried out again that look at something that has changed.
type Live struct {
	Session *Session
	// IDs are the checks to keep; those that they depend on come with them.
	IDs []string
	// Disturb lets checks run that change what others look at. They run once for each version
	// of what was applied, and without it not at all.
	Disturb bool
	// Input tells of what the cluster does not: answers, and the wish for another round.
	Input <-chan Input
	// Tell gets what happens, from one goroutine. It must not block.
	Tell func(Event)

	pause   time.Duration // instead of secondLook
	judged  map[string]mark
	running *liveRound
}

// Input is something that a running Live has to take in.
type Input struct {
	Answers *map[string][]string // to the lab's questions, where they have changed
	Again   bool                 // carry all checks out again
}

// Event is something that happened. Exactly one field is set.
type Event struct {
	Begun  []string      // a round of these checks has begun
	Judged *result.Check // a verdict
	Idle   bool          // all verdicts are up to date
}

// mark is a verdict and what it was given for.
type mark struct {
	print   string
	verdict Verdict
	looks   int  // how often it was looked at again
	due     bool // it has to be
}

// unsure tells whether a second look may find something else.
func (m mark) unsure() bool {
	return m.verdict.Status == result.Error || m.verdict.Status == result.Failed && !m.verdict.final && m.looks < secondLooks
}

// liveRound is a round of checks under way.
type liveRound struct {
	prints  map[string]string
	results chan judgement
	cancel  context.CancelFunc
	left    map[string]bool // not judged yet
}

type judgement struct {
	id      string
	verdict Verdict
}

// Withheld returns the checks that do not run without Disturb: those that disturb others, and
// those that depend on them.
func Withheld(l *lab.Lab) []string {
	var ids []string
	for _, c := range l.Checks {
		if disturbs(c) || slices.ContainsFunc(l.Checks, func(o lab.Check) bool { return disturbs(o) && l.DependsOn(c.ID, o.ID) }) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// Run works until ctx ends, which is no error, or the API server is gone.
func (l *Live) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changed, lost := make(chan struct{}, 1), make(chan error, 1)
	go func(s *Session) { lost <- follow(ctx, s, changed) }(l.Session)
	l.judged = map[string]mark{}
	if l.pause == 0 {
		l.pause = secondLook
	}
	retry := time.NewTimer(l.pause)
	defer retry.Stop()
	for {
		l.catchUp(ctx)
		var results chan judgement
		if l.running != nil {
			results = l.running.results
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-lost:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-changed:
		case in := <-l.Input:
			l.take(in)
		case j := <-results:
			l.judge(j)
			retry.Reset(l.pause)
		case <-retry.C:
			l.lookAgain()
		}
	}
}

// lookAgain makes the checks due whose verdicts may be others by now, and those that were
// skipped because of them.
func (l *Live) lookAgain() {
	if l.running != nil {
		return
	}
	for _, c := range l.Session.Lab.Checks { // dependencies are listed earlier
		m, ok := l.judged[c.ID]
		skippedFor := slices.ContainsFunc(c.DependsOn, func(d string) bool { return l.judged[d].due })
		if ok && (m.unsure() && !disturbs(c) || m.verdict.Status == result.Skipped && skippedFor) {
			m.due = true
			l.judged[c.ID] = m
		}
	}
}

// follow tells of changes of what checks look at, when they have come to rest.
func follow(ctx context.Context, s *Session, changed chan<- struct{}) error {
	same := func(prints map[string]string) func(*kube.State) (bool, string) {
		return func(st *kube.State) (bool, string) { return !maps.Equal(s.Fingerprints(st), prints), "" }
	}
	last := s.Fingerprints(s.Watcher.State())
	for {
		st, err := s.Watcher.Await(ctx, same(last))
		if err != nil {
			return err
		}
		for began := time.Now(); time.Since(began) < unquiet; {
			last = s.Fingerprints(st)
			within, cancel := context.WithTimeout(ctx, quiet)
			next, err := s.Watcher.Await(within, same(last))
			cancel()
			if err != nil { // nothing more has changed
				break
			}
			st = next
		}
		last = s.Fingerprints(st)
		select {
		case changed <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		default: // it is told already
		}
	}
}

func (l *Live) take(in Input) {
	if in.Answers != nil {
		next := *l.Session // rounds under way keep the old answers
		next.Answers = *in.Answers
		l.Session = &next
	}
	if in.Again {
		l.judged = map[string]mark{}
		l.abandon()
	}
}

// catchUp begins a round of the checks whose verdicts are out of date, in the place of one
// that is under way and out of date itself.
func (l *Live) catchUp(ctx context.Context) {
	prints := l.Session.Fingerprints(l.Session.Watcher.State())
	var due []string
	for _, id := range l.wanted() {
		if m, ok := l.judged[id]; !ok || m.due || m.print != prints[id] {
			due = append(due, id)
		}
	}
	if l.running != nil {
		if !l.outdated(due, prints) {
			return
		}
		l.abandon()
	}
	if len(due) > 0 {
		l.begin(ctx, due, prints)
	}
}

// outdated tells whether the round under way has to be given up. A check that disturbs is left
// to end: what has changed may be its own doing, and comes next.
func (l *Live) outdated(due []string, prints map[string]string) bool {
	changed := func(id string) bool { return l.running.prints[id] != prints[id] }
	for _, c := range l.Session.Lab.Checks {
		if l.running.left[c.ID] && disturbs(c) {
			return changed(c.ID)
		}
	}
	return slices.ContainsFunc(due, changed)
}

// wanted are the checks to keep, in the lab's order.
func (l *Live) wanted() []string {
	ids := l.Session.closure(l.IDs)
	if l.Disturb {
		return ids
	}
	withheld := Withheld(l.Session.Lab)
	return slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(withheld, id) })
}

func (l *Live) abandon() {
	if l.running != nil {
		l.running.cancel()
		l.running = nil
	}
}

// begin starts a round. What is up to date is known to it.
func (l *Live) begin(ctx context.Context, due []string, prints map[string]string) {
	ctx, cancel := context.WithCancel(ctx)
	r := &liveRound{prints: map[string]string{}, results: make(chan judgement, len(due)), cancel: cancel, left: map[string]bool{}}
	s := *l.Session
	s.Known = map[string]Verdict{}
	for id, m := range l.judged {
		if !slices.Contains(due, id) {
			s.Known[id] = m.verdict
		}
	}
	s.Start(ctx, due)
	for _, id := range due {
		r.prints[id], r.left[id] = prints[id], true
		go func() {
			v := s.Await(ctx, id)
			if ctx.Err() == nil {
				r.results <- judgement{id, v}
			}
		}()
	}
	l.running = r
	l.Tell(Event{Begun: due})
}

func (l *Live) judge(j judgement) {
	r := l.running
	now := mark{print: r.prints[j.id], verdict: j.verdict}
	if before, ok := l.judged[j.id]; ok && before.due && before.print == now.print {
		now.looks = before.looks + 1
	}
	l.judged[j.id] = now
	c, _ := l.Session.Lab.Check(j.id)
	told := ResultOf(c, j.verdict)
	l.Tell(Event{Judged: &told})
	if delete(r.left, j.id); len(r.left) == 0 {
		l.abandon()
		l.Tell(Event{Idle: true})
	}
}
