package grader

import (
	"fmt"
	"strings"
	"time"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/result"
)

// gotLimit bounds, in runes, what evidence repeats of text that a submission can choose.
const gotLimit = 300

func bounded(text string) string {
	text = strings.TrimSpace(text)
	if r := []rune(text); len(r) > gotLimit {
		return string(r[:gotLimit]) + "…"
	}
	return text
}

func millis(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// asked is one probe that was sent and how its attempts were judged.
type asked struct {
	from, to string
	want     string
	attempts []probe.Attempt
	judged   []judged
	lag      time.Duration // the most that the probe was kept waiting meanwhile
}

// counted returns how many attempts counted, and the pods that gave them.
func (a asked) counted() (n int, pods map[string]bool) {
	pods = map[string]bool{}
	for _, j := range a.judged {
		if j.why == "" {
			n++
			pods[j.pod] = true
		}
	}
	return n, pods
}

// failure returns why the first attempt that does not count does not, and its class.
func (a asked) failure() (why string, class probe.Class, foreign bool) {
	for i, j := range a.judged {
		if j.foreign {
			return j.why, "", true
		}
		if why == "" && j.why != "" {
			why, class = j.why, a.attempts[i].Class
		}
	}
	if why == "" && len(a.judged) == 0 {
		why = "it was not tried"
	}
	return why, class, false
}

// evidence folds equal outcomes into one line each, in the order of their first attempt.
func (a asked) evidence() []result.Evidence {
	var lines []result.Evidence
	index := map[string]int{}
	for i, at := range a.attempts {
		j := a.judged[i]
		key := j.pod + "\x00" + string(at.Class)
		if j.foreign {
			key = j.why
		}
		if at, ok := index[key]; ok {
			lines[at].Count++
			continue
		}
		index[key] = len(lines)
		e := result.Evidence{
			From: a.from, To: a.to, Want: a.want, Class: string(at.Class), Seconds: at.Duration.Seconds(),
			Got: j.why, OK: j.why == "", Count: 1,
		}
		switch {
		case j.why == "" && j.pod == "":
			e.Got = "connected after " + millis(at.Duration)
		case j.why == "":
			e.Answered, e.Got = "pod/"+j.pod, fmt.Sprintf("answered by pod/%s after %s", j.pod, millis(at.Duration))
		}
		lines = append(lines, e)
	}
	return lines
}
