package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/export"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/ui"
)

// maxSheet bounds a worksheet or gradebook, in bytes.
const maxSheet = 32 << 20

type exportOptions struct {
	streams ui.Streams
	path    string
	format  string
	out     string

	student      string
	outOf        float64
	outOfGiven   bool
	assignment   string
	assignmentID string
	worksheet    string
	gradebook    string
	columns      map[string]string
	submitted    string
	pages        string

	given []string // the flags that were given
}

// fields are the flags that not every format knows, by the field of export.Options that they
// set.
func fields() map[string]string {
	return map[string]string{
		"assignment": "Assignment", "assignment-id": "AssignmentID", "worksheet": "Sheet", "gradebook": "Sheet",
		"column": "Columns", "submitted": "Submitted", "pages": "Pages",
	}
}

func newExportCmd(streams ui.Streams, run func(context.Context, *exportOptions) error) *cobra.Command {
	opts := &exportOptions{streams: streams}
	if run == nil {
		run = runExport
	}
	cmd := &cobra.Command{
		Use:   "report DIR --format F",
		Short: "Turn reports into grades for other tools; sign and verify them",
		Long: `Report derives other formats from the reports of a class. DIR is the folder that labctl batch
wrote to, or one report that labctl grade --json wrote.

Formats:
` + formatHelp() + `
The formats about one student write a file for each into the folder --out, or one file where DIR
is one report or --student says whose. A submission that is not graded, through a fault of ours,
has no score in any format; whose that is, and whatever else could not be filled in, is said on
stderr.

Reports can be signed while they are made (labctl grade --sign), so that whoever gets one can
tell that it came from the grader and that nothing in it was changed since: see key and verify.`,
		Example: `  labctl report graded --format csv --out grades.csv
  labctl report graded --format html --out pages
  labctl report graded --format canvas --gradebook download.csv --assignment-id 4711 --out import.csv
  labctl report graded --format moodle --worksheet download.csv --out upload.csv
  labctl report anna.json --format gradescope --out results.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			opts.path = args[0]
			if _, err := os.Stat(opts.path); err != nil {
				if near := cmd.SuggestionsFor(opts.path); len(near) > 0 {
					return fault.Inputf("%s is neither a folder nor a command: %w", opts.path, err).WithRemedy("%s %s", cmd.CommandPath(), near[0])
				}
			}
			opts.outOfGiven = cmd.Flags().Changed("out-of")
			for name := range fields() {
				if cmd.Flags().Changed(name) {
					opts.given = append(opts.given, name)
				}
			}
			slices.Sort(opts.given)
			return run(cmd.Context(), opts)
		},
	}
	cmd.SuggestionsMinimumDistance = 2
	f := cmd.Flags()
	f.StringVar(&opts.format, "format", "", "the format to write")
	f.StringVarP(&opts.out, "out", "o", "", "the file to write, or the folder for a file a student (default: stdout)")
	f.StringVar(&opts.student, "student", "", "only this student's")
	f.Float64Var(&opts.outOf, "out-of", 0, "let so many points be full marks (default: the lab's)")
	f.StringVar(&opts.assignment, "assignment", "", "what the learning platform calls the lab (default: the lab's title)")
	f.StringVar(&opts.assignmentID, "assignment-id", "", "the assignment's number in Canvas")
	f.StringVar(&opts.worksheet, "worksheet", "", "the grading worksheet that was downloaded from Moodle")
	f.StringVar(&opts.gradebook, "gradebook", "", "the gradebook that was downloaded from Canvas (default: make one of the roster)")
	f.StringToStringVar(&opts.columns, "column", nil, "which column of the worksheet is identifier, grade, feedback or match, as in grade=Punkte")
	f.StringVar(&opts.submitted, "submitted", "", "when it was handed in, where the report does not say, as in 2026-11-25T17:00:00Z")
	f.StringVar(&opts.pages, "pages", "", "the folder of the students' pages, for the links of the overview (default: DIR/reports, if they are there)")
	return cmd
}

// formatHelp lists the formats.
func formatHelp() string {
	var b strings.Builder
	for _, f := range export.Formats() {
		fmt.Fprintf(&b, "  %-17s %s\n", f.Name, f.Help)
	}
	return b.String()
}

func runExport(_ context.Context, opts *exportOptions) error {
	format, err := opts.check()
	if err != nil {
		return err
	}
	class, err := export.Load(opts.path)
	if err != nil {
		return err
	}
	o, err := opts.export(format)
	if err != nil {
		return err
	}
	info, err := os.Stat(opts.path)
	if err != nil {
		return fault.Inputf("find the reports: %w", err)
	}
	each := format.Each && info.IsDir() && opts.student == ""
	if each && opts.out == "" {
		return fault.Inputf("format %s is a file for each student, and there is no folder to write them to", format.Name).
			WithRemedy("name one: --out DIR, or a student: --student ID")
	}
	made, err := class.Export(format.Name, o)
	if err != nil {
		return err
	}
	if err := opts.write(each, made.Files); err != nil {
		return err
	}
	for _, n := range made.Notes {
		fmt.Fprintf(opts.streams.Err, "%s\t%s\n", n.What, n.Who)
	}
	return nil
}

// check refuses flags that do not go together.
func (o *exportOptions) check() (export.Format, error) {
	if o.format == "" {
		var names []string
		for _, f := range export.Formats() {
			names = append(names, f.Name)
		}
		return export.Format{}, fault.Inputf("which format? --format is missing").WithRemedy("give one of %s, as in --format csv", strings.Join(names, ", "))
	}
	format, err := export.FormatOf(o.format)
	if err != nil {
		return format, err
	}
	for _, flag := range o.given {
		if !slices.Contains(format.For, fields()[flag]) || flag == "worksheet" && format.Name != "moodle" || flag == "gradebook" && format.Name != "canvas" {
			return format, fault.Inputf("format %s has no use for --%s", format.Name, flag).WithRemedy("leave --%s away", flag)
		}
	}
	if o.outOfGiven && o.outOf <= 0 {
		return format, fault.Inputf("--out-of is %g", o.outOf).WithRemedy("give the points of full marks, as in --out-of 10")
	}
	return format, nil
}

// export gathers what the format needs.
func (o *exportOptions) export(format export.Format) (export.Options, error) {
	e := export.Options{
		Student: o.student, OutOf: o.outOf, Assignment: o.assignment, AssignmentID: o.assignmentID, Columns: o.columns,
	}
	if o.submitted != "" {
		at, err := time.Parse(time.RFC3339, o.submitted)
		if err != nil {
			return e, fault.Inputf("--submitted %q is no time", o.submitted).WithRemedy(`write it as in 2026-11-25T17:00:00Z, which is what "git log -1 --format=%%cI" prints`)
		}
		e.Submitted = at
	}
	for _, name := range []string{o.worksheet, o.gradebook} {
		if name == "" {
			continue
		}
		data, err := read(name, maxSheet)
		if err != nil {
			return e, err
		}
		e.Sheet = &export.File{Name: name, Data: data}
	}
	if slices.Contains(format.For, "Environment") {
		e.Environment = map[string]string{}
		for _, name := range export.Classroom50Variables() {
			e.Environment[name] = os.Getenv(name)
		}
	}
	if slices.Contains(format.For, "Pages") {
		return e, o.findPages(&e)
	}
	return e, nil
}

// findPages finds the folder of the students' pages, from the folder of the overview.
func (o *exportOptions) findPages(e *export.Options) error {
	pages := o.pages
	if pages == "" {
		pages = filepath.Join(o.path, "reports")
		if found, err := filepath.Glob(filepath.Join(pages, "*.html")); err != nil || len(found) == 0 {
			return nil
		}
	}
	if info, err := os.Stat(pages); err != nil || !info.IsDir() {
		return fault.Inputf("--pages %s is no folder", pages).WithRemedy("write the pages first: labctl report %s --format html --out %s", o.path, pages)
	}
	from := "."
	if o.out != "" {
		from = filepath.Dir(o.out)
	}
	absolute, err := filepath.Abs(from)
	if err != nil {
		return fault.Inputf("find %s: %w", from, err)
	}
	if pages, err = filepath.Abs(pages); err != nil {
		return fault.Inputf("find %s: %w", o.pages, err)
	}
	relative, err := filepath.Rel(absolute, pages)
	if err != nil {
		return fault.Inputf("there is no way from %s to the pages: %w", from, err).WithRemedy("write the overview beside the folder of the pages")
	}
	e.Pages = filepath.ToSlash(relative)
	return nil
}

// write writes the files into the folder, or the only one into the file or to stdout.
func (o *exportOptions) write(each bool, files []export.File) error {
	if each {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return fault.Inputf("make the folder %s: %w", o.out, err).WithRemedy("name another: --out DIR")
		}
		for _, f := range files {
			if err := replace(filepath.Join(o.out, f.Name), f.Data); err != nil {
				return err
			}
		}
		fmt.Fprintf(o.streams.Err, "%d files\t%s\n", len(files), o.out)
		return nil
	}
	if o.out == "" {
		if _, err := o.streams.Out.Write(files[0].Data); err != nil {
			return fmt.Errorf("write to stdout: %w", err)
		}
		return nil
	}
	if info, err := os.Stat(o.out); err == nil && info.IsDir() {
		return fault.Inputf("%s is a folder, and format %s is one file", o.out, o.format).WithRemedy("name a file: --out %s", filepath.Join(o.out, files[0].Name))
	}
	return replace(o.out, files[0].Data)
}

// replace writes a file so that it is there as a whole, or as it was. What is no plain file,
// such as /dev/stdout, is written to as it is.
func replace(name string, data []byte) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return orName(name, os.WriteFile(name, data, 0o644))
	}
	return orName(name, home.Replace(name, data, 0o644))
}

// orName says which file could not be written. That a folder is not there, or not open to the
// user, is the user's to change.
func orName(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
		return fault.Inputf("write %s: %w", name, err).WithRemedy("name another file: --out FILE")
	default:
		return fault.Environmentf("write %s: %w", name, err)
	}
}
