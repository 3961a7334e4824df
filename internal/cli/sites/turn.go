package sites

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"labctl.dev/labctl/internal/home"
)

// lookAgain lies between two looks at a file that somebody else has locked.
const lookAgain = 200 * time.Millisecond

// Turn implements batch.Sites. The processes of this machine share the lock of one file, or hold
// it alone; who waits for that keeps everybody else from joining in by the lock of another.
func (s *Sites) Turn(ctx context.Context, alone bool) (end func(), err error) {
	state, err := home.State()
	if err == nil {
		err = os.MkdirAll(state, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("wait for a turn: %w", err)
	}
	gate, turn := flock.New(filepath.Join(state, "grading.gate.lock")), flock.New(filepath.Join(state, "grading.turn.lock"))
	if _, err := gate.TryLockContext(ctx, lookAgain); err != nil {
		return nil, fmt.Errorf("wait for a turn: %w", err)
	}
	defer func() { _ = gate.Close() }() // the lock ends with the process anyway
	take := turn.TryRLockContext
	if alone {
		take = turn.TryLockContext
	}
	if _, err := take(ctx, lookAgain); err != nil {
		return nil, fmt.Errorf("wait for a turn: %w", err)
	}
	return func() { _ = turn.Close() }, nil
}
