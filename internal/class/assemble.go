package class

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/submission"
)

// maxLoose bounds a file that is handed in by itself, in bytes. Manifests are far smaller.
const maxLoose = 16 << 20

// assemble makes a folder of loose files that are one submission. It is not ok where nothing
// is left of them.
func (f *finder) assemble(loose []item) (attempt, bool, error) {
	files := f.lastUploads(loose)
	names := f.fileNames(files)
	dir, err := f.togetherFolder(files[0].owner)
	if err != nil {
		return attempt{}, false, err
	}
	into, err := os.OpenRoot(dir)
	if err != nil {
		return attempt{}, false, fault.Environmentf("put files together: %w", err)
	}
	defer func() { _ = into.Close() }() // every file in it was closed with care
	var whole item
	n := 0
	for i, it := range files {
		switch {
		case it.size > maxLoose:
			f.ignore(it.path, fmt.Sprintf("is larger than %d bytes", maxLoose))
			continue
		case names[i] == "":
			f.ignore(it.path, "has no name that a file can have")
			continue
		}
		if err := f.copyFile(into, names[i], it.path); err != nil {
			return attempt{}, false, err
		}
		if n++; n == 1 {
			whole = it
		}
		whole.late = whole.late || it.late
		if lessNumber(whole.file, it.file) < 0 {
			whole.file = it.file
		}
		if it.modified.After(whole.modified) {
			whole.modified = it.modified
		}
	}
	if n == 0 {
		return attempt{}, false, nil
	}
	a := f.attempt(whole, ".", whole.modified)
	a.Path, a.again = dir, 0
	return a, true, nil
}

// lastUploads leaves out the files that were handed in again: Canvas calls the next upload of
// db.yaml db-1.yaml, and gives it a higher number. Names that merely look like that, such as
// web-1.yaml beside web-2.yaml, stay.
func (f *finder) lastUploads(loose []item) []item {
	slices.SortFunc(loose, func(a, b item) int {
		return cmp.Or(lessNumber(a.file, b.file), cmp.Compare(a.path, b.path))
	})
	if f.class.Layout != Canvas {
		return loose
	}
	chains := map[string][]int{}
	for i, it := range loose {
		name, _ := f.reupload(it.original)
		chains[submission.Folded(name)] = append(chains[submission.Folded(name)], i)
	}
	replaced := map[int]int{}
	for _, chain := range chains {
		if _, again := f.reupload(loose[chain[0]].original); again > 0 || !f.rising(loose, chain) {
			continue
		}
		for _, i := range chain[:len(chain)-1] {
			replaced[i] = chain[len(chain)-1]
		}
	}
	var last []item
	for i, it := range loose {
		if by, ok := replaced[i]; ok {
			f.ignore(it.path, "was handed in again as "+loose[by].path)
			continue
		}
		last = append(last, it)
	}
	return last
}

// rising tells whether files in the order of Canvas' numbers are uploads of the same.
func (f *finder) rising(loose []item, chain []int) bool {
	before := -1
	for _, i := range chain {
		_, again := f.reupload(loose[i].original)
		if again < before {
			return false
		}
		before = again
	}
	return true
}

// fileNames returns the names that the files get in their folder: the student's own, without
// Canvas' number of the upload where that leaves them different, and no kustomization speaks of
// the longer name. "" is a file that cannot have a name.
func (f *finder) fileNames(files []item) []string {
	short := make([]string, len(files))
	count := map[string]int{}
	for i, it := range files {
		short[i] = it.original
		if f.class.Layout == Canvas {
			short[i], _ = f.reupload(it.original)
		}
		count[submission.Folded(short[i])]++
	}
	spoken := f.kustomizations(files)
	names := make([]string, len(files))
	taken := map[string]bool{}
	for i, it := range files {
		name := short[i]
		if count[submission.Folded(name)] > 1 || it.original != "" && strings.Contains(spoken, it.original) {
			name = it.original
		}
		if taken[submission.Folded(name)] { // on a system that ignores case
			name = cmp.Or(it.file, fmt.Sprint(i+1)) + "-" + name
		}
		if name == "." || !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\\x00") {
			continue
		}
		taken[submission.Folded(name)] = true
		names[i] = name
	}
	return names
}

// kustomizations returns what the kustomizations among the files say.
func (f *finder) kustomizations(files []item) string {
	var all strings.Builder
	for _, it := range files {
		if name, _ := f.reupload(it.original); !strings.HasPrefix(strings.ToLower(name), "kustomization") || it.size > 1<<20 {
			continue
		}
		if source, err := f.root.Open(it.path); err == nil {
			_, _ = io.Copy(&all, io.LimitReader(source, 1<<20)) // what cannot be read says nothing
			_ = source.Close()
		}
	}
	return all.String()
}

// togetherFolder makes a folder that bears the owner's name.
func (f *finder) togetherFolder(o owner) (string, error) {
	if f.joined == "" {
		joined, err := f.workFolder("together")
		if err != nil {
			return "", err
		}
		f.joined, f.made = joined, map[string]bool{}
		f.class.bases = append(f.class.bases, joined)
	}
	safe := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' {
			return r
		}
		return '_'
	}, clean(o.name))
	if r := []rune(safe); len(r) > 50 {
		safe = string(r[:50])
	}
	if o.number != "" && len(o.number) <= 20 && !strings.ContainsFunc(o.number, func(r rune) bool { return !unicode.IsDigit(r) }) {
		safe += "-" + o.number
	}
	dir := filepath.Join(f.joined, unique(safe, f.made))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fault.Environmentf("put files together: %w", err)
	}
	return dir, nil
}

// copyFile copies a loose file into the folder of its submission.
func (f *finder) copyFile(into *os.Root, name, from string) (err error) {
	source, err := f.root.Open(from)
	if err != nil {
		return f.unreadable(from, err)
	}
	defer func() { _ = source.Close() }() // only read from
	target, err := into.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Environmentf("put files together: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if _, err := io.Copy(target, io.LimitReader(source, maxLoose)); err != nil {
		return fault.Environmentf("put files together: %w", err)
	}
	return nil
}
