package student

import (
	"crypto/sha256"
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

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/lab"
)

// MarkerName is the hidden file by which a folder is known as a working folder. It ends in
// neither .json nor .yaml: "kubectl apply -f ." takes hidden files, too.
const MarkerName = ".labctl"

// marker is what the hidden file says: whose folder it is, and what was put there.
type marker struct {
	Note    string            `json:"note"`
	Lab     string            `json:"lab"`
	Version string            `json:"version"` // of the lab that the files are from
	Files   map[string]string `json:"files"`   // SHA-256 of what was given, by slash-separated path
}

// Folder is a student's working folder for one lab.
type Folder struct {
	Dir    string // absolute
	marker marker
}

// OpenFolder looks at the folder, which need not exist yet.
func OpenFolder(dir string) (*Folder, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the working folder: %w", err)
	}
	f := &Folder{Dir: full}
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fault.Inputf("look at the working folder: %w", err)
	case !info.IsDir():
		return nil, fault.Inputf("%s is not a folder", full).WithRemedy("choose another with --dir")
	}
	data, err := os.ReadFile(filepath.Join(full, MarkerName))
	if err == nil && json.Unmarshal(data, &f.marker) != nil {
		f.marker = marker{} // every file then counts as the student's own
	}
	return f, nil
}

// Lab returns the id of the lab whose folder it is; "" where it is not known as one.
func (f *Folder) Lab() string { return f.marker.Lab }

// Exists tells whether the folder is there.
func (f *Folder) Exists() bool {
	info, err := os.Stat(f.Dir)
	return err == nil && info.IsDir()
}

// Empty tells whether there is nothing in the folder, or no folder.
func (f *Folder) Empty() bool {
	entries, _ := os.ReadDir(f.Dir) // without a folder there are none
	return len(entries) == 0
}

// State is how a file of the starter stands in the working folder.
type State string

// The states of a file.
const (
	Missing   State = "missing"
	Unchanged State = "unchanged" // as it was given
	Changed   State = "changed"   // by the student
)

// File is one file of the starter, and how it stands.
type File struct {
	Name  string // slash-separated, within the folder
	State State
}

// Files compares the starter's files with the folder's, by name.
func (f *Folder) Files(l *lab.Lab) ([]File, error) {
	starter, err := starterFiles(l)
	if err != nil {
		return nil, err
	}
	var all []File
	for _, name := range sortedKeys(starter) {
		state, _, err := f.state(name, starter[name])
		if err != nil {
			return nil, err
		}
		all = append(all, File{Name: name, State: state})
	}
	return all, nil
}

// state compares one file with what was given, and with what would be given now.
func (f *Folder) state(name string, starter []byte) (state State, current bool, err error) {
	data, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return Missing, false, nil
	}
	if err != nil {
		return "", false, fault.Inputf("read a file of the working folder: %w", err)
	}
	switch sum := digest(data); sum {
	case digest(starter):
		return Unchanged, true, nil
	case f.marker.Files[name]:
		return Unchanged, false, nil // of an earlier version of the lab
	}
	return Changed, false, nil
}

// Action is what Give did with a file.
type Action string

// What becomes of a file.
const (
	Created  Action = "created"
	Same     Action = "unchanged" // it is as the starter's
	Updated  Action = "updated"   // the student had not changed it, and the lab has
	Kept     Action = "kept"      // the student changed it
	Replaced Action = "replaced"  // the student's is kept as Backup
)

// Given is what became of one file.
type Given struct {
	Name   string // slash-separated, within the folder
	Action Action
	Backup string // the name of the copy, where there is one
}

// Give puts the lab's starter files into the folder, which it makes. A file that the student
// changed is left alone; with force it is replaced, after a copy was made. Where only is not
// nil, it chooses the files.
func (f *Folder) Give(l *lab.Lab, force bool, only func(name string) bool, now time.Time) ([]Given, error) {
	starter, err := starterFiles(l)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return nil, fault.Inputf("make the working folder: %w", err).WithRemedy("choose another with --dir")
	}
	if f.marker.Lab != l.ID || f.marker.Files == nil {
		f.marker = marker{Lab: l.ID, Files: map[string]string{}}
	}
	var all []Given
	for _, name := range sortedKeys(starter) {
		if only != nil && !only(name) {
			continue
		}
		given, err := f.give(name, starter[name], force, now)
		if err != nil {
			return all, err
		}
		all = append(all, given)
	}
	f.marker.Version = l.Version
	return all, f.saveMarker()
}

// give puts one file there.
func (f *Folder) give(name string, starter []byte, force bool, now time.Time) (Given, error) {
	given := Given{Name: name}
	state, current, err := f.state(name, starter)
	if err != nil {
		return given, err
	}
	switch {
	case current:
		given.Action = Same
		f.marker.Files[name] = digest(starter)
		return given, nil
	case state == Missing:
		given.Action = Created
	case state == Unchanged:
		given.Action = Updated
	case !force:
		given.Action = Kept
		return given, nil
	default:
		given.Action = Replaced
		if given.Backup, err = f.backUp(name, now); err != nil {
			return given, err
		}
	}
	if err := place(f.path(name), starter); err != nil {
		return given, fault.Inputf("write %s into the working folder: %w", name, err)
	}
	f.marker.Files[name] = digest(starter)
	return given, nil
}

// backUp copies a file beside itself, under a name that is no manifest's and not taken.
func (f *Folder) backUp(name string, now time.Time) (string, error) {
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		return "", fault.Inputf("keep a copy of %s: %w", name, err)
	}
	stamp := name + ".bak-" + now.UTC().Format("20060102T150405Z")
	for n := 1; ; n++ {
		backup := stamp
		if n > 1 {
			backup += fmt.Sprintf("-%d", n)
		}
		copied, err := os.OpenFile(f.path(backup), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fault.Inputf("keep a copy of %s: %w", name, err)
		}
		_, err = copied.Write(data)
		if err := errors.Join(err, copied.Close()); err != nil {
			return "", fault.Inputf("keep a copy of %s: %w", name, err)
		}
		return backup, nil
	}
}

func (f *Folder) saveMarker() error {
	f.marker.Note = "labctl's: what was put into this folder, so that it can tell what you changed"
	data, err := json.MarshalIndent(f.marker, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", MarkerName, err)
	}
	if err := place(filepath.Join(f.Dir, MarkerName), append(data, '\n')); err != nil {
		return fault.Inputf("write %s into the working folder: %w", MarkerName, err)
	}
	return nil
}

func (f *Folder) path(name string) string { return filepath.Join(f.Dir, filepath.FromSlash(name)) }

// place writes a file in one step, readable as the student's own are.
func place(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return home.Replace(path, data, 0o644)
}

// starterFiles reads what the student begins with, by name.
func starterFiles(l *lab.Lab) (map[string][]byte, error) { return labFiles(l, lab.StarterDir) }

// labFiles reads the files in a folder of the lab, by slash-separated name.
func labFiles(l *lab.Lab, dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(l.Files, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(l.Files, name)
		files[strings.TrimPrefix(name, dir+"/")] = data
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s of lab %s: %w", dir, l.ID, err)
	}
	return files, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
