package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
)

// Labels of the containers that vantage points keep. Whoever removes a cluster removes the
// containers with its name in LabelCluster too.
const (
	LabelCluster = "dev.labctl.cluster" // the cluster's name
	LabelRole    = "dev.labctl.role"    // outside, node
)

const (
	image   = "labctl/probe:v1"
	network = "kind"

	// startTimeout bounds the start of a container: under a second on an idle machine.
	startTimeout = 30 * time.Second
	// lookEvery is the pause between two looks at a container that is starting: no engine
	// can be asked to say when a line has been logged.
	lookEvery = 50 * time.Millisecond
)

// ContainerExec runs commands in containers of the engine.
type ContainerExec interface {
	Exec(ctx context.Context, container string, spec engine.ExecSpec) error
	Containers
}

// Containers keeps containers of the engine.
type Containers interface {
	Container(ctx context.Context, name string) (engine.Container, error)
	HasImage(ctx context.Context, ref string) (id string, ok bool, err error)
	Run(ctx context.Context, spec engine.RunSpec) (id string, err error)
	Logs(ctx context.Context, container string, lines int) (string, error)
	Remove(ctx context.Context, names ...string) error
}

// container is a vantage point in a container that is started when it is first needed and
// then used by every process of labctl until its cluster is removed.
type container struct {
	e    ContainerExec
	name string // as a vantage point
	spec engine.RunSpec
	// fresh tells whether a running container still serves; nil means that it does.
	fresh func(ctx context.Context, c engine.Container) (bool, error)
	// says is the log line after which the container can be used; "" means at once.
	says string

	lock  chan struct{} // held while looking after the container; a channel, to honour ctx
	known bool          // it was seen to run
	to    line
}

func (v *container) Name() string { return v.name }

func (v *container) Run(ctx context.Context, plan Plan) (Results, error) {
	return carryOut(ctx, v, v.name, plan)
}

func (v *container) exec(ctx context.Context, s streams) error {
	return v.e.Exec(ctx, v.spec.Name, engine.ExecSpec{Cmd: program(), Stdin: s.in, Stdout: s.out, Stderr: s.err})
}

func (v *container) line() *line { return &v.to }

// ready makes sure that the container runs. It asks the engine once, and again only after
// a failure: each question costs as much as a probe.
func (v *container) ready(ctx context.Context, afresh bool) error {
	select {
	case v.lock <- struct{}{}:
		defer func() { <-v.lock }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if v.known && !afresh {
		return nil
	}
	v.known = false
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := v.ensure(ctx); err != nil {
		return fmt.Errorf("start container %s: %w", v.spec.Name, err)
	}
	v.known = true
	return nil
}

// ensure uses the container that is there, or replaces it by a new one.
func (v *container) ensure(ctx context.Context) error {
	id, ok, err := v.e.HasImage(ctx, image)
	if err != nil {
		return err
	}
	if !ok {
		return fault.Environmentf("the engine does not have the image %s", image).WithRemedy("labctl up")
	}
	there, usable, err := v.find(ctx, id)
	if err != nil {
		return err
	}
	if usable {
		return v.awaitReady(ctx)
	}
	// Removed by its ID: its name may by now be that of another process's new container,
	// which is as good as one of our own.
	if there != "" {
		if err := v.e.Remove(ctx, there); err != nil {
			return err
		}
	}
	if _, err := v.e.Run(ctx, v.spec); err != nil && !taken(err) {
		return err
	}
	return v.awaitReady(ctx)
}

// find returns the ID of the container with the name, or "", and whether it runs and is as
// a new one would be.
func (v *container) find(ctx context.Context, imageID string) (id string, usable bool, err error) {
	c, err := v.e.Container(ctx, v.spec.Name)
	if errors.Is(err, engine.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	if c.Labels[LabelCluster] != v.spec.Labels[LabelCluster] || c.Labels[LabelRole] != v.spec.Labels[LabelRole] {
		return "", false, fault.Environmentf("there is a container %s that labctl did not make", v.spec.Name).
			WithRemedy("rename or remove it")
	}
	if !c.Running || c.ImageID != imageID || c.Labels[labelCommand] != v.spec.Labels[labelCommand] {
		return c.ID, false, nil
	}
	if v.fresh == nil {
		return c.ID, true, nil
	}
	usable, err = v.fresh(ctx, c)
	return c.ID, usable, err
}

// awaitReady waits until the container says that it can be used.
func (v *container) awaitReady(ctx context.Context) error {
	for v.says != "" {
		said, err := v.e.Logs(ctx, v.spec.Name, 20)
		if err != nil {
			return err
		}
		if strings.Contains(said, v.says) {
			return nil
		}
		c, err := v.e.Container(ctx, v.spec.Name)
		if err != nil {
			return err
		}
		if !c.Running && c.State != "created" {
			return fault.Environmentf("it ended with exit code %d: %s", c.ExitCode, said)
		}
		if err := wait(ctx, lookEvery); err != nil {
			return fmt.Errorf("it did not become ready: %w", err)
		}
	}
	return nil
}

// taken tells whether a container could not be made because there is one of that name.
func taken(err error) bool {
	return strings.Contains(err.Error(), "already in use") || strings.Contains(err.Error(), "already used")
}
