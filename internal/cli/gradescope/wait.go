package gradescope

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

const (
	// patience is how long a queue may be out of reach before anything is handed in: a server that
	// starts again takes less, and a wrong address is not to cost the whole time.
	patience = 2 * time.Minute
	// attempt bounds one try to reach it.
	attempt = 20 * time.Second
	// poll is the time between two looks at the queue: a whole class may be waiting.
	poll = 3 * time.Second
)

// errTimeUp says that Gradescope's time is over.
var errTimeUp = errors.New("the time limit of Gradescope is near")

// queue hands the submission in, and waits for its grade.
func (j *job) queue(ctx context.Context, path string) error {
	h, err := batch.Read(path, target.Limits(j.lab))
	if err != nil {
		return err
	}
	j.report.Submission = h.Digest
	if h.Refusal != nil { // nobody need grade it
		j.report.Status, j.report.Message, j.report.Findings = h.Refusal.Status, h.Refusal.Message, h.Refusal.Findings
		return nil
	}
	address, err := j.root.Queue(j.config)
	if err != nil {
		return err
	}
	j.hush(address)
	ctx, cancel := context.WithDeadlineCause(ctx, j.began.Add(j.config.Working()), errTimeUp)
	defer cancel()
	times := batch.DefaultTimes()
	times.Poll = min(poll, j.config.Working()/20)
	store, key, err := j.handIn(ctx, address, h, times)
	if err != nil {
		return &trouble{err, "The queue of the graders could not be reached, so that nothing was handed on. Your instructor can run the autograder again, or you hand in the same files once more."}
	}
	defer func() { _ = store.Close() }() // nothing is written any more
	j.say("queued\tbatch %s\tround %d\t%s", key.Batch, key.Round, key.Digest)
	return j.await(ctx, store, key, times)
}

// hush keeps the address's password out of everything that is printed.
func (j *job) hush(address string) {
	j.secrets = append(j.secrets, address)
	parsed, err := url.Parse(address)
	if err != nil {
		return
	}
	if password, ok := parsed.User.Password(); ok && password != "" {
		j.secrets = append(j.secrets, password, url.QueryEscape(password), url.PathEscape(password))
	}
}

// handIn puts the submission into the queue, as soon as that can be reached.
func (j *job) handIn(ctx context.Context, address string, h *batch.Handed, times batch.Times) (*batch.Store, batch.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(times.Poll)
	defer tick.Stop()
	said := false
	for {
		store, key, err := j.try(ctx, address, h)
		if err == nil || fault.KindOf(err) == fault.Input || batch.Lasting(err) || ctx.Err() != nil {
			return store, key, err
		}
		if !said {
			j.say("note: %v; it is asked again", err)
			said = true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, key, err
		}
	}
}

func (j *job) try(ctx context.Context, address string, h *batch.Handed) (*batch.Store, batch.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	store, err := batch.JoinServer(ctx, address)
	if err != nil {
		return nil, batch.Key{}, err
	}
	key, err := store.HandIn(ctx, j.config.Batch, j.config.Round, j.report.Lab, h)
	if err != nil {
		return nil, key, errors.Join(err, store.Close())
	}
	return store, key, nil
}

// await takes the grade as the report, when it comes.
func (j *job) await(ctx context.Context, store *batch.Store, key batch.Key, times batch.Times) error {
	var at batch.Place
	grade, err := store.Await(ctx, key, j.lab.ID, times, func(p batch.Place) {
		at = p
		j.say("waiting\t%s", whereabouts(p))
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return &trouble{err, fmt.Sprintf("It is not graded yet: %s. It stays in the queue. When it is graded, the autograder only has to run again: your instructor can see to that, or you hand in the same files once more.", whereabouts(at))}
	default:
		return &trouble{err, "The graders gave it up. To have it graded once more, hand in the same files again, or let your instructor run the autograder again."}
	}
	began := j.report.Started
	j.report = grade.Report
	j.report.Started = began // as Gradescope counts it
	j.report.Lab.ID, j.report.Lab.Title = j.lab.ID, j.lab.Title
	j.say("graded\tby %s\tin %d attempts", grade.Worker, grade.Attempts)
	if grade.Report.Status == result.Errored {
		j.say("error: %s", grade.Report.Message)
	}
	return nil
}

// whereabouts says where a submission is that waits.
func whereabouts(p batch.Place) string {
	switch {
	case p.Running:
		return "it is being graded at this moment"
	case p.Workers == 0:
		return "no grader is at work at the moment"
	case p.Ahead == 1:
		return "1 other comes before it"
	default:
		return fmt.Sprintf("%d others come before it", p.Ahead)
	}
}
