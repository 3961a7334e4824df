//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watchMemory samples a process and its children until ended, and returns the peak in KiB.
func watchMemory(pid int, ended <-chan struct{}) int64 {
	return peak(200*time.Millisecond, ended, func() int64 { // looking takes time from what is measured beside it
		sum := memory(pid)
		for _, child := range children(pid) {
			sum += memory(child)
		}
		return sum
	})
}

// peak samples until ended and returns the largest of all samples.
func peak(every time.Duration, ended <-chan struct{}, sample func() int64) int64 {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var most int64
	for {
		select {
		case <-ended:
			return most
		case <-tick.C:
			most = max(most, sample())
		}
	}
}

// memory is a process's share of memory in KiB, where what two processes have in common
// (the program itself) counts half for each. Of labctl only: engine clients do not count.
func memory(pid int) int64 {
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if filepath.Base(exe) != "labctl" {
		return 0
	}
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

func children(pid int) []int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var all []int
	for _, t := range tasks {
		data, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(f); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}
