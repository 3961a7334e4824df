package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"
)

// entry is a file, or a directory where it has no body.
type entry struct {
	mode int64 // permission bits
	body []byte
}

// tree is the content of an archive by path, without a leading slash. Directories that are
// not in it are made. What it writes depends on nothing but the tree and the time.
type tree map[string]entry

// with returns both trees' content.
func (t tree) with(other tree) tree {
	all := maps.Clone(t)
	maps.Copy(all, other)
	return all
}

func (t tree) tar(out io.Writer, at time.Time) error {
	all := maps.Clone(t)
	for name := range t {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = entry{mode: 0o755}
			}
		}
	}
	w := tar.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(all)) { // and so parents come first
		e := all[name]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: e.mode, Size: int64(len(e.body)), ModTime: at, Format: tar.FormatPAX}
		if e.body == nil {
			h.Typeflag, h.Name = tar.TypeDir, name+"/"
		}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if _, err := w.Write(e.body); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return w.Close()
}

func (t tree) tarGz(at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out) // its header has no name and no time
	if err := errors.Join(t.tar(w, at), w.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (t tree) zip(at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(t)) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at.UTC()}
		h.SetMode(fs.FileMode(t[name].mode))
		f, err := w.CreateHeader(h)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		if _, err := f.Write(t[name].body); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	err := w.Close()
	return out.Bytes(), err
}
