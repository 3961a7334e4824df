//go:build bench

package bench

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// jiffy is the unit of /proc/stat, which is the same on every machine that Linux runs on today.
const jiffy = 10 * time.Millisecond

// load is what the whole machine does while something is measured: the engine's containers are
// a part of it, which no process of ours has as children.
type load struct {
	busy   time.Duration // at the beginning
	used   int64         // bytes, at the beginning
	ended  chan struct{}
	growth chan int64
}

// measure begins to watch the machine.
func measure() *load {
	l := &load{busy: busy(), used: used(), ended: make(chan struct{}), growth: make(chan int64, 1)}
	go func() {
		l.growth <- peak(500*time.Millisecond, l.ended, func() int64 { return used() - l.used })
	}()
	return l
}

// end returns the processor time that was used since the beginning, and by how many bytes the
// used memory grew at most.
func (l *load) end() (processor time.Duration, memory int64) {
	close(l.ended)
	return busy() - l.busy, <-l.growth
}

// busy is how long the machine's processors have not been idle since it started.
func busy() time.Duration {
	data, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(data), "\n")
	var sum time.Duration
	for i, f := range strings.Fields(first) {
		// "cpu", user, nice, system, idle, waiting for disks, interrupts, soft ones
		if n, err := strconv.ParseInt(f, 10, 64); err == nil && i <= 7 && i != 4 && i != 5 {
			sum += time.Duration(n) * jiffy
		}
	}
	return sum
}

// used is how much memory, in bytes, is not to be had for anything else.
func used() int64 {
	data, _ := os.ReadFile("/proc/meminfo")
	field := func(name string) int64 {
		_, rest, _ := strings.Cut(string(data), name+":")
		if f := strings.Fields(rest); len(f) > 0 {
			n, _ := strconv.ParseInt(f[0], 10, 64)
			return n << 10
		}
		return 0
	}
	return field("MemTotal") - field("MemAvailable")
}
