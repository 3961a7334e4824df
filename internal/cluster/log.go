package cluster

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"sigs.k8s.io/kind/pkg/log"
)

// The names of kind's steps that others wait for, as kind words them.
const (
	stepNodes        = "Preparing nodes"
	stepControlPlane = "Starting control-plane"
)

// steps is kind's logger. It shows kind's steps as steps of the progress, tells when one
// has ended well, and keeps everything that kind says for the case that it fails.
type steps struct {
	progress Progress
	done     func(step string)

	mu      sync.Mutex
	name    string
	end     func(error)
	kept    strings.Builder
	stopped bool
}

func newSteps(p Progress, done func(step string)) *steps { return &steps{progress: p, done: done} }

// said returns everything that kind has said.
func (s *steps) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept.String()
}

// stop ends the step under way and ignores all that kind still says.
func (s *steps) stop(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.end != nil {
		s.end(err)
		s.end = nil
	}
}

// line takes one message of kind's. kind's status writes " • step  ...", then
// " ✓ step" or " ✗ step"; the words end with a picture.
func (s *steps) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.kept, strings.TrimRight(text, "\n"))
	mark, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	name := plain(strings.TrimSuffix(rest, "..."))
	switch {
	case s.stopped:
	case mark == "•" && strings.HasSuffix(rest, "..."):
		s.name, s.end = name, s.progress.Begin(name)
	case (mark == "✓" || mark == "✗") && s.end != nil && name == s.name:
		var err error
		if mark == "✗" {
			err = fmt.Errorf("%s failed", strings.ToLower(name))
		}
		s.end(err)
		s.end = nil
		if err == nil {
			s.done(name)
		}
	}
}

// plain takes the pictures away.
func plain(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r > 0x2000 {
			return -1
		}
		return r
	}, text))
}

func (s *steps) keep(text string) {
	slog.Debug("kind", "says", strings.TrimRight(text, "\n"))
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.kept, strings.TrimRight(text, "\n"))
}

// Warn and its kin meet kind's log.Logger.
func (s *steps) Warn(message string)            { s.keep(message) }
func (s *steps) Warnf(format string, a ...any)  { s.keep(fmt.Sprintf(format, a...)) }
func (s *steps) Error(message string)           { s.keep(message) }
func (s *steps) Errorf(format string, a ...any) { s.keep(fmt.Sprintf(format, a...)) }
func (s *steps) V(level log.Level) log.InfoLogger {
	return verbose{steps: s, level: level}
}

type verbose struct {
	steps *steps
	level log.Level
}

// Enabled is true at all levels: kubeadm's output comes at level 3, and only there.
func (v verbose) Enabled() bool { return true }

func (v verbose) Info(message string) {
	if v.level == 0 {
		v.steps.line(message)
		return
	}
	v.steps.keep(message)
}

func (v verbose) Infof(format string, a ...any) { v.Info(fmt.Sprintf(format, a...)) }
