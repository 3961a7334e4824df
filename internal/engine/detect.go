package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
)

// answerTime is how long an engine gets to say that it is there. One that hangs is as
// good as none, and must not make labctl hang.
const answerTime = 10 * time.Second

// Detect finds the engine to use and makes sure that it answers. provider is "docker",
// "podman" or "nerdctl" (or one of kind's other names for nerdctl: "finch",
// "nerdctl.lima"); "" takes KIND_EXPERIMENTAL_PROVIDER, else the first that answers.
// Its errors are *fault.Error with a remedy.
func Detect(ctx context.Context, provider string) (*Engine, error) {
	if provider == "" {
		provider = os.Getenv("KIND_EXPERIMENTAL_PROVIDER")
	}
	if provider != "" {
		return detectOne(ctx, provider)
	}
	// kind tries them in this order too, so that both find the same one.
	var first error
	for _, name := range []string{Docker, Nerdctl, Podman} {
		e, err := detectOne(ctx, name)
		if err == nil {
			return e, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		// An engine that is there and does not answer says more than one that is absent.
		if first == nil && !errors.Is(err, exec.ErrNotFound) {
			first = err
		}
	}
	if first != nil {
		return nil, first
	}
	return nil, fault.Environmentf("no container engine found: none of docker, nerdctl and podman is on PATH: %w", exec.ErrNotFound).
		WithRemedy("install Docker (https://docs.docker.com/engine/install/) or Podman, start it, and run this again")
}

func detectOne(ctx context.Context, provider string) (*Engine, error) {
	var e *Engine
	switch provider {
	case Docker, Podman, Nerdctl:
		e = New(provider, provider, nil)
	case "finch", "nerdctl.lima":
		e = New(Nerdctl, provider, nil)
	default:
		return nil, fault.Inputf("unknown provider %q", provider).
			WithRemedy("use --provider docker, podman or nerdctl")
	}
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if _, err := e.Info(asking); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("look for %s: %w", provider, context.Cause(ctx))
		}
		return nil, explain(e, err)
	}
	return e, nil
}

// explain says why an engine did not answer, and what to do about it.
func explain(e *Engine, err error) error {
	var failed *CommandError
	if !errors.As(err, &failed) {
		return fault.Environmentf("%s: %w", e.bin, err).WithRemedy("compare with what %q prints", e.bin+" info")
	}
	said := strings.ToLower(failed.Stderr)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fault.Environmentf("%s is not installed: %w", e.bin, exec.ErrNotFound).
			WithRemedy("install %s, or choose another engine with --provider", e.provider)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Environmentf("%s does not answer within %s: %w", e.bin, answerTime, context.DeadlineExceeded).
			WithRemedy("restart it: %s", startCommand(e.provider, "restart"))
	case strings.Contains(said, "permission denied"):
		return fault.Environmentf("%s refuses this user: %s", e.bin, failed.Reason()).
			WithRemedy("%s", permission(e.provider))
	case strings.Contains(said, "cannot connect"), strings.Contains(said, "is the docker daemon running"),
		strings.Contains(said, "connection refused"), strings.Contains(said, "cannot access containerd socket"),
		strings.Contains(said, "no such file or directory"):
		return fault.Environmentf("%s is installed but is not running", e.bin).
			WithRemedy("start it: %s", startCommand(e.provider, "start"))
	}
	return fault.Environmentf("%s does not work: %w", e.bin, err).WithRemedy("compare with what %q prints", e.bin+" info")
}

func permission(provider string) string {
	if provider == Docker {
		return "join its group: sudo usermod -aG docker $USER, then log in again"
	}
	return "run labctl as a user whose \"" + provider + " info\" works"
}

func startCommand(provider, verb string) string {
	switch provider {
	case Nerdctl:
		return "sudo systemctl " + verb + " containerd"
	case Podman:
		return "podman machine " + strings.Replace(verb, "restart", "start", 1) + " (macOS, Windows) or sudo systemctl " + verb + " podman.socket"
	default:
		return "sudo systemctl " + verb + " docker, or Docker Desktop"
	}
}
