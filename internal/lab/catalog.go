package lab

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"labctl.dev/labctl/internal/fault"
)

// Catalog is the labs that there are, in the order in which they are taught.
type Catalog struct {
	Labs []*Lab
}

// NewCatalog reads every lab in the folders of builtin, and those of the given folders
// of the file system: each may be a lab itself or hold several. A lab from there takes
// the place of a built-in one with its id, so that an author can work on a copy.
// The problems of all labs are reported at once, as a fault.Input that wraps an *Error.
func NewCatalog(builtin fs.FS, dirs []string, runs []string) (*Catalog, error) {
	r := catalogReader{runs: runs, replaceable: map[string]bool{}}
	if err := r.several(builtin, "labs"); err != nil {
		return nil, err
	}
	for _, l := range r.labs {
		r.replaceable[l.ID] = true
	}
	for _, dir := range dirs {
		if err := r.dir(dir); err != nil {
			return nil, err
		}
	}
	if err := inputError(r.problems); err != nil {
		return nil, err
	}
	return &Catalog{Labs: r.labs}, nil
}

// Lab returns the lab with the id, or a fault.Input that names those that there are.
func (c *Catalog) Lab(id string) (*Lab, error) {
	var ids []string
	for _, l := range c.Labs {
		if l.ID == id {
			return l, nil
		}
		ids = append(ids, l.ID)
	}
	return nil, fault.Inputf("unknown lab %q%s%s", id, choice(ids), suggest(id, ids)).
		WithRemedy("labctl labs")
}

// catalogReader gathers labs and their problems.
type catalogReader struct {
	runs        []string
	labs        []*Lab
	read        int             // labs that were found, with and without problems
	replaceable map[string]bool // ids of built-in labs whose place was not taken yet
	problems    []Problem
}

// dir reads a folder that is a lab or holds several.
func (r *catalogReader) dir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return fault.Inputf("read labs: %s is not a folder", dir)
	}
	files, name := os.DirFS(dir), filepath.ToSlash(dir)
	if _, err := fs.Stat(files, FileName); err == nil {
		return r.one(files, name)
	}
	before := r.read
	if err := r.several(files, name); err != nil {
		return err
	}
	if r.read == before {
		return fault.Inputf("read labs: no %s in %s or in a folder in it", FileName, dir)
	}
	return nil
}

// several reads each folder that has a lab.yaml, by name.
func (r *catalogReader) several(files fs.FS, name string) error {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return fmt.Errorf("read labs in %s: %w", name, err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if _, err := fs.Stat(files, path.Join(e.Name(), FileName)); err != nil {
			continue
		}
		sub, err := fs.Sub(files, e.Name())
		if err != nil {
			return fmt.Errorf("read labs in %s: %w", name, err)
		}
		if err := r.one(sub, path.Join(name, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// one reads one lab and adds it, in the place of a built-in one with its id.
func (r *catalogReader) one(files fs.FS, folder string) error {
	l, found, err := load(files, folder, r.runs)
	if err != nil {
		return err
	}
	r.read++
	r.problems = append(r.problems, found...)
	if len(found) > 0 {
		return nil
	}
	i := slices.IndexFunc(r.labs, func(o *Lab) bool { return o.ID == l.ID })
	switch {
	case i < 0:
		r.labs = append(r.labs, l)
	case r.replaceable[l.ID]:
		r.labs[i] = l
		delete(r.replaceable, l.ID)
	default:
		r.problems = append(r.problems, Problem{
			File: l.Path, Field: "id", Message: fmt.Sprintf("%q is the id of %s, too", l.ID, r.labs[i].Path),
		})
	}
	return nil
}
