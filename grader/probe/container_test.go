package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
)

// machine is a fake engine that keeps containers by name.
type machine struct {
	mu         sync.Mutex
	image      string // the probe image's ID; "" where there is none
	containers map[string]engine.Container
	logs       string
	did        []string // "run NAME", "remove ID"
	failRun    error
	execs      int
}

func newMachine(containers ...engine.Container) *machine {
	m := &machine{image: "sha256:new", containers: map[string]engine.Container{}, logs: "ready"}
	for _, c := range containers {
		m.containers[c.Name] = c
	}
	return m
}

func (m *machine) HasImage(context.Context, string) (string, bool, error) {
	return m.image, m.image != "", nil
}

func (m *machine) Container(_ context.Context, name string) (engine.Container, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.containers[name]; ok {
		return c, nil
	}
	return engine.Container{}, fmt.Errorf("container %s: %w", name, engine.ErrNotFound)
}

func (m *machine) Run(_ context.Context, spec engine.RunSpec) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.did = append(m.did, "run "+spec.Name)
	if m.failRun != nil {
		return "", m.failRun
	}
	m.containers[spec.Name] = engine.Container{
		ID: "new", Name: spec.Name, Running: true, State: "running", ImageID: m.image,
		Labels: spec.Labels, StartedAt: time.Now(),
	}
	return "new", nil
}

func (m *machine) Logs(context.Context, string, int) (string, error) { return m.logs, nil }

func (m *machine) Remove(_ context.Context, ids ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		m.did = append(m.did, "remove "+id)
		for name, c := range m.containers {
			if c.ID == id {
				delete(m.containers, name)
			}
		}
	}
	return nil
}

func (m *machine) Exec(ctx context.Context, name string, spec engine.ExecSpec) error {
	running := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.containers[name].Running
	}
	m.mu.Lock()
	m.execs++
	m.mu.Unlock()
	if !running() {
		return &engine.CommandError{Args: []string{"docker", "exec"}, Stderr: "is not running"}
	}
	return serve(ctx, spec.Stdin, spec.Stdout, spec.Stderr, func() answer {
		if !running() {
			return fails(exited(137), "")
		}
		return good
	})
}

const outsideName = "labctl-c-outside"

// existing is the outside container as an earlier process left it.
func existing(change func(*engine.Container)) engine.Container {
	cmd := []string{"/probe", "outside", "10.96.0.0/16", "10.244.0.0/16"}
	c := engine.Container{
		ID: "old", Name: outsideName, Running: true, State: "running", ImageID: "sha256:new",
		Labels: labels("c", "outside", cmd),
	}
	change(&c)
	return c
}

func TestOutside(t *testing.T) {
	replaced := []string{"remove old", "run " + outsideName}
	tests := map[string]struct {
		machine *machine
		did     []string
		wrong   string // in the error; "" for none
	}{
		"none there":     {newMachine(), []string{"run " + outsideName}, ""},
		"one is running": {newMachine(existing(func(*engine.Container) {})), nil, ""},
		"one that died": {newMachine(existing(func(c *engine.Container) {
			c.Running, c.State = false, "exited"
		})), replaced, ""},
		"one with another image": {newMachine(existing(func(c *engine.Container) { c.ImageID = "sha256:old" })), replaced, ""},
		"one for other ranges": {newMachine(existing(func(c *engine.Container) {
			c.Labels[labelCommand] = "/probe outside 10.1.0.0/16"
		})), replaced, ""},
		"somebody else's": {newMachine(existing(func(c *engine.Container) { c.Labels = nil })), nil, "did not make"},
		"no image":        {&machine{}, nil, "does not have the image"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				_, err := Outside(tt.machine, "c").Run(t.Context(), onePlan())
				if !slices.Equal(tt.machine.did, tt.did) {
					t.Errorf("did %q, want %q", tt.machine.did, tt.did)
				}
				if tt.wrong == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), tt.wrong) || fault.RemedyOf(err) == "" {
					t.Errorf("error %v (remedy %q), want %q", err, fault.RemedyOf(err), tt.wrong)
				}
			})
		})
	}
}

func TestOutsideIsStartedOnceForManyCalls(t *testing.T) {
	m := newMachine()
	v := Outside(m, "c")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := v.Run(t.Context(), onePlan()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(m.did) != 1 || m.execs != 1 {
		t.Errorf("did %q and %d execs", m.did, m.execs)
	}
}

func TestOutsideUsesWhatAnotherProcessStarted(t *testing.T) {
	m := newMachine()
	m.failRun = errors.New(`Conflict. The container name "/labctl-c-outside" is already in use`)
	v := Outside(m, "c").(*container)
	if err := v.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestOutsideThatDiedIsReplacedBetweenRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMachine()
		v := Outside(m, "c")
		for range 2 {
			if _, err := v.Run(t.Context(), onePlan()); err != nil {
				t.Fatal(err)
			}
			c := m.containers[outsideName]
			c.Running, c.State = false, "exited"
			m.containers[outsideName] = c
		}
		if want := []string{"run " + outsideName, "remove new", "run " + outsideName}; !slices.Equal(m.did, want) {
			t.Errorf("did %q, want %q", m.did, want)
		}
	})
}

func TestOutsideThatNeverGetsReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMachine()
		m.logs = ""
		_, err := Outside(m, "c").Run(t.Context(), onePlan())
		if err == nil || !strings.Contains(err.Error(), "did not become ready") {
			t.Errorf("got %v", err)
		}
	})
}

func TestOutsideThatEndsAtOnceSaysWhy(t *testing.T) {
	m := newMachine(existing(func(c *engine.Container) { c.Running, c.State, c.ExitCode = false, "exited", 1 }))
	m.logs = "probe: error: add a blackhole route: operation not permitted"
	v := Outside(m, "c").(*container)
	err := v.awaitReady(t.Context())
	if err == nil || !strings.Contains(err.Error(), "operation not permitted") {
		t.Errorf("got %v", err)
	}
}

func TestNodeFollowsARestartOfItsNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := newMachine(engine.Container{ID: "n", Name: "c-worker", Running: true, StartedAt: time.Now()})
		run := func() {
			t.Helper()
			if _, err := Node(m, "c", "c-worker").Run(t.Context(), onePlan()); err != nil {
				t.Fatal(err)
			}
		}
		run()
		run()
		if want := []string{"run labctl-c-worker-probe"}; !slices.Equal(m.did, want) {
			t.Fatalf("did %q, want %q", m.did, want)
		}
		time.Sleep(time.Minute) // of the test's own clock
		n := m.containers["c-worker"]
		n.StartedAt = time.Now()
		m.containers["c-worker"] = n
		run()
		if len(m.did) != 3 {
			t.Errorf("the container in the old network namespace was not replaced: %q", m.did)
		}
	})
}
