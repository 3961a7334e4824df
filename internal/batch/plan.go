package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/version"
)

// Handed is a submission that was read: one to be graded, or one that was refused.
type Handed struct {
	Digest  string
	Archive []byte
	Claims  []string
	Objects []*unstructured.Unstructured
	Texts   [][]byte // of its files
	// Refusal is the report of a submission that may not be applied; nil where it may.
	Refusal *result.Report
}

// Plan says what of a class is to be graded.
type Plan struct {
	Class  *class.Class
	Limits submission.Limits
	// Regrade grades again what has a grade: of these students, or of all where none is named.
	Regrade  bool
	Students []string
	// FileName names a student's report, without its suffix.
	FileName func(student string) string
	// Read is told of each submission that was read.
	Read func(student string, h *Handed)
}

// Enter writes what is to be graded into the queue, and the class into the book. It may be
// called again after it was interrupted, or when the class has changed.
func (f *Folder) Enter(ctx context.Context, s *Store, p Plan) error {
	if err := f.Save(); err != nil { // its id, by which the queue knows the batch
		return err
	}
	entries := make([]Entry, len(p.Class.Students))
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	for i, student := range p.Class.Students {
		entries[i] = entryOf(student, p.FileName)
		if student.Handed == nil {
			continue
		}
		group.Go(func() error {
			h, err := f.enter(reading, s, p, &entries[i])
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			p.Read(student.ID, h)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	f.Book.Students = entries
	return f.Save()
}

// enter reads one submission and puts it into the queue.
func (f *Folder) enter(ctx context.Context, s *Store, p Plan, e *Entry) (*Handed, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	h, err := Read(e.Path, p.Limits)
	if err != nil {
		return nil, err
	}
	if err := f.settle(ctx, s, p, e, h.Digest); err != nil {
		return nil, err
	}
	return h, f.queue(ctx, s, *e, h)
}

func entryOf(s class.Student, fileName func(string) string) Entry {
	e := Entry{Student: s.ID, Person: s.Person, File: fileName(s.ID)}
	if s.Handed == nil {
		return e
	}
	e.Path = s.Handed.Path
	if !s.Handed.Submitted.IsZero() {
		at := s.Handed.Submitted.UTC()
		e.Submitted = &at
	}
	for _, o := range s.Superseded {
		e.Superseded = append(e.Superseded, o.Path)
	}
	return e
}

// settle decides which grade of the submission counts: the last one that somebody asked for,
// or a further one where it is to be graded again.
func (f *Folder) settle(ctx context.Context, s *Store, p Plan, e *Entry, digest string) error {
	e.Digest, e.Version = digest, f.Book.Lab.Version
	round, err := s.Round(ctx, f.Book.ID, digest, e.Version)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(f.Book.Students, func(o Entry) bool { return o.Student == e.Student })
	if i >= 0 && f.Book.Students[i].Digest == digest && f.Book.Students[i].Version == e.Version {
		e.Round = f.Book.Students[i].Round
	}
	if p.Regrade && (len(p.Students) == 0 || slices.Contains(p.Students, e.Student)) {
		e.Round = round + 1
	}
	return nil
}

// queue puts what has no grade into the queue.
func (f *Folder) queue(ctx context.Context, s *Store, e Entry, h *Handed) error {
	t := Task{Key: e.key(f.Book.ID), Lab: f.Book.Lab.ID, Claims: h.Claims}
	if h.Refusal != nil {
		return s.Put(ctx, Grade{Key: t.Key, Report: *h.Refusal}, t.Lab)
	}
	added, err := s.Add(ctx, t, h.Archive)
	if err != nil || added {
		return err
	}
	return s.Again(ctx, t)
}

// Read reads a submission and packs what is to travel. One that is refused comes with the report
// that says why.
func Read(path string, limits submission.Limits) (*Handed, error) {
	started := time.Now().UTC()
	sub, err := submission.Read(path, limits)
	var refused *submission.Error
	if errors.As(err, &refused) {
		r := ungraded(result.Rejected, "the submission was refused", started, time.Now().UTC())
		r.Submission, r.Findings = refused.Digest, refused.Findings
		if r.Submission == "" {
			r.Submission = rawDigest(path)
		}
		for i := range r.Findings { // a student gets to see it: where it lies here is nothing to them
			if r.Findings[i].File == path {
				r.Findings[i].File = filepath.Base(path)
			}
		}
		return &Handed{Digest: r.Submission, Refusal: &r}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	h := &Handed{Digest: sub.Digest, Objects: sub.Unstructured(), Texts: sub.Texts(), Claims: claims(sub.Unstructured())}
	h.Archive, err = sub.Archive()
	return h, err
}

// ungraded is a report without any verdicts.
func ungraded(status result.Status, why string, started, finished time.Time) result.Report {
	return result.Report{
		Schema: result.Schema, Labctl: version.Current().Version, Status: status, Message: why,
		Started: started, Finished: finished, Checks: []result.Check{},
	}
}

// rawDigest stands for a submission that cannot be read as one.
func rawDigest(path string) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "unreadable:%s\n", filepath.Base(path))
	if f, err := os.Open(path); err == nil {
		_, _ = io.Copy(sum, io.LimitReader(f, 1<<30)) // as far as it can be read
		_ = f.Close()
	}
	return "unreadable:" + hex.EncodeToString(sum.Sum(nil))
}

// claims are the node ports that the objects ask for by number.
func claims(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, o := range objects {
		if o.GetKind() != "Service" {
			continue
		}
		ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
		for _, p := range ports {
			fields, _ := p.(map[string]any)
			if port := fields["nodePort"]; port != nil {
				all = append(all, fmt.Sprintf("nodePort/%v", port))
			}
		}
		if port, found, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "healthCheckNodePort"); found {
			all = append(all, fmt.Sprintf("nodePort/%v", port))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
