package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// RunSpec describes a container to start in the background. Zero values leave the
// engine's or the image's own choice.
type RunSpec struct {
	Name, Image string
	Network     string // a network's name, "none", "host" or "container:NAME"
	Hostname    string
	User        string
	Labels      map[string]string
	Env         []string // KEY=VALUE
	Entrypoint  []string
	Cmd         []string
	CapAdd      []string
	CapDrop     []string
	SecurityOpt []string
	Volumes     []string // HOST:CONTAINER[:ro]
	Tmpfs       []string
	Publish     []string // [IP:]HOST:CONTAINER
	DNS         []string
	Sysctls     map[string]string
	ReadOnly    bool
	Privileged  bool
	AutoRemove  bool
	Init        bool
	Restart     string // a restart policy: "unless-stopped", …
	Memory      string // "64m"
	PidsLimit   int
}

// Run starts a container and returns its ID. The image must be there already: nothing is
// pulled, so that a missing image is an error at once, with or without a registry.
func (e *Engine) Run(ctx context.Context, spec RunSpec) (string, error) {
	id, err := e.Output(ctx, spec.args()...)
	if err != nil {
		return "", fmt.Errorf("start container %s from %s: %w", spec.Name, spec.Image, err)
	}
	if i := strings.LastIndexByte(id, '\n'); i >= 0 {
		id = id[i+1:] // warnings come first
	}
	return strings.TrimSpace(id), nil
}

func (s RunSpec) args() []string {
	args := []string{"run", "--detach", "--pull=never"}
	one := func(flag, value string) {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	many := func(flag string, values []string) {
		for _, v := range values {
			args = append(args, flag, v)
		}
	}
	is := func(flag string, set bool) {
		if set {
			args = append(args, flag)
		}
	}
	one("--name", s.Name)
	one("--network", s.Network)
	one("--hostname", s.Hostname)
	one("--user", s.User)
	many("--label", pairs(s.Labels))
	many("--env", s.Env)
	many("--cap-add", s.CapAdd)
	many("--cap-drop", s.CapDrop)
	many("--security-opt", s.SecurityOpt)
	many("--volume", s.Volumes)
	many("--tmpfs", s.Tmpfs)
	many("--publish", s.Publish)
	many("--dns", s.DNS)
	many("--sysctl", pairs(s.Sysctls))
	one("--restart", s.Restart)
	one("--memory", s.Memory)
	if s.PidsLimit > 0 {
		one("--pids-limit", fmt.Sprint(s.PidsLimit))
	}
	is("--read-only", s.ReadOnly)
	is("--privileged", s.Privileged)
	is("--rm", s.AutoRemove)
	is("--init", s.Init)
	cmd := s.Cmd
	if len(s.Entrypoint) > 0 {
		one("--entrypoint", s.Entrypoint[0])
		cmd = append(slices.Clone(s.Entrypoint[1:]), cmd...)
	}
	return append(append(args, s.Image), cmd...)
}

func pairs(m map[string]string) []string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, k+"="+m[k])
	}
	return all
}

// ExecSpec describes a command to run inside a running container.
type ExecSpec struct {
	User   string
	Env    []string
	Cmd    []string
	Stdin  io.Reader
	Stdout io.Writer // nil throws it away
	Stderr io.Writer // nil keeps its end for the error
}

// ExitError says that a command inside a container ran, and failed.
type ExitError struct {
	Container string
	Cmd       []string
	Code      int
	Stderr    string // its end
}

func (e *ExitError) Error() string {
	msg := fmt.Sprintf("%s in container %s: exit code %d", e.Cmd[0], e.Container, e.Code)
	if e.Stderr == "" {
		return msg
	}
	lines := strings.Split(strings.TrimSpace(e.Stderr), "\n")
	return msg + ": " + lines[len(lines)-1]
}

// Exec runs a command inside a container and waits for it. *ExitError means that the
// command failed, *CommandError that the engine could not run it.
func (e *Engine) Exec(ctx context.Context, container string, spec ExecSpec) error {
	args := []string{"exec"}
	if spec.Stdin != nil {
		args = append(args, "--interactive")
	}
	if spec.User != "" {
		args = append(args, "--user", spec.User)
	}
	for _, env := range spec.Env {
		args = append(args, "--env", env)
	}
	args = append(append(args, container), spec.Cmd...)

	var stderr tail
	cmd := e.Command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = spec.Stdin, spec.Stdout, &stderr
	if spec.Stderr != nil {
		cmd.Stderr = io.MultiWriter(spec.Stderr, &stderr)
	}
	err := e.failure(ctx, cmd, e.run(cmd), stderr.String())
	if err == nil {
		return nil
	}
	if code := exitCode(err); ctx.Err() == nil && code > 0 && !engineFailed(code, stderr.String()) {
		return &ExitError{Container: container, Cmd: spec.Cmd, Code: code, Stderr: strings.TrimSpace(stderr.String())}
	}
	return fmt.Errorf("run %s in container %s: %w", spec.Cmd[0], container, err)
}

// engineFailed tells the engine's own failures from the command's: both come out as the
// exit code of the same process. 126 and 127 are the runtime's (no such program).
func engineFailed(code int, stderr string) bool {
	if code == 125 {
		return true
	}
	for _, words := range []string{
		"Error response from daemon", "No such container", "no container with name", "OCI runtime exec failed",
		"Cannot connect to the Docker daemon", "container state improper", "error during connect",
	} {
		if strings.Contains(stderr, words) {
			return true
		}
	}
	return false
}

// ExecOutput runs a command inside a container and returns its standard output.
func (e *Engine) ExecOutput(ctx context.Context, container string, cmd ...string) (string, error) {
	var out bytes.Buffer
	err := e.Exec(ctx, container, ExecSpec{Cmd: cmd, Stdout: &out})
	return out.String(), err
}

// CopyTo unpacks a tar stream into a folder of a container, running or not.
func (e *Engine) CopyTo(ctx context.Context, container, dir string, tar io.Reader) error {
	cmd := e.Command(ctx, "cp", "-", container+":"+dir)
	cmd.Stdin = tar
	if err := e.do(ctx, cmd); err != nil {
		return fmt.Errorf("copy to %s in container %s: %w", dir, container, err)
	}
	return nil
}
