// Package export derives every other format from the reports of a class. Everything that a
// submission or a student wrote is bounded, and escaped as the format wants it.
//
// What a report's status becomes is the same in all formats. Rejected is a score of 0, with the
// findings as the reason. Missing is a score of 0, but where a learning platform keeps the
// grades the cell is left as it is: the platform has its own rule for what was not handed in.
// An error of ours is no score at all, anywhere. The score is what is left after what being late
// costs; the one before stands beside it where the format has a place for it.
//
// Formats that students see have no trace of hidden checks, but their score is the full one
// where it does not have to be the sum of the checks that are shown.
package export

import (
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// Class is the reports of one lab, at most one a student, sorted by student.
type Class struct {
	Lab     result.Lab
	Reports []result.Report
	Pairs   []Pair // that are alike, the most alike first
}

// Pair is two submissions that are alike. What that means is for a person to find out.
type Pair struct {
	A          string   `json:"a"` // students
	B          string   `json:"b"`
	Similarity float64  `json:"similarity"`       // 0 to 1
	Shared     []string `json:"shared,omitempty"` // what both have, in words
}

// File is a file to write, or one that was read.
type File struct {
	Name string
	Data []byte
}

// Note is what a person has to know about an export: what became of whom.
type Note struct{ What, Who string }

// Output is what an export made.
type Output struct {
	Files []File // one; or one a student, each named by FileName
	Notes []Note
}

// Options are what a format may need beyond the reports. The zero value is of use to most.
type Options struct {
	// Student exports this student's report only.
	Student string
	// OutOf makes all points such that so many are full marks; 0 leaves them.
	OutOf float64
	// Assignment is the title that the learning platform has for the lab, by default the lab's
	// own, and AssignmentID the number that Canvas has for it.
	Assignment, AssignmentID string
	// Sheet is the file to fill in: Moodle's grading worksheet, or Canvas' gradebook.
	Sheet *File
	// Columns says which columns of a worksheet mean what, by their labels: identifier, grade,
	// feedback, and match, the only one to find students by. What is not named is recognised.
	Columns map[string]string
	// Environment holds what Classroom 50 says about the submission: CLASSROOM and so on.
	Environment map[string]string
	// Submitted is when it was handed in, where the report does not know.
	Submitted time.Time
	// Notice is what a student reads before anything else, a line each.
	Notice []string
	// Extra is what a machine reads beside the rest, by name; it may replace what is there.
	Extra map[string]string
	// Pages is where the overview finds the students' pages, from where it is itself; "" is
	// nowhere.
	Pages string
}

// Format is one format.
type Format struct {
	Name string
	Help string // what it is for, in some words
	// Each says that a file is about one student.
	Each bool
	// For names the fields of Options that the format knows beside Student and OutOf.
	For []string

	ext   string
	write func(*job) error
}

// Formats returns all formats.
func Formats() []Format {
	return []Format{
		{Name: "csv", Help: "a table of the class, with the points of every check", ext: "csv", write: writeCSV},
		{Name: "overview", Help: "a page about the class, for instructors", For: []string{"Pages"}, ext: "html", write: writeOverview},
		{Name: "html", Help: "a page for each student", Each: true, ext: "html", write: writePage},
		{Name: "markdown", Help: "a summary, as for GITHUB_STEP_SUMMARY", ext: "md", write: writeMarkdown},
		{Name: "canvas", Help: "a gradebook to import into Canvas", For: []string{"Assignment", "AssignmentID", "Sheet"}, ext: "csv", write: writeCanvas},
		{Name: "moodle", Help: "Moodle's grading worksheet, filled in", For: []string{"Sheet", "Columns"}, ext: "csv", write: writeMoodle},
		{Name: "nbgrader", Help: "nbgrader's table of grades", For: []string{"Assignment"}, ext: "csv", write: writeNbgrader},
		{Name: "gradescope", Help: "Gradescope's results.json", Each: true, For: []string{"Notice", "Extra"}, ext: "json", write: writeGradescope},
		{Name: "prairielearn", Help: "PrairieLearn's results.json", Each: true, ext: "json", write: writePrairieLearn},
		{Name: "classroom50", Help: "Classroom 50's result.json", Each: true, For: []string{"Environment", "Submitted"}, ext: "json", write: writeClassroom50},
		{Name: "github-classroom", Help: "GitHub Classroom's result, as its reporter reads it", Each: true, ext: "txt", write: writeGitHubClassroom},
		{Name: "junit", Help: "JUnit XML, a suite a student", ext: "xml", write: writeJUnit},
	}
}

// FormatOf returns the format of that name.
func FormatOf(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Format{}, fault.Inputf("there is no format %q", name).WithRemedy("use one of %s", strings.Join(names, ", "))
}

// job is one export under way.
type job struct {
	class   *Class
	options Options
	format  Format
	out     Output
}

// add adds a file that is about a student, or about the class where r is nil.
func (j *job) add(r *result.Report, data []byte) {
	name := j.format.Name
	if r != nil {
		name = FileName(r.Student)
	}
	j.out.Files = append(j.out.Files, File{Name: name + "." + j.format.ext, Data: data})
}

func (j *job) note(what, who string) {
	j.out.Notes = append(j.out.Notes, Note{What: what, Who: line(who, nameLimit)})
}

// noteUngraded notes whom the format has no score for, through a fault of ours.
func (j *job) noteUngraded() {
	for i := range j.class.Reports {
		if r := &j.class.Reports[i]; r.Status == result.Errored {
			j.note("not graded", r.Student)
		}
	}
}

// Export writes the class in a format. Errors are fault.Input where an option is not as the
// format needs it, and fault.Environment where there is nothing to write since nothing was
// graded.
func (c *Class) Export(format string, o Options) (*Output, error) {
	f, err := FormatOf(format)
	if err != nil {
		return nil, err
	}
	class, err := c.prepared(o)
	if err != nil {
		return nil, err
	}
	j := &job{class: class, options: o, format: f}
	if err := f.write(j); err != nil {
		return nil, err
	}
	return &j.out, nil
}

// prepared returns the reports that are asked for, in the points that are asked for. A report
// without a maximum, since nothing was graded, gets that of the others.
func (c *Class) prepared(o Options) (*Class, error) {
	if o.OutOf < 0 || math.IsNaN(o.OutOf) || math.IsInf(o.OutOf, 0) {
		return nil, fault.Inputf("full marks are %g points", o.OutOf).WithRemedy("give a number above 0, as in --out-of 10")
	}
	most := 0.0
	for i := range c.Reports {
		most = max(most, c.Reports[i].MaxScore)
	}
	prepared := &Class{Lab: c.Lab, Pairs: c.Pairs}
	for _, r := range c.Reports {
		if o.Student != "" && r.Student != o.Student {
			continue
		}
		if r.MaxScore == 0 {
			r.MaxScore = most
		}
		if r.Status != result.Graded {
			r.Score = 0
		}
		if o.OutOf > 0 {
			r = scaled(r, o.OutOf)
		}
		prepared.Reports = append(prepared.Reports, r)
	}
	if len(prepared.Reports) == 0 {
		return nil, fault.Inputf("there is no report of student %q", o.Student).WithRemedy("%s", c.known())
	}
	return prepared, nil
}

// known names some students.
func (c *Class) known() string {
	var names []string
	for _, r := range c.Reports[:min(len(c.Reports), 10)] {
		names = append(names, line(r.Student, 40))
	}
	if len(c.Reports) > len(names) {
		names = append(names, "…")
	}
	return "there are " + strings.Join(names, ", ")
}

// scaled returns the report in points of which outOf are full marks.
func scaled(r result.Report, outOf float64) result.Report {
	factor := 0.0
	if r.MaxScore > 0 {
		factor = outOf / r.MaxScore
	}
	r.Score, r.MaxScore = r.Score*factor, outOf
	r.Signature = nil
	r.Checks = slices.Clone(r.Checks)
	for i := range r.Checks {
		r.Checks[i].Points *= factor
		r.Checks[i].MaxPoints *= factor
	}
	if r.Late != nil {
		late := *r.Late
		late.Points *= factor
		r.Late = &late
	}
	return r
}

// score returns the score that counts, and whether there is one.
func score(r *result.Report) (float64, bool) {
	switch r.Status {
	case result.Graded:
		return r.Final(), true
	case result.Rejected, result.Missing:
		return 0, true
	default:
		return 0, false
	}
}

// forStudent is the report as its student may see it. What being late costs is that share of
// the points that are shown.
func forStudent(full *result.Report) result.Report {
	hidden := map[string]bool{}
	for _, c := range full.Checks {
		hidden[c.ID] = c.Hidden()
	}
	r := full.ForStudent()
	if len(r.Checks) == len(full.Checks) {
		return r
	}
	for i, c := range r.Checks {
		// The message names the check that it depends on.
		if c.Status == result.Skipped && slices.ContainsFunc(words(c.Message), func(w string) bool { return hidden[w] }) {
			r.Checks[i].Message = "depends on another check, which did not pass"
		}
	}
	if r.Late != nil {
		late := *r.Late
		late.Points = r.Score * late.Percent / 100
		r.Late = &late
	}
	return r
}

// words are the ids that a message may name.
func words(message string) []string {
	return strings.FieldsFunc(message, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// page is where the overview finds a student's page.
func (o Options) page(student string) string {
	if o.Pages == "" {
		return ""
	}
	return path.Join(o.Pages, FileName(student)+".html")
}
