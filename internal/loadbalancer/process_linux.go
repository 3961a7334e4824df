package loadbalancer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// startTime returns when a process started: the boot's ID and the clock ticks since
// then, from /proc/PID/stat (proc(5)). A zombie counts as ended.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	// The second field is the program's name in parentheses, which may itself hold any
	// character: fields are counted from its end. The third is the state, the 22nd the start.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, start = 0, 22 - 3
	if len(fields) <= start {
		return "", fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(fields))
	}
	if s := string(fields[state]); s == "Z" || s == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot's ID: %w", err)
	}
	return fmt.Sprintf("%s/%s", bytes.TrimSpace(boot), fields[start]), nil
}

// Named returns the processes that run a program of that name, in containers too where
// they can be seen.
func (system) Named(name string) ([]process, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []process
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		program, _, _ := bytes.Cut(line, []byte{0})
		if filepath.Base(string(program)) != name {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if started, err := startTime(pid); err == nil {
			found = append(found, process{PID: pid, Started: started})
		}
	}
	return found, nil
}
