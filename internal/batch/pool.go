package batch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/telemetry"
)

// Site is a cluster in which submissions are graded, each in a namespace of its own.
type Site interface {
	Grader
	// Sound returns nil where the cluster is healthy, and as clean as it was when it was new.
	Sound(ctx context.Context) error
	// Strain tells how much its machine has to do.
	Strain(ctx context.Context) Strain
}

// Strain is how much a machine has to do.
type Strain int

// The strains, in their order.
const (
	AtLeisure  Strain = iota
	Busy              // processes wait for a processor
	Overloaded        // many do, so that nothing is graded that fails
)

// Sites makes clusters.
type Sites interface {
	// Make returns the cluster with the number, from 0 on: the one that is there, unless it is to
	// be made anew.
	Make(ctx context.Context, n int, anew bool) (Site, error)
	// Turn waits until something may run on the machine beside what other processes have running
	// there, or alone. It runs until end is called.
	Turn(ctx context.Context, alone bool) (end func(), err error)
}

// Pool spreads gradings over clusters that it keeps warm. It is a Grader.
type Pool struct {
	sites      Sites
	perCluster int
	recycle    int
	note       func(string)

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	slots   []*slot
	pace    pace
	broken  error // no cluster can be made
	made    map[Cause]int
	failed  int // makings
}

// slot is one cluster of the pool.
type slot struct {
	n       int
	site    Site
	running int
	graded  int // since it was made
	claims  []string
	closed  bool // it takes no more until it is made anew
	making  bool
	cause   Cause // of its next making
}

// PoolSize is how much a pool does at the same time.
type PoolSize struct {
	Clusters   int
	PerCluster int // submissions at the same time in each
	Recycle    int // submissions until a cluster is made anew; 0 means never
}

// NewPool returns a pool whose clusters are made when they are first needed. note is told what
// becomes of them.
func NewPool(sites Sites, size PoolSize, note func(string)) *Pool {
	p := &Pool{sites: sites, perCluster: size.PerCluster, recycle: size.Recycle, note: note, changed: make(chan struct{}), made: map[Cause]int{}}
	p.pace.most = size.Clusters * size.PerCluster
	p.pace.limit = p.pace.most
	for n := range size.Clusters {
		p.slots = append(p.slots, &slot{n: n, cause: First})
	}
	return p
}

// makings is how often in a row a cluster may fail to be made before the pool gives up.
const makings = 3

// checkEvery is after how many submissions a cluster is looked at that gave no reason to.
const checkEvery = 10

// Grade grades the submission in a cluster that has room for it. An error says that the
// cluster was at fault, or that ctx ended.
func (p *Pool) Grade(ctx context.Context, t Task, archive []byte) (result.Report, error) {
	within, end := telemetry.Begin(ctx, telemetry.Room)
	s, lap, err := p.acquire(within, t.Claims)
	if err != nil {
		end(err)
		return result.Report{}, err
	}
	finish, err := p.sites.Turn(within, p.alone())
	if err != nil {
		p.release(s, t.Claims)
		end(err)
		return result.Report{}, err
	}
	defer finish()
	p.awaitRoom(within, s.site)
	end(nil)
	telemetry.Annotate(ctx, slog.Int("labctl.pool.cluster", s.n+1))
	site := s.site // it stays while something runs in it
	report, err := site.Grade(ctx, t, archive)
	if ctx.Err() != nil {
		p.release(s, t.Claims)
		return report, ctx.Err()
	}
	suspect := err != nil || report.Status == result.Errored
	if suspect || p.due(s) {
		if unsound := p.unsound(ctx, site); unsound != nil && ctx.Err() == nil {
			p.close(s, unsound.Error())
			if suspect {
				err = fmt.Errorf("cluster %d was at fault: %w", s.n+1, unsound)
			}
		}
	}
	if tooMany := p.keepPace(ctx, s, lap, suspect); err == nil {
		err = tooMany
	}
	p.release(s, t.Claims)
	return report, err
}

// unsound tells what is wrong with the cluster, or nil. What does not answer on an overloaded
// machine may do so when that has less to do, and to make it anew would be even more to do.
func (p *Pool) unsound(ctx context.Context, site Site) error {
	return telemetry.In(ctx, telemetry.Sound, func(ctx context.Context) error {
		why := site.Sound(ctx)
		if why != nil && ctx.Err() == nil && p.awaitRoom(ctx, site) {
			why = site.Sound(ctx)
		}
		return why
	})
}

