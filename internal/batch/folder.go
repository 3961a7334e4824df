package batch

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/result"
)

// Schema names the version of a batch's own file.
const Schema = "labctl.dev/batch/v1"

// The names in a batch's folder.
const (
	bookName    = "batch.json"
	queueName   = "queue.db"
	lockName    = ".lock"
	ReportsDir  = "reports" // one JSON a student
	earlierDir  = "earlier" // in it: the reports that a later one replaced
	maxBookSize = 256 << 20
)

// Book is what a batch's folder says about it. The grades themselves are in the queue.
type Book struct {
	Schema  string     `json:"schema"`
	ID      string     `json:"id"`
	Lab     result.Lab `json:"lab"`
	Points  float64    `json:"points,omitempty"` // full marks
	Source  string     `json:"source"`           // where the submissions were found
	Queue   string     `json:"queue,omitempty"`  // the server, without its password; "" is the file in the folder
	Created time.Time  `json:"created"`          // UTC
	// Due and Late are the rule for what came late; see result.Late.
	Due      *time.Time `json:"due,omitempty"`
	Late     string     `json:"late,omitempty"`
	Students []Entry    `json:"students"`
}

// Entry is a student in a batch.
type Entry struct {
	Student    string         `json:"student"`
	Person     *result.Person `json:"person,omitempty"`
	Path       string         `json:"path,omitempty"` // of the submission that counts; "" where there is none
	Superseded []string       `json:"superseded,omitempty"`
	Submitted  *time.Time     `json:"submitted,omitempty"` // UTC
	Digest     string         `json:"digest,omitempty"`
	Version    string         `json:"version,omitempty"` // of the lab
	Round      int            `json:"round,omitempty"`
	File       string         `json:"file"` // of the report, without its suffix
}

// key names the entry's grade in the batch.
func (e Entry) key(batch string) Key {
	return Key{Batch: batch, Digest: e.Digest, Version: e.Version, Round: e.Round}
}

// Folder is where a batch's results go. While it is open, no other process uses it.
type Folder struct {
	Path string
	Book Book
	lock *flock.Flock
}

// Create opens the folder of a batch, or makes one for a new batch of the lab.
func Create(path string, lab result.Lab) (*Folder, error) {
	if err := os.MkdirAll(filepath.Join(path, ReportsDir), 0o755); err != nil {
		return nil, fault.Inputf("make the output folder %s: %w", path, err).WithRemedy("name another folder: --out DIR")
	}
	f, err := lock(path)
	if err != nil {
		return nil, err
	}
	book, err := ReadBook(path)
	if errors.Is(err, fs.ErrNotExist) {
		id := make([]byte, 8)
		if _, err := rand.Read(id); err != nil {
			return nil, errors.Join(fmt.Errorf("name the batch: %w", err), f.Close())
		}
		f.Book = Book{Schema: Schema, ID: hex.EncodeToString(id), Lab: lab, Created: time.Now().UTC().Truncate(time.Second)}
		return f, nil
	}
	if err == nil && book.Lab.ID != lab.ID {
		err = fault.Inputf("%s holds a batch of lab %s, not %s", path, book.Lab.ID, lab.ID).WithRemedy("name another folder: --out DIR")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.Book = *book
	return f, nil
}

// lock keeps other processes out of the folder until it is closed, however this one ends.
func lock(path string) (*Folder, error) {
	l := flock.New(filepath.Join(path, lockName))
	got, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !got {
		return nil, fault.Environmentf("another labctl works on %s", path).WithRemedy("watch it: labctl batch status %s", path)
	}
	return &Folder{Path: path, lock: l}, nil
}

// ReadBook reads what a folder says about its batch.
func ReadBook(path string) (*Book, error) {
	name := filepath.Join(path, bookName)
	data, err := home.Read(name, maxBookSize)
	if errors.As(err, new(*home.TooLarge)) {
		return nil, fault.Inputf("read the batch: %w", err).WithRemedy("name another folder: --out DIR")
	}
	if err != nil {
		return nil, fmt.Errorf("read the batch: %w", err)
	}
	var b Book
	if err := json.Unmarshal(data, &b); err != nil || b.Schema != Schema || b.ID == "" {
		return nil, fault.Inputf("%s is no batch that this labctl knows", name).WithRemedy("name another folder: --out DIR")
	}
	return &b, nil
}

// Close lets others use the folder.
func (f *Folder) Close() error { return f.lock.Close() }

// Save writes the book.
func (f *Folder) Save() error {
	data, err := json.MarshalIndent(f.Book, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the batch: %w", err)
	}
	return Replace(filepath.Join(f.Path, bookName), append(data, '\n'))
}

// Store opens the batch's queue: the one in the folder, or the server's where an address is
// given.
func (f *Folder) Store(ctx context.Context, address string) (*Store, error) {
	return OpenFor(ctx, f.Path, address)
}

// OpenFor opens the queue of the batch in a folder, which may be in use.
func OpenFor(ctx context.Context, path, address string) (*Store, error) {
	if address != "" {
		return OpenServer(ctx, address)
	}
	return OpenFile(ctx, filepath.Join(path, queueName))
}

// report writes a student's report, and tells whether the very same was there. One of another
// submission or another round that it replaces is kept.
func (f *Folder) report(e Entry, r result.Report) (known bool, err error) {
	name := filepath.Join(f.Path, ReportsDir, e.File+".json")
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return false, fmt.Errorf("encode the report of %s: %w", e.Student, err)
	}
	data = append(data, '\n')
	old, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, fmt.Errorf("read the earlier report of %s: %w", e.Student, err)
	case bytes.Equal(old, data):
		return true, nil
	default:
		if err := f.keep(e, old, r); err != nil {
			return false, err
		}
	}
	return false, Replace(name, data)
}

// retire puts the reports of students aside who are no longer in the class.
func (f *Folder) retire() error {
	dir := filepath.Join(f.Path, ReportsDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the reports: %w", err)
	}
	for _, e := range entries {
		name, isReport := strings.CutSuffix(e.Name(), ".json")
		if !isReport || strings.HasPrefix(name, ".") || slices.ContainsFunc(f.Book.Students, func(s Entry) bool { return s.File == name }) {
			continue
		}
		old, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil {
			err = f.keep(Entry{Student: name, File: name}, old, result.Report{})
		}
		if err == nil {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil {
			return fmt.Errorf("put the report %s aside: %w", e.Name(), err)
		}
	}
	return nil
}

// keep puts a report that is to be replaced aside, unless it is of the same grading.
func (f *Folder) keep(e Entry, old []byte, r result.Report) error {
	var before result.Report
	if err := json.Unmarshal(old, &before); err == nil && before.Submission == r.Submission && before.Started.Equal(r.Started) {
		return nil
	}
	dir := filepath.Join(f.Path, ReportsDir, earlierDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep the earlier report of %s: %w", e.Student, err)
	}
	return Replace(filepath.Join(dir, fmt.Sprintf("%s-%s.json", e.File, before.Started.UTC().Format("20060102T150405"))), old)
}

// Replace writes a file so that it is there as a whole, or as it was.
func Replace(name string, data []byte) error {
	if err := home.Replace(name, data, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
