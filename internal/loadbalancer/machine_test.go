//go:build unix

package loadbalancer

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	own, err := self()
	must(t, err)
	tests := map[string]struct {
		process process
		want    bool
	}{
		"ourselves":         {own, true},
		"its number reused": {process{PID: own.PID, Started: own.Started + "0"}, false},
		"no start known":    {process{PID: own.PID}, false},
		"none":              {process{}, false},
		"a group":           {process{PID: -own.PID, Started: own.Started}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (system{}).Alive(tt.process); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestStop must not end a process that was given a dead one's number: here, ourselves.
func TestStop(t *testing.T) {
	own, err := self()
	must(t, err)
	must(t, system{}.Stop(context.Background(), process{PID: own.PID, Started: "another boot/1"}, 0))

	log := filepath.Join(t.TempDir(), "log")
	tests := map[string][]string{
		"asked":                  {"-c", "echo ready; exec sleep 600"},
		"killed after its grace": {"-c", "trap '' TERM; echo ready; exec sleep 600"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := system{}.Start(context.Background(), command{Path: "/bin/sh", Args: args, Log: log})
			must(t, err)
			awaitLine(t, log, "ready")
			if !(system{}).Alive(p) {
				t.Fatalf("process %d is not alive", p.PID)
			}
			must(t, system{}.Stop(context.Background(), p, 100*time.Millisecond))
			if (system{}).Alive(p) {
				t.Errorf("process %d is alive", p.PID)
			}
		})
	}
}

func awaitLine(t *testing.T, path, want string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for lastLine(path) != want {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s never said %q", path, want)
		}
	}
}

func TestLastLine(t *testing.T) {
	const nothing = "nothing in its log"
	tests := map[string]struct{ log, want string }{
		"empty":             {"", nothing},
		"blank":             {"\n \n", nothing},
		"one":               {"one", "one"},
		"last of two":       {"one\ntwo\n", "two"},
		"blank ones at end": {"one\ntwo\n\n\n", "two"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			must(t, os.WriteFile(path, []byte(tt.log), 0o600))
			if got := lastLine(path); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := lastLine(filepath.Join(t.TempDir(), "none")); got != nothing {
		t.Errorf("no file: got %q", got)
	}
}
