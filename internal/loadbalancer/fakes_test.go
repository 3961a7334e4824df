package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/engine"
)

// fakeEngine plays docker: what exists is listed here.
type fakeEngine struct {
	containers map[string][]string // label → IDs of running containers
	images     []string
	ps         string // what "ps --format" prints: ID and image
	removed    []string
	stopped    []string
}

type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
func (e exitStatus) ExitCode() int { return int(e) }

func (f *fakeEngine) engine(t *testing.T) *engine.Engine {
	return engine.New(engine.Docker, "docker", func(cmd *exec.Cmd) error {
		args := cmd.Args[1:]
		line, last := strings.Join(args, " "), args[len(args)-1]
		switch {
		case strings.HasPrefix(line, "ps --all"):
			return say(cmd.Stdout, strings.Join(f.containers[strings.TrimPrefix(last, "label=")], "\n"))
		case strings.HasPrefix(line, "ps "):
			return say(cmd.Stdout, f.ps)
		case strings.HasPrefix(line, "container inspect "):
			return f.inspect(cmd, args[2:])
		case strings.HasPrefix(line, "image inspect "):
			if slices.Contains(f.images, last) {
				return say(cmd.Stdout, "sha256:1")
			}
			return errors.Join(say(cmd.Stderr, "Error: No such image: "+last), exitStatus(1))
		case args[0] == "stop":
			f.stopped = append(f.stopped, last)
			return nil
		case args[0] == "rm":
			for _, arg := range args[1:] {
				if !strings.HasPrefix(arg, "-") {
					f.removed = append(f.removed, arg)
				}
			}
			return nil
		}
		t.Errorf("unexpected command %q", line)
		return exitStatus(1)
	})
}

func (f *fakeEngine) inspect(cmd *exec.Cmd, ids []string) error {
	var all []string
	for _, id := range ids {
		if !slices.Contains(f.removed, id) {
			all = append(all, fmt.Sprintf(`{"Id":%q,"Name":"/%s","State":{"Status":"running","Running":true}}`, id, id))
		}
	}
	return say(cmd.Stdout, "["+strings.Join(all, ",")+"]")
}

func say(w io.Writer, text string) error {
	_, err := io.WriteString(w, text+"\n")
	return err
}

// fakeProcesses plays the operating system.
type fakeProcesses struct {
	alive []process
	named []process // programs called cloud-provider-kind
	ended []process
}

func (f *fakeProcesses) Start(context.Context, command) (process, error) {
	return process{}, errors.New("no test starts a process")
}

func (f *fakeProcesses) Alive(p process) bool { return slices.Contains(f.alive, p) }

func (f *fakeProcesses) Named(string) ([]process, error) { return f.named, nil }

func (f *fakeProcesses) Stop(_ context.Context, p process, _ time.Duration) error {
	if i := slices.Index(f.alive, p); i >= 0 {
		f.alive = slices.Delete(f.alive, i, i+1)
		f.ended = append(f.ended, p)
	}
	return nil
}

// world is a machine to test on.
type world struct {
	*fakeEngine
	*fakeProcesses
	path     string   // of cloud-provider-kind; "" where it is not on PATH
	registry []string // images that a registry has
}

func newWorld() *world {
	return &world{fakeEngine: &fakeEngine{containers: make(map[string][]string)}, fakeProcesses: &fakeProcesses{}}
}

func (w *world) host(t *testing.T) *host {
	t.Helper()
	return &host{engine: w.engine(t), dir: t.TempDir(), machine: machine{
		processes: w.fakeProcesses,
		LookPath: func(name string) (string, error) {
			if w.path == "" {
				return "", exec.ErrNotFound
			}
			return w.path + "/" + name, nil
		},
		Registry: func(_ context.Context, ref string) error {
			if !slices.Contains(w.registry, ref) {
				return errors.New("connection refused")
			}
			return nil
		},
		CanServe: func(string) error { return nil },
		Run: func(context.Context, string, ...string) (string, error) {
			return "", errors.New("an old release without that command")
		},
	}}
}

// cluster makes a kind cluster exist.
func (w *world) cluster(name string) {
	w.containers["io.x-k8s.kind.cluster="+name] = []string{name + "-control-plane"}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
