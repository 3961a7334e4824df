package grader

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"labctl.dev/labctl/internal/telemetry"
)

// tierLap begins the name of a lap that waited for a tier.
const tierLap = "tier "

// laps are what the grader process spent its time on. It has nobody to send them to in time:
// whoever started it reads them from a file, as it does the report.
type laps struct {
	mu  sync.Mutex
	all []telemetry.Lap
}

func (l *laps) add(lap telemetry.Lap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, lap)
}

// ordered returns the laps, those of the tiers as parts of one stage. A check that replaces
// pods waits for the tiers again, which is a part of the check.
func (l *laps) ordered() []telemetry.Lap {
	l.mu.Lock()
	defer l.mu.Unlock()
	var tiers, others []telemetry.Lap
	for _, lap := range l.all {
		known := slices.ContainsFunc(tiers, func(t telemetry.Lap) bool { return t.Name == lap.Name })
		switch {
		case !strings.HasPrefix(lap.Name, tierLap):
			others = append(others, lap)
		case !known:
			tiers = append(tiers, lap)
		}
	}
	if len(tiers) == 0 {
		return others
	}
	ready := telemetry.Lap{Name: string(telemetry.Ready), Stage: telemetry.Ready, Began: tiers[0].Began, Parts: tiers}
	for _, t := range tiers {
		if t.Began.Before(ready.Began) {
			ready.Began = t.Began
		}
		if t.Ended.After(ready.Ended) {
			ready.Ended = t.Ended
		}
		ready.Failed = ready.Failed || t.Failed
	}
	return append([]telemetry.Lap{ready}, others...)
}

// write writes the laps to a file.
func (l *laps) write(name string) error {
	data, err := json.Marshal(l.ordered())
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}

// readLaps reads what a grader process wrote; nothing where it did not come to that.
func readLaps(name string) []telemetry.Lap {
	var all []telemetry.Lap
	data, err := os.ReadFile(name)
	if err != nil || json.Unmarshal(data, &all) != nil {
		return nil
	}
	return all
}

// timed tells that a part of the grading has ended.
func (s *Session) timed(name string, began time.Time, outcome string, failed bool) {
	if s.Timed != nil {
		s.Timed(telemetry.Lap{Name: name, Began: began, Ended: time.Now(), Outcome: outcome, Failed: failed})
	}
}
