package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// Progress is how far a batch is.
type Progress struct {
	Students int                   `json:"students"`
	Counts   map[result.Status]int `json:"counts"`  // of students whose grade is there, or who are missing
	Pending  int                   `json:"pending"` // students whose grade is not there yet
	Workers  []Activity            `json:"workers,omitempty"`
	// Trouble says why nothing is heard of the queue at the moment; "" where all is well.
	Trouble string `json:"trouble,omitempty"`
}

// Follower is told what happens to a batch.
type Follower struct {
	// Graded is called once for each student when the report is written; known says that the
	// very same report was there before.
	Graded func(e Entry, r result.Report, known bool)
	// Progress is called from time to time.
	Progress func(Progress)
	// Finish completes a report before it is written: what being late costs, a signature.
	Finish func(r *result.Report) error
}

// Follow writes the students' reports as their grades come, and returns when all are there.
// ctx ends it earlier; what is written is complete, and calling it again goes on.
func (f *Folder) Follow(ctx context.Context, s *Store, times Times, fw Follower) error {
	if err := f.retire(); err != nil {
		return err
	}
	left, err := f.missing(fw)
	if err != nil {
		return err
	}
	at := &following{folder: f, store: s, times: times, Follower: fw, left: left, counts: map[result.Status]int{}}
	at.counts[result.Missing] = len(f.Book.Students) - at.pending()
	tick := time.NewTicker(times.Poll)
	defer tick.Stop()
	lost := time.Time{}
	for {
		err := at.look(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			lost = time.Time{}
			if at.pending() == 0 {
				return nil
			}
		case !s.say.shared || !errors.As(err, new(*unheard)):
			return err
		case lost.IsZero():
			lost = time.Now()
		case time.Since(lost) > times.Patience:
			return fault.Environmentf("the queue has been out of reach for %s: %w", times.Patience, err).
				WithRemedy("start PostgreSQL and run the same command again: it goes on where it was")
		}
		if err != nil {
			fw.Progress(at.progress(nil, err.Error()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// missing writes the reports of those who handed nothing in, and returns the students whose
// grades are awaited.
func (f *Folder) missing(fw Follower) (map[Key][]Entry, error) {
	left := map[Key][]Entry{}
	for _, e := range f.Book.Students {
		if e.Digest != "" {
			k := e.key(f.Book.ID)
			left[k] = append(left[k], e)
			continue
		}
		r := ungraded(result.Missing, "nothing was handed in", f.Book.Created, f.Book.Created)
		if err := f.write(e, r, fw); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// following is the state of Follow.
type following struct {
	Follower
	folder *Folder
	store  *Store
	times  Times
	left   map[Key][]Entry
	counts map[result.Status]int
	last   *Graded
}

func (a *following) pending() int {
	n := 0
	for _, entries := range a.left {
		n += len(entries)
	}
	return n
}

// unheard marks a failure to ask the queue, which may be there again in a moment.
type unheard struct{ error }

func (e *unheard) Unwrap() error { return e.error }

// look fetches the grades that are new.
func (a *following) look(ctx context.Context) error {
	if err := a.store.closeOff(ctx, a.folder.Book.ID); err != nil {
		return &unheard{err}
	}
	graded, err := a.store.Since(ctx, a.folder.Book.ID, a.last)
	if err != nil {
		return &unheard{err}
	}
	for _, g := range graded {
		a.last = &g
		entries := a.left[g.Key]
		if len(entries) == 0 {
			continue
		}
		grade, err := a.store.Find(ctx, g.Key)
		if err != nil {
			return &unheard{err}
		}
		if grade == nil {
			continue // taken back in this moment, to be graded over
		}
		for _, e := range entries {
			if err := a.folder.write(e, grade.Report, a.Follower); err != nil {
				return err
			}
			a.counts[grade.Report.Status]++
		}
		delete(a.left, g.Key)
	}
	workers, err := a.store.Workers(ctx, a.times.Dead)
	if err != nil {
		return &unheard{err}
	}
	a.Progress(a.progress(workers, ""))
	return nil
}

func (a *following) progress(workers []Activity, trouble string) Progress {
	return Progress{Students: len(a.folder.Book.Students), Counts: a.counts, Pending: a.pending(), Workers: workers, Trouble: trouble}
}

// write makes a grade the student's report and writes it.
func (f *Folder) write(e Entry, r result.Report, fw Follower) error {
	r.Student, r.Person, r.Submitted = e.Student, e.Person, e.Submitted
	r.Lab.ID, r.Lab.Title = f.Book.Lab.ID, f.Book.Lab.Title
	if r.Lab.Version == "" {
		r.Lab.Version = f.Book.Lab.Version
	}
	if r.MaxScore == 0 { // no check was tried
		r.MaxScore = f.Book.Points
	}
	if err := fw.Finish(&r); err != nil {
		return fmt.Errorf("finish the report of %s: %w", e.Student, err)
	}
	known, err := f.report(e, r)
	if err != nil {
		return err
	}
	fw.Graded(e, r, known)
	return nil
}

// Status returns how far the batch in a folder is, as its queue tells. The folder may be in
// use by another process.
func Status(ctx context.Context, s *Store, b *Book, times Times) (Progress, error) {
	p := Progress{Students: len(b.Students), Counts: map[result.Status]int{}}
	graded, err := s.Since(ctx, b.ID, nil)
	if err != nil {
		return p, err
	}
	status := map[Key]result.Status{}
	for _, g := range graded {
		status[g.Key] = g.Status
	}
	for _, e := range b.Students {
		st, done := status[e.key(b.ID)]
		switch {
		case e.Digest == "":
			p.Counts[result.Missing]++
		case done:
			p.Counts[st]++
		default:
			p.Pending++
		}
	}
	p.Workers, err = s.Workers(ctx, times.Dead)
	return p, err
}
