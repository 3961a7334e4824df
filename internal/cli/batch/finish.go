package batch

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/export"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// The files beside the reports.
const (
	exportsDir   = "exports"
	overviewName = "overview.html"
	bookCSV      = "gradebook.csv"
)

// exports are the formats that need nothing but the reports, and where they go. What fills in
// an instructor's own file is made by labctl report.
func exports() []struct{ format, to string } {
	return []struct{ format, to string }{
		{"csv", bookCSV}, {"markdown", "gradebook.md"}, {"html", batch.ReportsDir},
		{"junit", filepath.Join(exportsDir, "junit.xml")}, {"nbgrader", filepath.Join(exportsDir, "nbgrader.csv")},
		{"canvas", filepath.Join(exportsDir, "canvas.csv")}, {"gradescope", filepath.Join(exportsDir, "gradescope")},
		{"prairielearn", filepath.Join(exportsDir, "prairielearn")}, {"github-classroom", filepath.Join(exportsDir, "github-classroom")},
	}
}

// finish writes the pages, the gradebook and the other formats, and says how it went.
func (r *run) finish(a *alike) error {
	reports, err := export.Load(r.folder.Path)
	if err != nil {
		return err
	}
	for _, e := range exports() {
		if err := r.export(reports, e.format, e.to, export.Options{}); err != nil {
			return err
		}
	}
	reports.Pairs = nil // those of an earlier run
	for _, p := range a.pairs() {
		reports.Pairs = append(reports.Pairs, export.Pair{A: p.A, B: p.B, Similarity: p.Similarity, Shared: p.Shared})
	}
	if err := reports.SavePairs(r.folder.Path); err != nil {
		return err
	}
	if err := r.export(reports, "overview", overviewName, export.Options{Pages: batch.ReportsDir}); err != nil {
		return err
	}
	return r.summary(reports, len(reports.Pairs))
}

// export writes the class in one format: a file, or a file a student into a folder.
func (r *run) export(c *export.Class, format, to string, o export.Options) error {
	f, err := export.FormatOf(format)
	if err != nil {
		return err
	}
	made, err := c.Export(format, o)
	if fault.KindOf(err) == fault.Environment && err != nil && len(graded(c)) == 0 {
		return nil // nothing was graded, so there is nothing to write
	}
	if err != nil {
		return err
	}
	for _, file := range made.Files {
		name := filepath.Join(r.folder.Path, to)
		if f.Each {
			name = filepath.Join(name, file.Name)
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := batch.Replace(name, file.Data); err != nil {
			return err
		}
	}
	return nil
}

func graded(c *export.Class) []result.Report {
	return slices.DeleteFunc(slices.Clone(c.Reports), func(r result.Report) bool { return r.Status == result.Errored })
}

// summary says how it went and what to do next.
func (r *run) summary(c *export.Class, pairs int) error {
	counts := map[result.Status]int{}
	for _, report := range c.Reports {
		counts[report.Status]++
	}
	out, dir := r.opts.Streams.Err, r.folder.Path
	fmt.Fprintf(out, "%d students: %s\n", len(c.Reports), Counts(counts))
	r.remarks(out, pairs)
	fmt.Fprintf(out, "overview   %s\ngradebook  %s\nreports    %s\n", filepath.Join(dir, overviewName), filepath.Join(dir, bookCSV), filepath.Join(dir, batch.ReportsDir))
	if n := counts[result.Errored]; n > 0 {
		fmt.Fprintf(out, "Next: run the same command again, for the %d that could not be graded\n", n)
		return &ui.ExitError{Code: 1}
	}
	fmt.Fprintf(out, "Next: labctl report %s --format canvas|moodle|… (see: labctl report --help)\n", dir)
	return nil
}

// remarks say what a person should look at.
func (r *run) remarks(out io.Writer, pairs int) {
	for _, u := range r.class.Unmatched {
		fmt.Fprintf(out, "note\t%s: %s\n", ui.Clean(u.Student, 0), ui.Clean(u.Reason, 0))
	}
	for _, s := range r.class.Students {
		if len(s.Superseded) > 0 {
			fmt.Fprintf(out, "note\t%s handed in %d times: %s counts\n", ui.Clean(s.ID, 0), len(s.Superseded)+1, ui.Clean(s.Handed.Path, 0))
		}
	}
	if n := len(r.class.Ignored); n > 0 {
		fmt.Fprintf(out, "note\t%d files are no submissions (see: --dry-run)\n", n)
	}
	if !r.rules.due.IsZero() && r.class.Times == class.TimesUnknown {
		fmt.Fprintf(out, "note\tthe download does not say when anything was handed in, so nothing counts as late\n")
	}
	if pairs > 0 {
		fmt.Fprintf(out, "note\t%d pairs of submissions share what hardly anybody else has: see the overview\n", pairs)
	}
}
