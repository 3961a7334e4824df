// Package fault classifies errors by whose they are, so that one place can turn any
// error into a message, a remedy and an exit code. It imports nothing of labctl's.
package fault

import (
	"errors"
	"fmt"
)

// Kind says who has to act on an error. Its value is the process's exit code.
type Kind int

// The exit codes of labctl. Full marks are 0 and a failed check is 1; neither is an error.
const (
	Input       Kind = 2   // the user's: usage, a file, a submission
	Environment Kind = 3   // ours or the machine's: engine, cluster, network; never costs marks
	Interrupted Kind = 130 // Ctrl-C or SIGTERM
)

// Error is an error with its kind and the one line that says what to do about it.
type Error struct {
	Kind   Kind
	Err    error
	Remedy string // an imperative sentence or a command line; may be empty
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Inputf makes an Input error without a remedy; wrap with WithRemedy to add one.
func Inputf(format string, args ...any) *Error {
	return &Error{Kind: Input, Err: fmt.Errorf(format, args...)}
}

// Environmentf makes an Environment error without a remedy.
func Environmentf(format string, args ...any) *Error {
	return &Error{Kind: Environment, Err: fmt.Errorf(format, args...)}
}

// WithRemedy returns a copy of e that names the remedy.
func (e *Error) WithRemedy(format string, args ...any) *Error {
	c := *e
	c.Remedy = fmt.Sprintf(format, args...)
	return &c
}

// KindOf returns the kind of the outermost Error in err's chain, or Environment:
// an unclassified error is never blamed on a student.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Environment
}

// RemedyOf returns the first remedy in err's tree, outermost first, or "".
func RemedyOf(err error) string {
	if e, ok := err.(*Error); ok && e.Remedy != "" { //nolint:errorlint // this is the walk itself
		return e.Remedy
	}
	switch e := err.(type) { //nolint:errorlint // this is the walk itself
	case interface{ Unwrap() error }:
		return RemedyOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if remedy := RemedyOf(inner); remedy != "" {
				return remedy
			}
		}
	}
	return ""
}
