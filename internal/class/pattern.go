package class

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/submission"
)

const patternRemedy = `a pattern has a group for the student, as in --pattern '(?P<student>[^/]+)/(?P<time>\d+)/.*\.zip'`

// pattern is a regular expression for the whole path of a submission.
type pattern struct {
	text string
	re   *regexp.Regexp
	in   *time.Location
	seen []string // a few paths that do not match
}

func compile(text string, in *time.Location) (*pattern, error) {
	if _, err := regexp.Compile(text); err != nil { // its own error speaks of what was written
		return nil, fault.Inputf("pattern %q: %w", text, err).WithRemedy(patternRemedy)
	}
	re, err := regexp.Compile(`^(?:` + text + `)$`)
	if err != nil {
		return nil, fault.Inputf("pattern %q: %w", text, err).WithRemedy(patternRemedy)
	}
	if !slices.Contains(re.SubexpNames(), "student") {
		return nil, fault.Inputf("pattern %q: has no group named student", text).WithRemedy(patternRemedy)
	}
	return &pattern{text: text, re: re, in: in}, nil
}

// noMatch says what the paths are like that the pattern does not match.
func (p *pattern) noMatch(name string, ignored []Ignored) error {
	seen := p.seen
	for _, i := range ignored {
		if len(seen) < 3 && !slices.Contains(seen, i.Path) {
			seen = append(seen, i.Path)
		}
	}
	if len(seen) == 0 {
		return fault.Inputf("%s is empty", name).WithRemedy("name the folder that holds the submissions")
	}
	quoted := make([]string, len(seen))
	for i, s := range seen {
		quoted[i] = fmt.Sprintf("%.100q", s)
	}
	return fault.Inputf("pattern %q matches nothing in %s; there are paths such as %s", p.text, name, strings.Join(quoted, ", ")).
		WithRemedy("the pattern has to match the whole path within the folder, with / between folders")
}

// match makes an item of a path, where the pattern matches it.
func (p *pattern) match(name string) (item, bool, error) {
	m := p.re.FindStringSubmatch(name)
	if m == nil {
		return item{}, false, nil
	}
	it := item{path: name, owner: owner{columns: map[string]string{}}}
	for i, group := range p.re.SubexpNames() {
		switch value := m[i]; group {
		case "":
		case "student":
			it.owner.name = strings.TrimSuffix(value, archiveKind(value))
		case "id":
			it.owner.number = value
		case "name":
			it.owner.full = value
		case "email":
			it.owner.email = value
		case "time":
			if value == "" {
				continue
			}
			var err error
			if it.time, err = parseTime(value, p.in); err != nil {
				return item{}, false, fault.Inputf("pattern %q: time %q of %q: %w", p.text, value, name, err).
					WithRemedy("the group time takes RFC 3339, or digits such as 20261125T164500, 2026-11-25_16-45-00 or Unix seconds")
			}
		default:
			it.owner.columns[group] = value
		}
	}
	return it, clean(it.owner.name) != "", nil
}

// parseTime reads a time as file names write it. Without a zone it is in the location.
func parseTime(text string, in *time.Location) (time.Time, error) {
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		n, _ := strconv.ParseInt(text, 10, 64)
		switch len(text) {
		case 9, 10:
			return time.Unix(n, 0), nil
		case 13:
			return time.UnixMilli(n), nil
		}
	}
	zone := ""
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if strings.HasSuffix(text, "Z") {
		zone = "Z"
	}
	if !regexp.MustCompile(`^\d{4}[-_.]?\d\d[-_.]?\d\d(?:[T _-]*\d\d[-_.:h]?\d\d(?:[-_.:m]?\d\ds?)?)?Z?$`).MatchString(text) {
		return time.Time{}, errors.New("is not understood")
	}
	layouts := map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}
	t, err := time.ParseInLocation(layouts[len(digits)]+strings.Repeat("Z07:00", len(zone)), digits+zone, in)
	if err != nil {
		return time.Time{}, errors.New("is no time of the calendar")
	}
	return t, nil
}

// matches finds what the pattern matches, at any depth. A folder that it matches is taken as a
// whole.
func (f *finder) matches() ([]item, error) {
	var items []item
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return f.unreadable(name, err)
		case name == ".":
			return nil
		case submission.Hidden(d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err := f.count(); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return f.unreadable(name, err)
		}
		if f.own(info) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		it, ok, err := f.matched(name, info)
		if err != nil || !ok {
			return err
		}
		items = append(items, it)
		if it.dir {
			return fs.SkipDir
		}
		return nil
	})
	return items, err
}

// matched makes an item of what a path leads to, or tells why it is none.
func (f *finder) matched(name string, info fs.FileInfo) (item, bool, error) {
	it, ok, err := f.pattern.match(name)
	switch {
	case err != nil:
		return item{}, false, err
	case info.Mode()&fs.ModeSymlink != 0:
		f.ignore(name, "is a link, which is not followed")
		return item{}, false, nil
	case !info.IsDir() && !info.Mode().IsRegular():
		f.ignore(name, "is not an ordinary file")
		return item{}, false, nil
	case !ok:
		if len(f.pattern.seen) < 3 {
			f.pattern.seen = append(f.pattern.seen, name)
		}
		if !info.IsDir() {
			f.ignore(name, "does not match the pattern")
		}
		return item{}, false, nil
	}
	it.dir, it.size, it.modified = info.IsDir(), info.Size(), info.ModTime()
	it.archive = !it.dir && archiveKind(name) != ""
	it.original = path.Base(name)
	if it.dir {
		if it.inside, err = f.inspect(name); err != nil {
			return item{}, false, err
		}
		it.modified = it.inside.newest
	}
	return it, true, nil
}
