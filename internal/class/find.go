package class

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/submission"
)

// Find finds the submissions of a class. The caller closes the Class. What cannot be
// understood as a class is a fault.Input that names the file and, in a roster, the line.
//
// Nothing in Options.Path is followed that is a link, and nothing in it is changed.
func Find(o Options) (*Class, error) {
	if o.Location == nil {
		o.Location = time.Local
	}
	f := &finder{Options: o, parser: newParser(), class: &Class{Path: o.Path}}
	if err := f.find(); err != nil {
		return nil, errors.Join(err, f.class.Close())
	}
	return f.class, nil
}

// finder carries one class from its files to its students.
type finder struct {
	Options
	parser
	class   *Class
	pattern *pattern
	roster  *roster
	base    string   // the folder that the submissions lie in
	root    *os.Root // the same
	entries int
	joined  string          // the folder of what was put together; "" where nothing was
	made    map[string]bool // what is in it, by name
	more    int             // ignored beyond maxIgnored
}

// maxIgnored bounds the list of what is no submission.
const maxIgnored = 1000

func (f *finder) ignore(name, reason string) {
	if len(f.class.Ignored) >= maxIgnored {
		f.more++
		return
	}
	f.class.Ignored = append(f.class.Ignored, Ignored{Path: name, Reason: reason})
}

func (f *finder) find() (err error) {
	if f.Pattern != "" {
		if f.pattern, err = compile(f.Pattern, f.Location); err != nil {
			return err
		}
	}
	if f.Roster != "" {
		if f.roster, err = readRoster(f.Roster, f.Location); err != nil {
			return err
		}
	}
	if err := f.openPath(); err != nil {
		return err
	}
	defer func() { _ = f.root.Close() }() // only read from
	items, err := f.items()
	if err != nil {
		return err
	}
	students, err := f.group(items)
	if err != nil {
		return err
	}
	if len(students) == 0 {
		return f.nothing()
	}
	f.settle(students)
	f.sort()
	return nil
}

// openPath opens the folder of the submissions, which an archive is first unpacked into.
func (f *finder) openPath() error {
	info, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Inputf("%s does not exist", f.Path).
			WithRemedy("name a folder of submissions, or the .zip that Canvas, Moodle or Gradescope lets you download")
	case err != nil:
		return fault.Inputf("read the submissions: %w", err)
	case info.IsDir():
		f.base = f.Path
	case !info.Mode().IsRegular() || archiveKind(info.Name()) == "":
		return fault.Inputf("%s is no folder and no archive", f.Path).
			WithRemedy("name a folder of submissions, or a .zip, .tar.gz or .tgz that holds them")
	default:
		if f.base, err = f.unpackPath(); err != nil {
			return err
		}
	}
	f.class.bases = append(f.class.bases, f.base)
	if f.root, err = os.OpenRoot(f.base); err != nil {
		return fault.Inputf("read the submissions: %w", err)
	}
	return nil
}

// unpackPath unpacks the archive that the submissions are in.
func (f *finder) unpackPath() (string, error) {
	dir, err := f.workFolder("unpacked")
	if err != nil {
		return "", err
	}
	into, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", f.Path, err)
	}
	defer func() { _ = into.Close() }() // every file in it was closed with care
	u := &unpacker{into: into, in: f.Location, ignore: f.ignore}
	if err := u.unpack(f.Path); err != nil {
		var ours *fs.PathError
		if errors.As(err, &ours) {
			return "", fault.Environmentf("unpack %s: %w", f.Path, err).WithRemedy("see whether the disk is full, and %s writable", dir)
		}
		return "", fault.Inputf("unpack %s: %w", f.Path, err).WithRemedy("download it again, or unpack it and name the folder")
	}
	return dir, nil
}

// workFolder returns an empty folder for what is unpacked or put together.
func (f *finder) workFolder(name string) (string, error) {
	work := f.Work
	if work == "" && f.class.temporary == "" {
		dir, err := os.MkdirTemp("", "labctl-class-")
		if err != nil {
			return "", fault.Environmentf("make a folder to unpack into: %w", err)
		}
		f.class.temporary = dir
	}
	dir := filepath.Join(cmp.Or(work, f.class.temporary), name)
	if err := os.RemoveAll(dir); err != nil {
		return "", fault.Environmentf("empty %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fault.Environmentf("make a folder to unpack into: %w", err)
	}
	return dir, nil
}

// nothing says what there was instead of submissions.
func (f *finder) nothing() error {
	if f.pattern != nil {
		return f.pattern.noMatch(f.Path, f.class.Ignored)
	}
	if len(f.class.Ignored) == 0 {
		return fault.Inputf("%s is empty", f.Path).WithRemedy("name the folder that holds one folder or archive for each student")
	}
	manifests := 0
	for _, i := range f.class.Ignored {
		if submission.IsManifest(i.Path) {
			manifests++
		}
	}
	first := f.class.Ignored[0]
	err := fault.Inputf("no submission in %s, but %d other things, as %q, which %s", f.Path, len(f.class.Ignored)+f.more, clean(first.Path), first.Reason)
	if manifests > 0 {
		return err.WithRemedy("if it is one student's submission, grade it with: labctl grade %s --lab LAB", f.Path)
	}
	return err.WithRemedy("name the folder that holds one folder or archive for each student, or say with --pattern how they are named")
}

// sort puts everything into an order that does not depend on the file system.
func (f *finder) sort() {
	c := f.class
	slices.SortFunc(c.Students, func(a, b Student) int {
		return cmp.Or(cmp.Compare(submission.Folded(a.ID), submission.Folded(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(c.Unmatched, func(a, b Unmatched) int { return cmp.Compare(a.Student, b.Student) })
	slices.SortStableFunc(c.Ignored, func(a, b Ignored) int { return cmp.Compare(a.Path, b.Path) })
	if f.more > 0 {
		c.Ignored = append(c.Ignored, Ignored{Path: ".", Reason: fmt.Sprintf("holds %d more things that are no submissions", f.more)})
	}
}
