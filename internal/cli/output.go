package cli

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/term"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/ui"
)

const spaceRemedy = "free some space (labctl down --all removes clusters), and run the same command again"

// output remembers that results did not arrive: a file that was cut off must not look like one
// that is complete.
type output struct {
	io.Writer
	mu  sync.Mutex
	err error // the first
}

// watch makes the streams' results go through an output. A terminal is left as it is: it is
// never full, and who draws on it wants the file itself.
func watch(streams *ui.Streams) *output {
	o := &output{Writer: streams.Out}
	if f, ok := streams.Out.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		streams.Out = o
	}
	return o
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err == nil {
		return n, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// judge returns how the command ended: not well where its results did not arrive.
func (o *output) judge(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var quiet *ui.ExitError
	if o.err != nil && (err == nil || errors.As(err, &quiet)) {
		return fault.Environmentf("the output is not complete: %w", o.err)
	}
	return err
}

// noSpace tells whether a full disk is the cause.
func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
