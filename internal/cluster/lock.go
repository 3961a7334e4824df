package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"labctl.dev/labctl/internal/fault"
)

// holder is who holds a cluster's lock, for those who wait.
type holder struct {
	PID     int       `json:"pid"`
	Purpose string    `json:"purpose"` // "labctl up"
	Since   time.Time `json:"since"`
}

func (h holder) String() string {
	if h.PID == 0 {
		return "another labctl"
	}
	return fmt.Sprintf("%s (process %d, since %s)", h.Purpose, h.PID, h.Since.Local().Format(time.TimeOnly))
}

// Lock waits until nobody else changes the cluster, saying who does, and keeps others
// out until unlock is called or the process ends, however it ends. purpose is the
// command, for those who will wait. When ctx ends first, the error names the holder.
func (c *Clusters) Lock(ctx context.Context, name, purpose string) (unlock func(), err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.state, 0o700); err != nil {
		return nil, fmt.Errorf("lock cluster %q: %w", name, err)
	}
	lock := flock.New(filepath.Join(c.state, name+".lock"))
	// Beside the lock and not in it: where locks are mandatory nobody else could read it.
	card := filepath.Join(c.state, name+".holder.json")

	got, err := lock.TryLock()
	if err == nil && !got {
		who := readHolder(card)
		end := c.progress.Begin("Waiting for " + who.String())
		_, err = lock.TryLockContext(ctx, 200*time.Millisecond)
		end(err)
		if err != nil && ctx.Err() != nil {
			return nil, fault.Environmentf("cluster %q is in use by %s: %w", name, readHolder(card), context.Cause(ctx)).
				WithRemedy("wait until that has ended, and run this again")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock cluster %q: %w", name, err)
	}
	data, err := json.Marshal(holder{PID: os.Getpid(), Purpose: purpose, Since: time.Now()})
	if err == nil {
		err = os.WriteFile(card, data, 0o600)
	}
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock cluster %q: %w", name, err)
	}
	return func() {
		_ = os.Remove(card)
		_ = lock.Close()
	}, nil
}

func readHolder(path string) holder {
	var h holder
	if data, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(data, &h) // half-written is as good as unknown
	}
	return h
}
