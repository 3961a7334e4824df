package haproxy

import (
	"errors"
	"regexp"
	"strings"
)

// workerReady reads the master's log: it writes "New worker (8) forked", and "Loading
// success." when that worker has bound its ports; or "[ALERT]" lines and why not. Both
// are looked for in what is new since before only.
func workerReady(log, before string) (bool, error) {
	forked := regexp.MustCompile(`New worker[^(]*\((\d+)\) forked`)
	previous := ""
	if all := forked.FindAllStringSubmatch(before, -1); len(all) > 0 {
		previous = all[len(all)-1][1]
	}
	if all := forked.FindAllStringSubmatchIndex(log, -1); len(all) > 0 {
		last := all[len(all)-1]
		worker := log[last[2]:last[3]]
		if worker != previous && strings.Contains(log[last[0]:], "Loading success") {
			return true, nil
		}
	}
	for line := range strings.SplitSeq(since(log, before), "\n") {
		if strings.Contains(line, "[ALERT]") {
			return false, errors.New(strings.TrimSpace(line))
		}
	}
	return false, nil
}

// since returns what log says after the last line of before, all of it where that line
// has already left the log.
func since(log, before string) string {
	before = strings.TrimRight(before, "\n")
	last := before[strings.LastIndexByte(before, '\n')+1:]
	if last == "" {
		return log
	}
	if i := strings.LastIndex(log, last); i >= 0 {
		return log[i+len(last):]
	}
	return log
}
