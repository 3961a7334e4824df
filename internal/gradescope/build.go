package gradescope

import (
	"archive/zip"
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
)

// scripts are what Gradescope runs.
//
//go:embed scripts
var scripts embed.FS

// Parts are what an autograder is made of.
type Parts struct {
	Config Config
	Binary []byte // a labctl for linux/amd64
	// Queue is the queue's address, with its password; "" where the configuration names a variable.
	Queue string
	// Lab is the folder of a lab that is not one of labctl's own; nil where it is.
	Lab fs.FS
}

// Secret tells whether the zip holds a password, and is to be kept from others.
func (p Parts) Secret() bool { return p.Queue != "" }

// file is one in the zip.
type file struct {
	name string
	mode fs.FileMode
	data []byte
}

// Build returns the zip: the same bytes for the same parts.
func Build(p Parts) ([]byte, error) {
	if err := CheckBinary(p.Binary); err != nil {
		return nil, err
	}
	return p.pack()
}

// pack writes the zip, whatever the program is.
func (p Parts) pack() ([]byte, error) {
	p.Config.Schema, p.Config.Own = Schema, p.Lab != nil
	if err := p.Config.Check(); err != nil {
		return nil, err
	}
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		if err := add(w, f); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack the autograder: %w", err)
	}
	return out.Bytes(), nil
}

// add writes one file without anything of this machine or moment.
func add(w *zip.Writer, f file) error {
	h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(f.mode)
	entry, err := w.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = entry.Write(f.data)
	return err
}

// files are all that goes into the zip.
func (p Parts) files() ([]file, error) {
	config, err := p.Config.encode()
	if err != nil {
		return nil, err
	}
	files := []file{{binaryName, 0o755, p.Binary}, {configName, 0o644, config}}
	for _, name := range []string{runName, setupName} {
		text, err := scripts.ReadFile(path.Join("scripts", name))
		if err != nil {
			return nil, fmt.Errorf("read the script %s: %w", name, err)
		}
		files = append(files, file{name, 0o755, text})
	}
	if p.Queue != "" {
		files = append(files, file{queueName, 0o600, []byte(p.Queue + "\n")})
	}
	if p.Lab == nil {
		return files, nil
	}
	own, err := labFiles(p.Lab)
	return append(files, own...), err
}

// maxLab bounds the files of a lab, in bytes.
const maxLab = 32 << 20

// labFiles are those of a lab, without what editors and systems leave behind.
func labFiles(lab fs.FS) ([]file, error) {
	var files []file
	total := 0
	err := fs.WalkDir(lab, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(path.Base(name), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fault.Inputf("%s of the lab is not an ordinary file", name).WithRemedy("put the file itself there")
		}
		data, err := fs.ReadFile(lab, name)
		if err != nil {
			return err
		}
		if total += len(data); total > maxLab {
			return fault.Inputf("the lab has more than %d bytes of files", maxLab).WithRemedy("name the lab's own folder: --labs DIR")
		}
		files = append(files, file{path.Join(labsName, name), 0o644, data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pack the lab: %w", err)
	}
	return files, nil
}
