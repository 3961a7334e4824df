package loadbalancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// machine is what is asked of the machine outside its container engine.
type machine struct {
	processes
	LookPath func(name string) (string, error)
	// Registry returns nil when a registry has the image.
	Registry func(ctx context.Context, ref string) error
	// CanServe returns why this user may not run the program, or nil.
	CanServe func(path string) error
	// Run runs a program to its end and returns what it wrote.
	Run func(ctx context.Context, path string, args ...string) (string, error)
}

// processes starts, watches and ends programs in the background.
type processes interface {
	Start(ctx context.Context, c command) (process, error)
	Alive(p process) bool
	Stop(ctx context.Context, p process, grace time.Duration) error
	Named(name string) ([]process, error)
}

// command is a program to start in the background.
type command struct {
	Path string
	Args []string
	Env  []string // added to our own
	Log  string   // gets both of its streams; begun anew
}

func newMachine(engineEnv interface{ Provider() string }) machine {
	return machine{
		processes: system{}, LookPath: exec.LookPath, Registry: registry, CanServe: canServe,
		Run: func(ctx context.Context, path string, args ...string) (string, error) {
			cmd := exec.CommandContext(ctx, path, args...)
			cmd.Env = append(os.Environ(), providerEnv(engineEnv.Provider()))
			out, err := cmd.Output()
			return strings.TrimSpace(string(out)), err
		},
	}
}

// registryTimeout bounds the look for a registry: closed machines have none, and some
// drop packets instead of refusing.
const registryTimeout = 4 * time.Second

func registry(ctx context.Context, ref string) error {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return fmt.Errorf("image name %q: %w", ref, err)
	}
	if _, err := remote.Head(parsed, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("ask the registry for %s: %w", ref, err)
	}
	return nil
}

// system is processes on the real machine.
type system struct{}

// stopPoll is how often a process that was asked to end is looked at.
const stopPoll = 50 * time.Millisecond

// Start starts a program that lives on when labctl ends and that no Ctrl-C in labctl's
// terminal reaches.
func (system) Start(ctx context.Context, c command) (process, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return process{}, fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = detached()
	cmd.Dir = filepath.Dir(c.Log) // it must not hold on to whatever folder labctl was run in
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start %s: %w", c.Path, err)
	}
	p := process{PID: cmd.Process.Pid}
	p.Started, err = startTime(p.PID)
	go func() { _ = cmd.Wait() }() // reaps it, should it end before we do
	if err != nil {
		return process{}, errors.Join(err, cmd.Process.Kill())
	}
	return p, nil
}

// Alive tells whether that very process runs.
func (system) Alive(p process) bool {
	if p.PID <= 0 {
		return false
	}
	started, err := startTime(p.PID)
	return err == nil && started == p.Started
}

// Stop asks the process to end and kills it after grace. One that has ended is fine.
func (s system) Stop(ctx context.Context, p process, grace time.Duration) error {
	if !s.Alive(p) {
		return nil
	}
	running, err := os.FindProcess(p.PID)
	if err != nil {
		return fmt.Errorf("find process %d: %w", p.PID, err)
	}
	if err := askToEnd(running); err != nil && s.Alive(p) {
		return fmt.Errorf("end process %d: %w", p.PID, err)
	}
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	kill := time.NewTimer(grace)
	defer kill.Stop()
	for s.Alive(p) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d to end: %w", p.PID, context.Cause(ctx))
		case <-kill.C:
			if err := running.Kill(); err != nil && s.Alive(p) {
				return fmt.Errorf("kill process %d: %w", p.PID, err)
			}
		case <-tick.C:
		}
	}
	return nil
}

func self() (process, error) {
	started, err := startTime(os.Getpid())
	return process{PID: os.Getpid(), Started: started}, err
}

// lastLine returns the last line of a log, or that there is none.
func lastLine(path string) string {
	raw, err := os.ReadFile(path)
	if raw = bytes.TrimSpace(raw); err != nil || len(raw) == 0 {
		return "nothing in its log"
	}
	return string(raw[bytes.LastIndexByte(raw, '\n')+1:])
}
