// Package scaffold writes the folder of a new lab: small, complete and proven, so that an
// author changes something that works instead of completing something that does not.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"text/template"

	"labctl.dev/labctl/internal/fault"
)

// SchemaFile is the name of the schema beside the lab.yaml of a lab outside of labctl's tree.
const SchemaFile = "lab-v1.json"

// "all:" keeps what an author may add whose name begins with a dot.
//
//go:embed all:files
var files embed.FS

// Lab is what a new lab differs in from the next.
type Lab struct {
	ID    string
	Title string
	// Schema is where lab.yaml's first line finds the schema, from the lab's folder.
	Schema string
}

// Write makes the folder with everything that a lab needs, all of it or nothing. A folder
// that is there already is refused as a fault.Input. A schema that is not nil is written
// into the folder as SchemaFile.
func Write(dir string, l Lab, schema []byte) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return fault.Inputf("make the lab's folder: %w", err)
		}
		return fault.Inputf("%s is there already", dir).WithRemedy("choose another id, or another --dir")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fault.Inputf("make the folder around the lab: %w", err)
	}
	// Beside its place, so that it can be put there in one go.
	partial, err := os.MkdirTemp(filepath.Dir(dir), ".labctl-new-")
	if err != nil {
		return fault.Inputf("make the lab's folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(partial) }() // nothing is left there where all went well
	if err := fill(partial, l, schema); err != nil {
		return err
	}
	if err := os.Rename(partial, dir); err != nil {
		return fault.Inputf("put the lab's folder in its place: %w", err)
	}
	return nil
}

func fill(dir string, l Lab, schema []byte) error {
	if err := os.Chmod(dir, 0o755); err != nil { // a temporary folder is for its owner alone
		return fmt.Errorf("make the lab's folder: %w", err)
	}
	err := fs.WalkDir(files, "files", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "files" {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name[len("files/"):]))
		if entry.IsDir() {
			return os.Mkdir(to, 0o755)
		}
		data, err := render(name, l)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
	if err == nil && schema != nil {
		err = os.WriteFile(filepath.Join(dir, SchemaFile), schema, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the lab's files: %w", err)
	}
	return nil
}

// render fills in one file. Its brackets are none of those that manifests are written with.
func render(name string, l Lab) ([]byte, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(path.Base(name)).Delims("[[", "]]").Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, l); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
