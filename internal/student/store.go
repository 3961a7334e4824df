package student

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
)

// lockPause is between two tries for the lock, which is held for milliseconds.
const lockPause = 20 * time.Millisecond

// Store is the files about the student in labctl's state folder.
type Store struct {
	dir string
	now func() time.Time
}

// Open returns the store in the state folder. It reads and makes nothing yet.
func Open() (*Store, error) {
	dir, err := home.State()
	if err != nil {
		return nil, err
	}
	return &Store{dir: dir, now: time.Now}, nil
}

func (s *Store) path() string { return filepath.Join(s.dir, "progress.json") }

// previous is the file as it was before the last change, for when the file is damaged.
func (s *Store) previous() string { return filepath.Join(s.dir, "progress.previous.json") }

// Load reads the progress. A missing file is an empty progress; a damaged one is moved
// aside, its last good version takes its place, and Progress.Note says so. A file that a later
// labctl wrote is refused and left as it is.
func (s *Store) Load(ctx context.Context) (*Progress, error) {
	p, err := read(s.path())
	var damage *damageError
	if !errors.As(err, &damage) {
		return p, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.load()
}

// Peek reads the progress and repairs nothing: for who cannot tell the student of it.
func (s *Store) Peek() (*Progress, error) { return read(s.path()) }

// Update reads the progress, changes it and writes it in one step, while no other labctl can:
// what two terminals record at the same time is all kept. Where change returns an error,
// nothing is written. change may look at the progress, and must not keep it.
func (s *Store) Update(ctx context.Context, change func(*Progress) error) (*Progress, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := s.load()
	if err != nil {
		return nil, err
	}
	if err := change(p); err != nil {
		return nil, err
	}
	if err := s.save(p); err != nil {
		return nil, err
	}
	return p, nil
}

// lock keeps other processes, and other goroutines, from changing the progress.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of your progress: %w", err)
	}
	l := flock.New(filepath.Join(s.dir, "progress.lock"))
	if _, err := l.TryLockContext(ctx, lockPause); err != nil {
		return nil, fmt.Errorf("wait for another labctl that writes your progress: %w", err)
	}
	return func() { _ = l.Close() }, nil
}

// load reads the progress and repairs it; the lock is held.
func (s *Store) load() (*Progress, error) {
	p, err := read(s.path())
	var damage *damageError
	if !errors.As(err, &damage) {
		return p, err
	}
	aside := s.path() + ".damaged-" + s.now().UTC().Format("20060102T150405Z")
	if err := os.Rename(s.path(), aside); err != nil {
		return nil, fmt.Errorf("move the damaged progress file aside: %w", err)
	}
	note := fmt.Sprintf("the file of your progress was damaged (%v); it is kept as %s, and ", damage.err, aside)
	p, err = read(s.previous())
	if err != nil || len(p.Labs) == 0 {
		return &Progress{Version: Version, Labs: map[string]*Lab{}, Note: note + "progress begins anew"}, nil
	}
	p.Note = note + "your progress is as it was before the last change"
	return p, s.save(p)
}

// save replaces the file in one step, and keeps the one before; the lock is held.
func (s *Store) save(p *Progress) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode your progress: %w", err)
	}
	if before, err := os.ReadFile(s.path()); err == nil {
		if err := writeFile(s.previous(), before); err != nil {
			return fmt.Errorf("keep your progress as it was: %w", err)
		}
	}
	if err := writeFile(s.path(), append(data, '\n')); err != nil {
		return fmt.Errorf("record your progress: %w", err)
	}
	return nil
}

// damageError says that a progress file is none.
type damageError struct{ err error }

func (e *damageError) Error() string { return e.err.Error() }

// read returns an empty progress where there is no file.
func read(path string) (*Progress, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Progress{Version: Version, Labs: map[string]*Lab{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read your progress: %w", err)
	}
	// The version comes first: what a later labctl wrote need not fit these types.
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, &damageError{err}
	}
	if head.Version > Version {
		return nil, fault.Inputf("your progress (%s) was written by a later labctl: it has version %d, and this one knows %d", path, head.Version, Version).
			WithRemedy("use the later labctl; or set LABCTL_STATE to another folder to begin a progress of its own. Nothing was changed")
	}
	if head.Version < 1 {
		return nil, &damageError{errors.New("it names no version")}
	}
	p := &Progress{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, &damageError{err}
	}
	p.tidy()
	return p, nil
}

// tidy makes what a hand-edited file may lack.
func (p *Progress) tidy() {
	if p.Labs == nil {
		p.Labs = map[string]*Lab{}
	}
	for id, l := range p.Labs {
		if l == nil {
			delete(p.Labs, id)
			continue
		}
		l.ID = id
		for check, c := range l.Checks {
			if c == nil {
				delete(l.Checks, check)
			}
		}
	}
}
