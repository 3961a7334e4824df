package class

import (
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"labctl.dev/labctl/internal/fault"
)

// exportList is the file in Gradescope's export that says whose the folders are, and when they
// were handed in. It has the results of Gradescope's autograder, too, which may be long.
const exportList = "submission_metadata.yml"

// maxExportList bounds it, in bytes.
const maxExportList = 64 << 20

// exported is what the list says of one folder. A group hands in one for several.
type exported struct {
	Submitters []struct {
		Name  string `yaml:":name"`
		SID   string `yaml:":sid"` // the school's number
		Email string `yaml:":email"`
	} `yaml:":submitters"`
	Created string `yaml:":created_at"`
}

// isExport tells whether the names are those of Gradescope's export.
func isExport(names []string) bool {
	return slices.Contains(names, exportList) &&
		slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "submission_") && name != exportList })
}

// exportItems finds the folders of an export, and whose they are.
func (f *finder) exportItems(dir string, entries []entry) ([]item, error) {
	list, err := f.exportList(path.Join(dir, exportList))
	if err != nil {
		return nil, err
	}
	var items []item
	for _, e := range entries {
		name := path.Join(dir, e.name)
		if e.name == exportList {
			continue
		}
		if !e.info.IsDir() {
			f.ignore(name, "is no folder, and in Gradescope's export everything handed in is in one")
			continue
		}
		it := item{path: name, dir: true}
		if it.inside, err = f.inspect(name); err != nil {
			return nil, err
		}
		it.modified = it.inside.newest
		listed := list[e.name]
		delete(list, e.name)
		it.time = exportTime(listed.Created)
		if len(listed.Submitters) == 0 { // it is graded under its own name
			it.owner = owner{name: e.name}
			items = append(items, it)
		}
		for _, s := range listed.Submitters {
			it.owner = owner{name: s.Name, full: s.Name, number: s.SID, email: s.Email}
			if clean(s.Name) == "" {
				it.owner.name = s.Email
			}
			items = append(items, it)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		f.ignore(path.Join(dir, name), "is listed in "+exportList+", and is not there")
	}
	return items, nil
}

// exportList reads the list.
func (f *finder) exportList(name string) (map[string]exported, error) {
	const remedy = "export the submissions from Gradescope again, or say with --pattern whose they are"
	file, err := f.root.Open(name)
	if err != nil {
		return nil, f.unreadable(name, err)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxExportList+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, f.unreadable(name, err)
	}
	if len(data) > maxExportList {
		return nil, fault.Inputf("%s in %s is larger than %d bytes", name, f.Path, maxExportList).WithRemedy(remedy)
	}
	var list map[string]exported
	if err := yaml.Unmarshal(data, &list); err != nil {
		return nil, fault.Inputf("%s in %s is no list of Gradescope's: %s", name, f.Path, strings.ReplaceAll(clean(err.Error()), "  ", " ")).WithRemedy(remedy)
	}
	return list, nil
}

// exportTime reads a time as the list has it, with a space before the zone; zero is none.
func exportTime(text string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05.999999999 Z07:00", "2006-01-02 15:04:05.999999999 -0700", time.RFC3339Nano} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t
		}
	}
	return time.Time{}
}
