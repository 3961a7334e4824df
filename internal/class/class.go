// Package class finds what a class handed in: the submissions in a folder or in the download of
// a learning platform, whose they are according to a roster, and what handing in late costs.
// Nothing in it is trusted: not the names, not the archives, not the roster.
package class

import (
	"os"
	"time"

	"labctl.dev/labctl/internal/result"
)

// Options say where the submissions of a class are, and how to understand their names.
type Options struct {
	Path    string // a folder of submissions, or one archive that holds them
	Roster  string // a CSV file that lists the class; "" is none
	Pattern string // a regular expression with the group "student"; "" finds out by itself
	// Location is the zone of times that name none; nil is the machine's.
	Location *time.Location
	// Skip are files and folders in Path that are the grading's own, such as that of its results.
	// They are passed over without a word, as Roster and Work are.
	Skip []string
	// Work is a folder for what has to be unpacked or put together. What an earlier Find left in
	// it is replaced. "" is a temporary folder, which Close removes.
	Work string
}

// Class is what was found: who handed in what, and what could not be understood.
type Class struct {
	Path     string    // as in Options
	Layout   Layout    // how the folder was understood
	Times    Times     // where the times of handing in come from
	Students []Student // by ID
	// Unmatched are the submissions that no row of the roster could be found for. They are
	// graded like all others. Without a roster there are none.
	Unmatched []Unmatched
	Ignored   []Ignored // by Path

	temporary string
	bases     []string // the folders that submissions are in
}

// Layout names a way in which submissions are laid out.
type Layout string

// The layouts that are understood.
const (
	Folders Layout = "folders" // folders and archives named after the students
	Canvas  Layout = "canvas"  // "doejane_LATE_12345_67890_lab.zip"
	Moodle  Layout = "moodle"  // "Jane Doe_12345_assignsubmission_file_"
	// Gradescope is "submission_12345/", and a list of whose they are.
	Gradescope Layout = "gradescope"
	Pattern    Layout = "pattern" // as Options.Pattern says
)

// Times says where the times of handing in come from.
type Times string

// The sources of times, the most reliable first.
const (
	TimesPattern Times = "pattern" // the group "time"
	TimesRoster  Times = "roster"  // Moodle's column "Last modified (submission)"
	TimesExport  Times = "export"  // the list in Gradescope's export
	// TimesFiles are the times at which files were changed, which copying and unpacking may lose.
	TimesFiles   Times = "files"
	TimesUnknown Times = "unknown" // a download's files bear the time of the download
)

// Student is one student with the submission that counts.
type Student struct {
	ID         string         // unique in the class, whatever the case; without control characters
	Person     *result.Person // nil: nothing is known but the ID
	Handed     *Handed        // nil: nothing was handed in
	Superseded []Handed       // earlier submissions, the latest first
}

// Handed is one submission.
type Handed struct {
	Path      string    // of the folder or the archive, as submission.Read takes it
	Submitted time.Time // UTC; zero where nobody knows
	LateFlag  bool      // Canvas says that it was late
}

// Unmatched is a submission that the roster does not tell the owner of.
type Unmatched struct {
	Student string // the ID
	Reason  string
}

// Ignored is something that is no submission.
type Ignored struct {
	Path   string // relative to Options.Path, with slashes
	Reason string
}

// Close removes what Find unpacked or put together into a temporary folder. The paths of the
// submissions may be of no use after it.
func (c *Class) Close() error {
	if c.temporary == "" {
		return nil
	}
	return os.RemoveAll(c.temporary)
}
