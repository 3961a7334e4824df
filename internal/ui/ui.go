// Package ui holds what the commands write with: streams, colours, marks and progress.
package ui

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Streams are where a command reads and writes. Results go to Out, progress to Err.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// OutTerminal and ErrTerminal say whether marks, colours and redrawing are wanted there.
	OutTerminal bool
	ErrTerminal bool
}

// System returns the process's own streams. NO_COLOR and TERM=dumb make them plain.
func System() Streams {
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		OutTerminal: !plain && term.IsTerminal(int(os.Stdout.Fd())),
		ErrTerminal: !plain && term.IsTerminal(int(os.Stderr.Fd())),
	}
}

// ExitError ends a command with a code and no further message: what there is to say has
// been printed.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }
