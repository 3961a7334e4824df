package sites

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lookAgain lies between two looks at a file that somebody else has locked.
	lookAgain = 200 * time.Millisecond
	// aloneTime is how long others may take until they are taken for stopped, and joined.
	aloneTime = 20 * time.Minute
)

// Turn implements batch.Sites. The processes of this machine share the lock of one file, or hold
// it alone; who waits for that keeps everybody else from joining in by the lock of another.
func (s *Sites) Turn(ctx context.Context, alone bool) (end func(), err error) {
	state, err := stateFolder()
	if err != nil {
		return nil, fmt.Errorf("wait for a turn: %w", err)
	}
	gate, turn := flock.New(filepath.Join(state, "grading.gate.lock")), flock.New(filepath.Join(state, "grading.turn.lock"))
	defer func() { _ = gate.Close() }() // the lock ends with the process anyway
	if _, err := gate.TryLockContext(ctx, lookAgain); err != nil {
		return nil, fmt.Errorf("wait for a turn: %w", err)
	}
	if alone {
		within, cancel := context.WithTimeout(ctx, aloneTime)
		_, err = turn.TryLockContext(within, lookAgain)
		cancel()
	}
	if !alone || err != nil {
		_, err = turn.TryRLockContext(ctx, lookAgain)
	}
	if err != nil {
		_ = turn.Close()
		return nil, fmt.Errorf("wait for a turn: %w", err)
	}
	return func() { _ = turn.Close() }, nil
}