// due tells whether a cluster is to be looked at although nothing was wrong.
func (p *Pool) due(s *slot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.graded%checkEvery == checkEvery-1
}

// Broken returns why the pool can make no cluster any more, or nil.
func (p *Pool) Broken() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

// acquire waits for room in a cluster in which nobody claims the same. lap is for keepPace.
func (p *Pool) acquire(ctx context.Context, claims []string) (s *slot, lap int, err error) {
	for {
		p.mu.Lock()
		if p.broken != nil {
			defer p.mu.Unlock()
			return nil, 0, p.broken
		}
		s = p.room(claims)
		if s != nil && s.site != nil {
			s.running++
			s.claims = append(s.claims, claims...)
			lap = p.pace.laps
			p.mu.Unlock()
			return s, lap, nil
		}
		if s != nil {
			s.making = true
		}
		changed := p.changed
		p.mu.Unlock()
		if s != nil {
			p.make(ctx, s)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// room returns the least busy cluster that takes a submission with the claims; one that is
// still to be made only where no other does. p.mu is held.
func (p *Pool) room(claims []string) *slot {
	var best *slot
	if p.running() >= p.pace.limit {
		return nil
	}
	for _, s := range p.slots {
		if s.closed && s.running == 0 && !s.making {
			s.site, s.closed = nil, false // to be made anew
		}
		if s.making || s.closed || s.running >= p.perCluster || slices.ContainsFunc(claims, func(c string) bool { return slices.Contains(s.claims, c) }) {
			continue
		}
		if best == nil || best.site == nil && s.site != nil || s.site != nil && s.running < best.running {
			best = s
		}
	}
	return best
}

// make makes the slot's cluster: anew where it had one.
func (p *Pool) make(ctx context.Context, s *slot) {
	var site Site
	var err error
	p.mu.Lock()
	anew := s.graded > 0
	p.mu.Unlock()
	for range makings {
		err = telemetry.In(ctx, telemetry.Make, func(ctx context.Context) (err error) {
			finish, err := p.sites.Turn(ctx, false)
			if err != nil {
				return err
			}
			defer finish()
			site, err = p.sites.Make(ctx, s.n, anew)
			return err
		})
		if err == nil || ctx.Err() != nil {
			break
		}
		p.note(fmt.Sprintf("cluster %d could not be made: %v", s.n+1, err))
		p.add(&p.failed, 1)
		anew = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.site, s.making = site, false
	if err == nil {
		s.graded = 0
		p.made[s.cause]++
	}
	if err != nil && ctx.Err() == nil && p.broken == nil {
		p.broken = err
	}
	p.change()
}

// close lets no more submissions into the slot's cluster, which is made anew once it is empty.
func (p *Pool) close(s *slot, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.closed {
		p.note(fmt.Sprintf("cluster %d is made anew: %s", s.n+1, why))
	}
	s.closed, s.cause = true, Unsound
	s.graded = max(s.graded, 1)
}

func (p *Pool) release(s *slot, claims []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.running--
	s.graded++
	for _, c := range claims {
		if i := slices.Index(s.claims, c); i >= 0 {
			s.claims = slices.Delete(s.claims, i, i+1)
		}
	}
	if p.recycle > 0 && s.graded >= p.recycle && !s.closed {
		p.note(fmt.Sprintf("cluster %d is made anew after %d submissions", s.n+1, s.graded))
		s.closed, s.cause = true, Recycled
	}
	p.change()
}

// change wakes who waits for room. p.mu is held.
func (p *Pool) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// DefaultSize is what a machine with so many processors and so much memory (bytes) can do.
// Submissions that claim the same of a cluster need one each.
func DefaultSize(processors int, memory int64, exclusive bool) PoolSize {
	const perCluster, perSubmission = 3 << 30, 1 << 29
	at := max(1, processors/2) // at the same time: pods that start keep two processors busy
	if memory > 0 {
		at = min(at, max(1, int((memory-perCluster)/perSubmission)))
	}
	size := PoolSize{Clusters: 1, PerCluster: at, Recycle: 200}
	if exclusive {
		size.Clusters, size.PerCluster = at, 1
		if memory > 0 {
			size.Clusters = min(at, max(1, int(memory/(perCluster+perSubmission))))
		}
		return size
	}
	const together = 8 // more pods than that starting at once only get in each other's way
	for size.PerCluster > together {
		size.Clusters++
		size.PerCluster = (at + size.Clusters - 1) / size.Clusters
	}
	return size
}
