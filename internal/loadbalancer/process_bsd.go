//go:build unix && !linux

package loadbalancer

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// psTimeout bounds a call of ps.
const psTimeout = 5 * time.Second

func ps(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", args...).Output()
	if err != nil {
		return "", fmt.Errorf("run ps: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// startTime returns when a process started, as ps tells it. A zombie counts as ended.
func startTime(pid int) (string, error) {
	out, err := ps("-o", "stat=,lstart=", "-p", strconv.Itoa(pid))
	if err != nil {
		return "", err
	}
	state, started, _ := strings.Cut(out, " ")
	if started == "" || strings.HasPrefix(state, "Z") {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return strings.TrimSpace(started), nil
}

// Named returns the processes that run a program of that name.
func (system) Named(name string) ([]process, error) {
	out, err := ps("-axo", "pid=,comm=")
	if err != nil {
		return nil, err
	}
	var found []process
	for line := range strings.Lines(out) {
		number, program, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(number)
		if err != nil || filepath.Base(strings.TrimSpace(program)) != name {
			continue
		}
		if started, err := startTime(pid); err == nil {
			found = append(found, process{PID: pid, Started: started})
		}
	}
	return found, nil
}
