package batch

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pace is how much a pool does at the same time: as much as it was made for, until gradings fail
// because the machine has more to do than it can. Then it is half of what ran; one, that nothing
// of other processes runs beside either, where one was too many; and one more each time that the
// machine has had time to spare for a while.
type pace struct {
	most, limit int  // submissions in all clusters together
	alone       bool // on the whole machine
	laps        int  // how often it was slowed down
	calm        int  // gradings in a row after which the machine had time to spare
	waiting     int  // gradings that wait for the machine
}

// calmFor is how many such gradings tell that there is room for one more.
const calmFor = 10

// slowDown notes that a grading failed on a busy machine, and tells whether others that ran beside
// it are to blame. lap is when it began: what began when more were let in says nothing about now.
func (p *pace) slowDown(lap, running int) (others bool) {
	switch {
	case lap < p.laps:
		return true
	case running > 1:
		p.limit = max(1, min(p.limit, running)/2)
	case p.alone:
		return false
	default:
		p.limit, p.alone = 1, true
	}
	p.calm = 0
	p.laps++
	return true
}

// slowed tells whether less is done than the pool was made for.
func (p *pace) slowed() bool { return p.alone || p.limit < p.most }

// speedUp notes that a grading ended well, and tells whether more is let in from now on.
func (p *pace) speedUp(busy bool) bool {
	if busy || !p.slowed() {
		p.calm = 0
		return false
	}
	if p.calm++; p.calm < calmFor {
		return false
	}
	p.calm = 0
	if p.alone {
		p.alone = false
	} else {
		p.limit++
	}
	return true
}

func (p *pace) String() string {
	if p.alone {
		return "one at a time from now on, and none of other processes beside it"
	}
	return fmt.Sprintf("%d at a time from now on", p.limit)
}

// errTooMany says that a grading failed for want of processors beside others.
var errTooMany = errors.New("the machine had more to do than it can")

// keepPace suits what runs at a time to what the machine can do. It returns errTooMany where the
// grading failed since it could not, and is to be done over.
func (p *Pool) keepPace(ctx context.Context, s *slot, lap int, failed bool) error {
	p.mu.Lock()
	slowed := p.pace.slowed()
	p.mu.Unlock()
	if !failed && !slowed {
		return nil
	}
	busy := s.site.Strain(ctx) >= Busy
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.pace.laps
	switch {
	case ctx.Err() != nil:
		return nil
	case !failed && p.pace.speedUp(busy):
		p.note("the machine has time to spare: " + p.pace.String())
		p.change()
	case failed && busy && p.pace.slowDown(lap, p.running()):
		if p.pace.laps > before {
			p.note("the machine has more to do than it can: " + p.pace.String())
		}
		return errTooMany
	}
	return nil
}

const (
	// patience is how long a grading, or the judgement on a cluster, may wait for a machine that
	// others keep overloaded.
	patience = 5 * time.Minute
	// lookAgain lies between two looks at it.
	lookAgain = 5 * time.Second
)

// awaitRoom waits until the machine is not overloaded, by gradings of other processes say, or
// patience ends: what begins on one that is would most likely have to be done over. It tells
// whether it had to wait.
func (p *Pool) awaitRoom(ctx context.Context, site Site) (waited bool) {
	if site.Strain(ctx) < Overloaded {
		return false
	}
	if p.add(&p.pace.waiting, 1) == 1 {
		p.note("the machine has more to do than it can: what comes next waits until it has less")
	}
	defer p.add(&p.pace.waiting, -1)
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < patience; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return true
		}
		if site.Strain(ctx) < Overloaded {
			break
		}
	}
	return true
}

// alone tells whether the next grading is to have the machine for itself.
func (p *Pool) alone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pace.alone
}

// running is how many submissions are being graded. p.mu is held.
func (p *Pool) running() int {
	n := 0
	for _, s := range p.slots {
		n += s.running
	}
	return n
}
