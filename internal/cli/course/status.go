package course

import (
	"fmt"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/student"
)

// How a lab stands, in a word.
const (
	NotStarted = "not started"
	Underway   = "started"
	Solved     = "solved"
)

// Status returns how a lab stands; mine is nil where it was not started.
func Status(l *lab.Lab, mine *student.Lab) string {
	switch {
	case mine == nil:
		return NotStarted
	case mine.Complete(l):
		return Solved
	}
	return Underway
}

// Standing is Status with how many checks passed, for a list.
func Standing(l *lab.Lab, mine *student.Lab) string {
	if s := Status(l, mine); s != Underway {
		return s
	}
	return fmt.Sprintf("%d of %d checks", mine.Count(l.Visible()), len(l.Visible()))
}
