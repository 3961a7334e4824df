package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"labctl.dev/labctl/internal/fault"
)

// The names of what is in a lab's folder.
const (
	FileName        = "lab.yaml"
	ReadMeName      = "README.md"
	ExplanationName = "EXPLANATION.md"
	StarterDir      = "starter"
	SolutionDir     = "solution"
	WrongDir        = "wrong" // one folder a check in it, named by the check's id
)

// maxFile bounds lab.yaml, in bytes.
const maxFile = 1 << 20

// Load reads the lab whose folder is files. The folder's name is for messages, as in
// "labs/10-clusterip"; runs are the names of the checks written in Go that exist.
// Every problem is reported at once, as a fault.Input that wraps an *Error.
func Load(files fs.FS, folder string, runs []string) (*Lab, error) {
	l, found, err := load(files, folder, runs)
	if err != nil {
		return nil, err
	}
	if err := inputError(found); err != nil {
		return nil, err
	}
	return l, nil
}

// LoadDir reads the lab in a folder of the file system; see Load.
func LoadDir(dir string, runs []string) (*Lab, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fault.Inputf("read lab: %s is not a folder", dir)
	}
	return Load(os.DirFS(dir), filepath.ToSlash(dir), runs)
}

// load returns the lab and its problems. The error is about reading, not about the lab.
func load(files fs.FS, folder string, runs []string) (*Lab, []Problem, error) {
	p := &problems{file: path.Join(folder, FileName), lines: map[string]int{}}
	data, err := fs.ReadFile(files, FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, []Problem{{File: p.file, Message: "is missing"}}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", p.file, err)
	}
	if len(data) > maxFile {
		return nil, []Problem{{File: p.file, Message: fmt.Sprintf("is larger than %d bytes", maxFile)}}, nil
	}
	l := &Lab{Files: files, Path: p.file}
	if p.decode(data, l) {
		p.validate(l, runs)
		p.folder(l)
	}
	return l, p.sorted(), nil
}

// folder reports what is missing beside lab.yaml, and wrong submissions for no check.
func (p *problems) folder(l *Lab) {
	if text, err := fs.ReadFile(l.Files, ReadMeName); err != nil {
		p.inFile(ReadMeName, "is missing; it holds the lab's instructions")
	} else if strings.TrimSpace(string(text)) == "" {
		p.inFile(ReadMeName, "is empty; it holds the lab's instructions")
	} else {
		p.instructions(l, string(text))
	}
	p.explanation(l.Files)
	bare := len(l.Tiers) == 0
	p.manifests(l.Files, StarterDir, "what the student begins with", bare)
	p.manifests(l.Files, SolutionDir, "what scores full marks", bare)
	var ids []string
	for _, c := range l.Checks {
		if c.ID != "" && !slices.Contains(ids, c.ID) {
			ids = append(ids, c.ID)
			p.manifests(l.Files, path.Join(WrongDir, c.ID), "a submission that check "+c.ID+" fails", c.Question != nil)
		}
	}
	entries, _ := fs.ReadDir(l.Files, WrongDir) // its absence is reported above, check by check
	for _, e := range entries {
		if !slices.Contains(ids, e.Name()) {
			p.inFile(path.Join(WrongDir, e.Name()), "names no check of this lab%s", suggest(e.Name(), ids))
		}
	}
}

// explanation reports a lab that does not explain itself.
func (p *problems) explanation(files fs.FS) {
	const what = "what students read when they have solved the lab"
	if text, err := fs.ReadFile(files, ExplanationName); err != nil {
		p.inFile(ExplanationName, "is missing; it holds %s", what)
	} else if strings.TrimSpace(string(text)) == "" {
		p.inFile(ExplanationName, "is empty; it holds %s", what)
	}
}

// manifests reports a folder that is missing or has no manifest in it. Where answers are
// enough, answers.yaml alone does.
func (p *problems) manifests(files fs.FS, dir, what string, answers bool) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		p.inFile(dir, "is missing; it holds %s", what)
		return
	}
	only := false
	for _, e := range entries {
		if isAnswers(e.Name()) {
			only = true
			continue
		}
		switch path.Ext(e.Name()) {
		case ".yaml", ".yml", ".json":
			return
		}
	}
	switch {
	case only && answers:
	case only:
		p.inFile(dir, "has answers and no manifest; it holds %s", what)
	default:
		p.inFile(dir, "has no manifest; it holds %s", what)
	}
}

// isAnswers tells whether a file holds the answers to a lab's questions.
func isAnswers(name string) bool { return name == "answers.yaml" || name == "answers.yml" }
