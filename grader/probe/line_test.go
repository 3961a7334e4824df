package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs a test on a clock of its own, and afterwards waits until the programs that it
// left have ended by themselves.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t)
		time.Sleep(2 * idle)
	})
}

func TestCallsShareOneProgram(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &pods{answers: []answer{good}}
		at := Pods(c, "ns")
		run := func() {
			t.Helper()
			if _, err := at("pod").Run(t.Context(), onePlan()); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(run)
		}
		all.Wait()
		time.Sleep(idle - time.Second)
		run()
		time.Sleep(idle - time.Second)
		if synctest.Wait(); c.runs.Load() != 1 || c.running.Load() != 1 || c.calls.Load() != 11 {
			t.Fatalf("%d programs, %d running, %d calls", c.runs.Load(), c.running.Load(), c.calls.Load())
		}
		time.Sleep(2 * time.Second)
		if synctest.Wait(); c.running.Load() != 0 {
			t.Fatal("a program that nobody asks is kept")
		}
		if run(); c.runs.Load() != 2 {
			t.Errorf("%d programs", c.runs.Load())
		}
	})
}

// Replies come in the order in which plans are done.
func TestRepliesFindTheirCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		later := func(_ context.Context, call Call, stdout, _ io.Writer) error {
			time.Sleep(10*time.Second - time.Duration(call.Number)*time.Second)
			return json.NewEncoder(stdout).Encode(Reply{Number: call.Number, Results: Results{
				Results: []Result{{ID: call.Plan.Probes[0].ID}},
			}})
		}
		c := &pods{answers: []answer{later}}
		pod := Pods(c, "ns")("pod")
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				plan := Plan{Probes: []Probe{{ID: fmt.Sprint(i), Timeout: 10 * time.Second}}}
				if r, err := pod.Run(t.Context(), plan); err != nil || r.Results[0].ID != fmt.Sprint(i) {
					t.Errorf("call %d: %v, %v", i, r, err)
				}
			})
		}
		if all.Wait(); c.calls.Load() != 5 {
			t.Errorf("%d calls", c.calls.Load())
		}
	})
}

func TestAPodOfTheSameNameIsAnotherOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &pods{answers: []answer{good}}
		pod := Pods(c, "ns")("pod")
		for _, c.uid = range []string{"a", "a", "b"} {
			if _, err := pod.Run(t.Context(), onePlan()); err != nil {
				t.Fatal(err)
			}
		}
		if synctest.Wait(); c.runs.Load() != 2 || c.running.Load() != 1 {
			t.Errorf("%d programs, %d running", c.runs.Load(), c.running.Load())
		}
	})
}

// One call's time being over must not cost those who call at the same time their answers.
func TestWhoHangsCostsTheOthersNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := func(ctx context.Context, call Call, stdout, stderr io.Writer) error {
			select {
			case <-time.After(time.Minute):
				return good(ctx, call, stdout, stderr)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		c := &pods{answers: []answer{hangs, slow, good}}
		pod := Pods(c, "ns")("pod")
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := pod.Run(t.Context(), onePlan()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			plan := Plan{Probes: []Probe{{ID: "a", Timeout: time.Minute}}}
			if _, err := pod.Run(t.Context(), plan); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
	})
}
