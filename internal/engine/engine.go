// Package engine drives the container engine (docker, podman or nerdctl) by its command
// line, as kind does: whatever reaches the user's engine (a context, a socket, a remote
// host, a proxy) then reaches it for labctl too.
package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// The providers, named as kind names them.
const (
	Docker  = "docker"
	Podman  = "podman"
	Nerdctl = "nerdctl"
)

// ErrNotFound says that a container or network does not exist.
var ErrNotFound = errors.New("not found")

// Runner runs a prepared command to its end. Its error may have an ExitCode() int method.
// Tests put a fake here; nil in New means (*exec.Cmd).Run.
type Runner func(cmd *exec.Cmd) error

// Engine is one container engine. It is safe for concurrent use.
type Engine struct {
	provider string
	bin      string
	run      Runner
	info     atomic.Pointer[Info] // what it said about itself
}

// New returns the engine whose command line is bin. A nil run runs real commands.
func New(provider, bin string, run Runner) *Engine {
	if run == nil {
		run = (*exec.Cmd).Run
	}
	return &Engine{provider: provider, bin: bin, run: traced(run)}
}

// traced logs each command when it ends, for labctl -vv. One that takes long is told of before: its
// end may be that of labctl.
func traced(run Runner) Runner {
	return func(cmd *exec.Cmd) error {
		start := time.Now()
		long := time.AfterFunc(time.Second, func() { slog.Debug("command is under way", "args", cmd.Args) })
		err := run(cmd)
		long.Stop()
		slog.Debug("command", "args", cmd.Args, "seconds", time.Since(start).Seconds(), "error", err)
		return err
	}
}

// Provider is docker, podman or nerdctl.
func (e *Engine) Provider() string { return e.provider }

// Binary is the command that is run, "docker" say.
func (e *Engine) Binary() string { return e.bin }

// Command prepares a command of the engine without running it. Ending ctx kills it.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.bin, args...)
	// A grandchild that keeps the pipes open must not keep us waiting for ever.
	cmd.WaitDelay = time.Second
	return cmd
}

// Output runs a command and returns what it wrote to its standard output, without the
// final newline. A failure is a *CommandError; the output is returned with it.
func (e *Engine) Output(ctx context.Context, args ...string) (string, error) {
	var stdout bytes.Buffer
	cmd := e.Command(ctx, args...)
	cmd.Stdout = &stdout
	err := e.do(ctx, cmd)
	return strings.TrimRight(stdout.String(), "\r\n"), err
}

// do runs cmd, keeps what it says on standard error, and makes a *CommandError of a failure.
func (e *Engine) do(ctx context.Context, cmd *exec.Cmd) error {
	var stderr tail
	cmd.Stderr = &stderr
	return e.failure(ctx, cmd, e.run(cmd), stderr.String())
}

func (e *Engine) failure(ctx context.Context, cmd *exec.Cmd, err error, stderr string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &CommandError{Args: cmd.Args, ExitCode: exitCode(err), Stderr: strings.TrimSpace(stderr), Err: err}
}

// CommandError is a command of the engine that failed.
type CommandError struct {
	Args     []string // the engine's name first
	ExitCode int      // -1 when the command did not exit by itself
	Stderr   string   // the last few kilobytes, trimmed
	Err      error
}

func (e *CommandError) Error() string {
	line := strings.Join(e.Args, " ")
	if len(line) > 80 {
		line = line[:77] + "..."
	}
	if why := e.Reason(); why != "" && e.ExitCode >= 0 {
		return fmt.Sprintf("%s: %s", line, why)
	}
	return fmt.Sprintf("%s: %v", line, e.Err)
}

// Unwrap gives the cause, the context's error when that ended the command.
func (e *CommandError) Unwrap() error { return e.Err }

// Reason is the one line of the engine's own words that says why.
func (e *CommandError) Reason() string {
	var last string
	for line := range strings.SplitSeq(e.Stderr, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "See '") || strings.HasPrefix(line, "Run '"):
		case strings.HasPrefix(strings.ToLower(strings.TrimPrefix(line, "docker: ")), "error"):
			return trimReason(line)
		default:
			last = line
		}
	}
	return trimReason(last)
}

func trimReason(line string) string {
	for _, prefix := range []string{"docker: ", "Error response from daemon: ", "Error: ", "ERROR: "} {
		line = strings.TrimPrefix(line, prefix)
	}
	return line
}

func exitCode(err error) int {
	var failed *CommandError
	if errors.As(err, &failed) {
		return failed.ExitCode
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return -1
}

// notFound recognises the ways in which the engines say that something does not exist.
func notFound(err error) bool {
	var failed *CommandError
	return errors.As(err, &failed) && saysNotFound(failed.Stderr)
}

func saysNotFound(stderr string) bool {
	s := strings.ToLower(stderr)
	for _, words := range []string{"no such", "not found", "no container with name", "image not known", "unable to find network"} {
		if strings.Contains(s, words) {
			return true
		}
	}
	return false
}

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.buf) }
