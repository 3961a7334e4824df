package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/result"
)

// What is read at most.
const (
	maxReport  = 8 << 20 // bytes; one takes some 20 KB
	maxReports = 20_000
	maxTotal   = 1 << 30 // bytes, of all reports
)

const reportsDir = "reports"

const batchRemedy = "name the folder that labctl batch wrote to, or a report that labctl grade --json wrote"

// Load reads the reports of a batch's output folder, which lie in its folder reports, or one
// report where path is a file. A fault.Input names the file that is no report, or that does not
// belong to the others.
func Load(path string) (*Class, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.Inputf("find the reports: %w", err).WithRemedy(batchRemedy)
	}
	if !info.IsDir() {
		r, _, err := loadReport(path)
		if err != nil {
			return nil, err
		}
		return &Class{Lab: r.Lab, Reports: []result.Report{*r}}, nil
	}
	names, err := reportFiles(path)
	if err != nil {
		return nil, err
	}
	l := loading{class: &Class{}, students: map[string]string{}}
	total := int64(0)
	for _, name := range names {
		r, size, err := loadReport(name)
		if err != nil {
			return nil, err
		}
		if total += size; total > maxTotal {
			return nil, fault.Inputf("the reports in %s are more than %d bytes", path, maxTotal).WithRemedy("split the class")
		}
		if err := l.add(name, *r); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(l.class.Reports, func(a, b result.Report) int { return strings.Compare(a.Student, b.Student) })
	if l.class.Pairs, err = loadPairs(path); err != nil {
		return nil, err
	}
	return l.class, nil
}

// reportFiles lists the files of reports.
func reportFiles(path string) ([]string, error) {
	dir := filepath.Join(path, reportsDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.Inputf("%s holds no reports: %w", path, err).WithRemedy(batchRemedy)
	}
	var names []string
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".json" {
			continue // what a report replaced, one that is being written, a page
		}
		if !e.Type().IsRegular() {
			return nil, fault.Inputf("%s is no file", name).WithRemedy("take it out: reports are plain files")
		}
		names = append(names, name)
	}
	switch {
	case len(names) == 0:
		return nil, fault.Inputf("%s holds no reports", dir).WithRemedy(batchRemedy)
	case len(names) > maxReports:
		return nil, fault.Inputf("%s holds %d reports, and at most %d are read", dir, len(names), maxReports).WithRemedy("split the class")
	}
	return names, nil
}

// loading gathers the reports of a class.
type loading struct {
	class    *Class
	first    string            // the file that says which lab it is
	version  string            // the file that says which version it is
	students map[string]string // the file of each
}

func (l *loading) add(name string, r result.Report) error {
	lab := &l.class.Lab
	switch {
	case l.first == "":
		*lab, l.first, l.version = r.Lab, name, name
	case r.Lab.ID != lab.ID:
		return fault.Inputf("%s is about lab %s, and %s about lab %s", l.first, line(lab.ID, nameLimit), name, line(r.Lab.ID, nameLimit)).
			WithRemedy("keep each lab's reports in a folder of their own")
	case r.Lab.Version != "" && lab.Version != "" && r.Lab.Version != lab.Version:
		return fault.Inputf("%s was graded by version %s of the lab, and %s by version %s", l.version, line(lab.Version, nameLimit), name, line(r.Lab.Version, nameLimit)).
			WithRemedy("grade all of them by the same version: labctl batch --regrade")
	}
	if lab.Version == "" {
		lab.Version, l.version = r.Lab.Version, name
	}
	if lab.Title == "" {
		lab.Title = r.Lab.Title
	}
	if other, ok := l.students[r.Student]; ok {
		return fault.Inputf("%s and %s are both about student %s", other, name, line(r.Student, nameLimit)).
			WithRemedy("take one of them out of the folder")
	}
	l.students[r.Student] = name
	l.class.Reports = append(l.class.Reports, r)
	return nil
}

// loadReport reads one report, and tells its size.
func loadReport(name string) (*result.Report, int64, error) {
	data, err := home.Read(name, maxReport)
	if errors.As(err, new(*home.TooLarge)) {
		return nil, 0, fault.Inputf("read a report: %w", err).WithRemedy("take it out of the folder")
	}
	if err != nil {
		return nil, 0, fault.Inputf("read a report: %w", err).WithRemedy(batchRemedy)
	}
	r, err := decode(data)
	if err != nil {
		return nil, 0, fault.Inputf("%s is no report: %w", name, err).WithRemedy("take it out of the folder, or let labctl grade that submission again")
	}
	return r, int64(len(data)), nil
}

func decode(data []byte) (*result.Report, error) {
	var r result.Report
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	return &r, valid(&r)
}

// valid tells what in a report cannot be.
func valid(r *result.Report) error {
	switch {
	case r.Schema != result.Schema:
		return fmt.Errorf("schema is %.100q, not %q", r.Schema, result.Schema)
	case r.Lab.ID == "":
		return errors.New("lab.id is empty")
	case r.Student == "":
		return errors.New("student is empty")
	case !slices.Contains([]result.Status{result.Graded, result.Rejected, result.Errored, result.Missing}, r.Status):
		return fmt.Errorf("status is %.100q", r.Status)
	case !amount(r.Score) || !amount(r.MaxScore):
		return fmt.Errorf("score is %g of %g", r.Score, r.MaxScore)
	case r.Late != nil && (!amount(r.Late.Points) || !amount(r.Late.Percent) || !amount(r.Late.Seconds)):
		return fmt.Errorf("late is %g points, %g%%, %g seconds", r.Late.Points, r.Late.Percent, r.Late.Seconds)
	}
	seen := map[string]bool{}
	for i, c := range r.Checks {
		switch {
		case c.ID == "":
			return fmt.Errorf("checks[%d].id is empty", i)
		case seen[c.ID]:
			return fmt.Errorf("checks[%d].id is %.100q, as another's is", i, c.ID)
		case !slices.Contains([]result.CheckStatus{result.Passed, result.Failed, result.Error, result.Skipped}, c.Status):
			return fmt.Errorf("checks[%d].status is %.100q", i, c.Status)
		case !amount(c.Points) || !amount(c.MaxPoints) || !amount(c.Seconds):
			return fmt.Errorf("checks[%d] has %g of %g points after %g seconds", i, c.Points, c.MaxPoints, c.Seconds)
		}
		seen[c.ID] = true
	}
	return nil
}

// amount tells whether a number can be points or seconds.
func amount(f float64) bool { return f >= 0 && f < 1e9 && !math.IsNaN(f) }
