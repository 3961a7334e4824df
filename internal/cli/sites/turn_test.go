package sites

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Others share a turn; who is to be alone waits for all of them, and none joins in meanwhile.
func TestTurn(t *testing.T) {
	t.Setenv("LABCTL_STATE", t.TempDir())
	take := func(alone bool) (end func()) {
		t.Helper()
		end, err := new(Sites).Turn(t.Context(), alone)
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	refused := func(alone bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*lookAgain)
		defer cancel()
		if _, err := new(Sites).Turn(ctx, alone); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("alone %t: %v", alone, err)
		}
	}
	one, two := take(false), take(false)
	refused(true) // who gave up keeps nobody out
	take(false)()

	got := make(chan func())
	go func() {
		end, err := new(Sites).Turn(t.Context(), true)
		if err != nil {
			t.Error(err)
		}
		got <- end
	}()
	for waits := false; !waits; {
		ctx, cancel := context.WithTimeout(t.Context(), 2*lookAgain)
		end, err := new(Sites).Turn(ctx, false)
		cancel()
		if waits = err != nil; !waits {
			end()
		}
	}
	one()
	refused(false)
	two()
	select {
	case end := <-got:
		refused(false)
		refused(true)
		end()
	case <-time.After(time.Minute):
		t.Fatal("still waits, for nobody")
	}
	take(true)()
}
