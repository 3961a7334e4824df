package class

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/submission"
)

// item is a folder or a file of one student's.
type item struct {
	owner    owner
	path     string // relative to the folder of the submissions, with slashes
	dir      bool
	archive  bool
	size     int64
	modified time.Time // of a folder, the newest of what is in it
	original string    // a loose file's own name
	late     bool
	file     string    // Canvas' number
	time     time.Time // as the pattern says
	inside   contents
}

// owner is whose an item is, as far as its name says.
type owner struct {
	name    string // unclean
	number  string // of the learning platform, or the pattern's id
	full    string // the student's full name, where the name is one
	email   string
	columns map[string]string
}

// entry is what a folder holds under a name.
type entry struct {
	name string
	info fs.FileInfo
}

// list returns what a folder holds and may be a submission, by name.
func (f *finder) list(dir string) ([]entry, error) {
	found, err := fs.ReadDir(f.root.FS(), dir)
	if err != nil {
		return nil, f.unreadable(dir, err)
	}
	var all []entry
	for _, d := range found {
		name := path.Join(dir, d.Name())
		if err := f.count(); err != nil {
			return nil, err
		}
		if submission.Hidden(d.Name()) {
			continue
		}
		info, err := d.Info()
		switch {
		case err != nil:
			return nil, f.unreadable(name, err)
		case info.Mode()&fs.ModeSymlink != 0:
			f.ignore(name, "is a link, which is not followed")
		case !info.IsDir() && !info.Mode().IsRegular():
			f.ignore(name, "is not an ordinary file")
		case !f.own(info):
			all = append(all, entry{d.Name(), info})
		}
	}
	return all, nil
}

func (f *finder) count() error {
	if f.entries++; f.entries > maxEntries {
		return fault.Inputf("%s holds more than %d files and folders", f.Path, maxEntries).
			WithRemedy("name the folder of the submissions of one class and nothing else")
	}
	return nil
}

func (f *finder) unreadable(name string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fault.Inputf("read %q in %s: %w", name, f.Path, err).WithRemedy("make it readable, or take it out of the folder")
}

// own tells whether a file is not the students' but the grading's.
func (f *finder) own(info fs.FileInfo) bool {
	for _, name := range append([]string{f.Roster, f.Work}, f.Skip...) {
		if name == "" {
			continue
		}
		if other, err := os.Stat(name); err == nil && os.SameFile(info, other) {
			return true
		}
	}
	return false
}

// items finds the folders and files of the students, and whose they are.
func (f *finder) items() ([]item, error) {
	if f.pattern != nil {
		f.class.Layout = Pattern
		return f.matches()
	}
	dir, entries, err := f.top()
	if err != nil {
		return nil, err
	}
	if f.class.Layout = f.layout(namesOf(entries)); f.class.Layout == Gradescope {
		return f.exportItems(dir, entries)
	}
	var items []item
	for _, e := range entries {
		it, ok := f.item(path.Join(dir, e.name), e)
		if !ok {
			continue
		}
		if it.dir {
			if it.inside, err = f.inspect(it.path); err != nil {
				return nil, err
			}
			it.modified = it.inside.newest
		}
		items = append(items, it)
	}
	return items, nil
}

func namesOf(entries []entry) []string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name
	}
	return names
}

// top returns the folder that holds the submissions: archives are often made of one, and the
// download of a learning platform is often unpacked into one.
func (f *finder) top() (string, []entry, error) {
	dir := "."
	entries, err := f.list(dir)
	for depth := 0; err == nil && len(entries) == 1 && entries[0].info.IsDir() && depth < maxDepth; depth++ {
		if f.layout(namesOf(entries)) != Folders {
			break
		}
		below := path.Join(dir, entries[0].name)
		var inner []entry
		ignored := len(f.class.Ignored)
		if inner, err = f.list(below); err != nil {
			break
		}
		// A single folder in a folder may be the only student's.
		whole := f.base != f.Path && len(inner) > 0 && !slices.ContainsFunc(inner, func(e entry) bool {
			return !e.info.IsDir() && archiveKind(e.name) == ""
		})
		if !whole && f.layout(namesOf(inner)) == Folders {
			f.class.Ignored = f.class.Ignored[:ignored]
			break
		}
		dir, entries = below, inner
	}
	return dir, entries, err
}

// item makes an item of an entry, unless it is no submission.
func (f *finder) item(name string, e entry) (item, bool) {
	it := item{path: name, dir: e.info.IsDir(), size: e.info.Size(), modified: e.info.ModTime()}
	kind := archiveKind(e.name)
	it.archive = !it.dir && kind != ""
	q, ok := f.parse(f.class.Layout, e.name)
	if !ok {
		stem := e.name
		if it.archive {
			stem = e.name[:len(e.name)-len(kind)]
		}
		if !it.dir && !it.archive {
			f.ignore(name, "is neither a folder nor an archive")
			return item{}, false
		}
		it.owner = owner{name: stem, full: stem}
		return it, true
	}
	if q.kind != "file" {
		f.ignore(name, notFiles(q.kind))
		return item{}, false
	}
	it.original, it.late, it.file = q.original, q.late, q.file
	it.owner = f.ownerOf(q)
	return it, true
}

// notFiles says what a platform lets download that is no file of a student's.
func notFiles(kind string) string {
	switch kind {
	case "text":
		return "is a text typed into Canvas"
	case "link":
		return "is a link handed in to Canvas"
	case "onlinetext":
		return "is a text typed into Moodle"
	default:
		return fmt.Sprintf("comes from Moodle's plugin %q, not from files", kind)
	}
}

// ownerOf says whose a platform's file is. The columns are those by which the platform finds
// the student when grades are imported.
func (f *finder) ownerOf(q parsed) owner {
	o := owner{name: q.name, number: q.number}
	switch {
	case f.class.Layout == Canvas:
		o.columns = map[string]string{"ID": q.number}
	case q.number != "":
		o.columns = map[string]string{"Identifier": "Participant " + q.number}
		fallthrough
	default:
		o.full = q.name
	}
	if o.name == "" { // graded anonymously
		o.name = q.number
	}
	return o
}

// contents is what is in a folder, as far as it matters here.
type contents struct {
	files     int
	manifests int
	archives  []entry // by path within the folder
	newest    time.Time
}

// inspect looks into a folder, without following links.
func (f *finder) inspect(dir string) (contents, error) {
	var c contents
	err := fs.WalkDir(f.root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return f.unreadable(name, err)
		}
		if name != dir && submission.Hidden(d.Name()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err := f.count(); err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return f.unreadable(name, err)
		}
		c.files++ // links, too: grading says what is wrong with them
		if !info.Mode().IsRegular() {
			return nil
		}
		if info.ModTime().After(c.newest) {
			c.newest = info.ModTime()
		}
		switch {
		case submission.IsManifest(d.Name()):
			c.manifests++
		case archiveKind(d.Name()) != "":
			c.archives = append(c.archives, entry{name, info})
		}
		return nil
	})
	return c, err
}
