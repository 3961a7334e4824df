package class

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
)

// handing is one student with everything that was handed in.
type handing struct {
	owner    owner
	attempts []attempt // the one that counts first
	id       string    // as the names say; the roster may know a better one
}

// attempt is one submission with what says which is the latest.
type attempt struct {
	Handed
	owner    owner
	time     time.Time // as the pattern says
	file     string    // Canvas' number, which grows
	again    int       // Canvas' number of a file that was handed in again
	modified time.Time
}

// latest puts the later attempt first. What decides does not depend on the order in which a
// file system lists.
func latest(a, b attempt) int {
	return -cmp.Or(
		a.time.Compare(b.time), lessNumber(a.file, b.file), cmp.Compare(a.again, b.again),
		a.modified.Compare(b.modified), cmp.Compare(a.Path, b.Path),
	)
}

// group puts together what is of the same student: of the same name, whatever its case and
// the way of writing accents, and the same number.
func (f *finder) group(items []item) ([]*handing, error) {
	f.class.Times = TimesFiles
	if f.platform() {
		f.class.Times = TimesUnknown
	}
	groups := map[string][]item{}
	for _, it := range items {
		if !it.time.IsZero() {
			f.class.Times = TimesPattern
			if f.class.Layout == Gradescope {
				f.class.Times = TimesExport
			}
		}
		key := submission.Folded(clean(it.owner.name)) + "\x00" + strings.TrimLeft(it.owner.number, "0")
		if key == "\x00" {
			f.ignore(it.path, "does not say whose it is")
			continue
		}
		groups[key] = append(groups[key], it)
	}
	keys := make([]string, 0, len(groups))
	for key := range groups {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var students []*handing
	for _, key := range keys {
		attempts, err := f.attempts(groups[key])
		if err != nil {
			return nil, err
		}
		slices.SortFunc(attempts, latest)
		h := &handing{owner: groups[key][0].owner, attempts: attempts}
		if len(attempts) > 0 {
			h.owner = attempts[0].owner
		}
		students = append(students, h)
	}
	if f.class.Layout == Moodle {
		unname(students)
	}
	identify(students)
	return students, nil
}

// platform tells whether a learning platform made the download.
func (f *finder) platform() bool {
	return slices.Contains([]Layout{Canvas, Moodle, Gradescope}, f.class.Layout)
}

// unname takes away the word, in Moodle's language, by which it calls everybody where the marking
// is blind: it is nobody's name.
func unname(students []*handing) {
	for _, h := range students {
		if len(students) < 2 || h.owner.number == "" || h.owner.full != students[0].owner.full {
			return
		}
	}
	for _, h := range students {
		h.owner.full = ""
	}
}

// attempts makes submissions of one student's items. Loose files that belong together become
// a folder; an archive counts before them.
func (f *finder) attempts(items []item) ([]attempt, error) {
	var all []attempt
	var loose []item
	for _, it := range items {
		switch {
		case it.dir:
			all = append(all, f.folderAttempts(it)...)
		case it.archive:
			all = append(all, f.attempt(it, it.path, it.modified))
		default:
			loose = append(loose, it)
		}
	}
	if len(loose) == 0 {
		return all, nil
	}
	if len(all) > 0 && f.pattern == nil {
		for _, it := range loose {
			f.ignore(it.path, "stands beside a folder or an archive of the same student, which counts")
		}
		return all, nil
	}
	for _, together := range f.together(loose) {
		a, ok, err := f.assemble(together)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, a)
		}
	}
	return all, nil
}

// folderAttempts makes submissions of a folder. One that holds archives and no manifest
// stands for them.
func (f *finder) folderAttempts(it item) []attempt {
	switch {
	case it.inside.files == 0:
		f.ignore(it.path, "is an empty folder")
		return nil
	case it.inside.manifests > 0 || len(it.inside.archives) == 0:
		return []attempt{f.attempt(it, it.path, it.modified)}
	}
	var all []attempt
	for _, e := range it.inside.archives {
		all = append(all, f.attempt(it, e.name, e.info.ModTime()))
	}
	return all
}

func (f *finder) attempt(it item, name string, modified time.Time) attempt {
	a := attempt{
		Handed: Handed{Path: filepath.Join(f.base, filepath.FromSlash(name)), LateFlag: it.late},
		owner:  it.owner, time: it.time, file: it.file, modified: modified,
	}
	if it.original != "" && f.class.Layout == Canvas {
		_, a.again = f.reupload(it.original)
	}
	a.Submitted = f.submitted(it.time, modified)
	return a
}

// submitted returns when something was handed in. The files of a download bear the time of the
// download, which would make everybody late.
func (f *finder) submitted(said, modified time.Time) time.Time {
	switch {
	case !said.IsZero():
		return said.UTC()
	case f.platform(), modified.IsZero():
		return time.Time{}
	default:
		return modified.UTC()
	}
}

// together returns the loose files by the submissions that they are of. A learning platform
// lets download one submission of each student; a pattern's files are of the same one where
// they lie in the same folder and name the same time.
func (f *finder) together(loose []item) [][]item {
	if f.pattern == nil {
		return [][]item{loose}
	}
	groups := map[string][]item{}
	var order []string
	for _, it := range loose {
		key := path.Dir(it.path) + "\x00" + it.time.UTC().Format(time.RFC3339Nano)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], it)
	}
	all := make([][]item, len(order))
	for i, key := range order {
		all[i] = groups[key]
	}
	return all
}

// identify gives every student an ID. Where several have the same name, the learning platform's
// numbers tell them apart.
func identify(students []*handing) {
	count := map[string]int{}
	for _, h := range students {
		h.id = clean(h.owner.name)
		if h.id == "" {
			h.id = clean(h.owner.number)
		}
		count[submission.Folded(h.id)]++
	}
	for _, h := range students {
		if number := clean(h.owner.number); count[submission.Folded(h.id)] > 1 && number != "" {
			h.id += "-" + number
		}
	}
	taken := map[string]bool{}
	for _, h := range students {
		h.id = unique(h.id, taken)
	}
}

// unique returns the ID, or one made of it that is not taken, and takes it.
func unique(id string, taken map[string]bool) string {
	free := id
	for n := 2; taken[submission.Folded(free)]; n++ {
		free = fmt.Sprintf("%s-%d", id, n)
	}
	taken[submission.Folded(free)] = true
	return free
}

// person is what the names alone say of a student; nil where that is nothing.
func (h *handing) person() *result.Person {
	p := &result.Person{Name: clean(h.owner.full), Email: clean(h.owner.email)}
	for column, value := range h.owner.columns {
		if value == "" {
			continue
		}
		if p.Columns == nil {
			p.Columns = map[string]string{}
		}
		p.Columns[column] = clean(value)
	}
	if submission.Folded(p.Name) == submission.Folded(h.id) && p.Email == "" && p.Columns == nil {
		return nil // no more than the ID says
	}
	return p
}

// student returns the student as the class lists it.
func (h *handing) student(id string, p *result.Person) Student {
	s := Student{ID: id, Person: p}
	for i, a := range h.attempts {
		handed := a.Handed
		if i == 0 {
			s.Handed = &handed
		} else {
			s.Superseded = append(s.Superseded, handed)
		}
	}
	return s
}
