package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Container is one container, running or not.
type Container struct {
	ID        string
	Name      string
	Image     string // as it was asked for
	ImageID   string // sha256:…
	State     string // created, running, paused, restarting, exited, dead, …
	Running   bool
	ExitCode  int
	Pid       int // on the engine's machine; 0 when not running
	CreatedAt time.Time
	StartedAt time.Time
	Labels    map[string]string
	Networks  map[string]Address
	Ports     []Port
}

// Address is a container's address on one network; "" where it has none.
type Address struct{ IPv4, IPv6 string }

// Port is a port of a container that the engine publishes.
type Port struct {
	Container string // "6443/tcp"
	HostIP    string
	HostPort  string
}

// Containers lists the containers that have every one of the labels ("k=v", or "k" for
// any value), stopped ones too.
func (e *Engine) Containers(ctx context.Context, labels ...string) ([]Container, error) {
	ids, err := e.ContainerIDs(ctx, labels...)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return e.inspect(ctx, ids...)
}

// ContainerIDs lists the same containers, by their IDs alone, at half the cost.
func (e *Engine) ContainerIDs(ctx context.Context, labels ...string) ([]string, error) {
	args := []string{"ps", "--all", "--quiet", "--no-trunc"}
	for _, label := range labels {
		args = append(args, "--filter", "label="+label)
	}
	out, err := e.Output(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return strings.Fields(out), nil
}

// Container returns one container by name or ID, or an error that is ErrNotFound.
func (e *Engine) Container(ctx context.Context, name string) (Container, error) {
	found, err := e.inspect(ctx, name)
	if err != nil {
		return Container{}, err
	}
	if len(found) == 0 {
		return Container{}, fmt.Errorf("container %s: %w", name, ErrNotFound)
	}
	return found[0], nil
}

// inspect leaves out what does not exist (any more).
func (e *Engine) inspect(ctx context.Context, names ...string) ([]Container, error) {
	out, err := e.Output(ctx, append([]string{"container", "inspect"}, names...)...)
	if err != nil && !notFound(err) {
		return nil, fmt.Errorf("inspect containers: %w", err)
	}
	return parseContainers(out)
}

func parseContainers(out string) ([]Container, error) {
	if strings.TrimSpace(out) == "" {
		return nil, nil
	}
	var raw []rawContainer
	if err := json.Unmarshal([]byte(out), &raw); err != nil {
		return nil, fmt.Errorf("read the engine's description of containers: %w", err)
	}
	found := make([]Container, 0, len(raw))
	for _, r := range raw {
		found = append(found, r.container())
	}
	return found, nil
}

// rawContainer is what docker, podman and nerdctl have in common.
type rawContainer struct {
	ID      string `json:"Id"`
	Name    string
	Image   string
	Created time.Time
	State   struct {
		Status    string
		Running   bool
		ExitCode  int
		Pid       int
		StartedAt time.Time
	}
	Config struct {
		Image  string
		Labels map[string]string
	}
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress, GlobalIPv6Address string }
		Ports    map[string][]struct {
			HostIP   string `json:"HostIp"`
			HostPort string
		}
	}
}

func (r rawContainer) container() Container {
	c := Container{
		ID: r.ID, Name: strings.TrimPrefix(r.Name, "/"), Image: r.Config.Image, ImageID: withAlgorithm(r.Image),
		State: r.State.Status, Running: r.State.Running, ExitCode: r.State.ExitCode, Pid: r.State.Pid,
		CreatedAt: r.Created, StartedAt: r.State.StartedAt,
		Labels: r.Config.Labels, Networks: make(map[string]Address, len(r.NetworkSettings.Networks)),
	}
	for name, n := range r.NetworkSettings.Networks {
		c.Networks[name] = Address{IPv4: n.IPAddress, IPv6: n.GlobalIPv6Address}
	}
	for port, bindings := range r.NetworkSettings.Ports {
		for _, b := range bindings {
			c.Ports = append(c.Ports, Port{Container: port, HostIP: b.HostIP, HostPort: b.HostPort})
		}
	}
	return c
}

// Start starts stopped containers; one that runs already is fine.
func (e *Engine) Start(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	if _, err := e.Output(ctx, append([]string{"start"}, names...)...); err != nil {
		return fmt.Errorf("start containers: %w", err)
	}
	return nil
}

// Signal sends a signal ("TERM", "HUP") to a container's first process.
func (e *Engine) Signal(ctx context.Context, container, signal string) error {
	if _, err := e.Output(ctx, "kill", "--signal", signal, container); err != nil {
		return fmt.Errorf("send %s to container %s: %w", signal, container, err)
	}
	return nil
}

// Logs returns the last lines that a container wrote to either of its streams.
func (e *Engine) Logs(ctx context.Context, container string, lines int) (string, error) {
	var out tail
	cmd := e.Command(ctx, "logs", "--tail", fmt.Sprint(lines), container)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := e.failure(ctx, cmd, e.run(cmd), out.String()); err != nil {
		return "", fmt.Errorf("read the log of container %s: %w", container, err)
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

// Remove removes containers with their anonymous volumes, running or not, and returns
// when they are gone. One that does not exist is fine.
func (e *Engine) Remove(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	_, err := e.Output(ctx, append([]string{"rm", "--force", "--volumes"}, names...)...)
	if err == nil {
		return nil
	}
	var failed *CommandError
	if !errors.As(err, &failed) || ctx.Err() != nil || !onlyGone(failed.Stderr) {
		return fmt.Errorf("remove containers: %w", err)
	}
	return e.awaitGone(ctx, names)
}

// onlyGone tells whether every line of an "rm" says that somebody else removed, or is
// removing, the container.
func onlyGone(stderr string) bool {
	for line := range strings.SplitSeq(stderr, "\n") {
		if line != "" && !saysNotFound(line) && !strings.Contains(line, "already in progress") {
			return false
		}
	}
	return true
}

// awaitGone polls, because no engine can be asked to say when a removal that somebody
// else began is over.
func (e *Engine) awaitGone(ctx context.Context, names []string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := e.inspect(ctx, names...)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until container %s is removed: %w", left[0].Name, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
