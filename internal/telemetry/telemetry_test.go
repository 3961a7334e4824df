package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/telemetry/telemetrytest"
)

// Where nobody asks, nothing is recorded, carried or told, and nothing breaks.
func TestNothingIsRecordedWhereNobodyAsks(t *testing.T) {
	ctx, span := telemetry.Start(t.Context(), "batch", slog.String("a", "b"))
	span.Set(slog.Int("n", 1))
	span.Fail("kind", errors.New("text"))
	within, end := telemetry.Begin(ctx, telemetry.Read)
	telemetry.Annotate(within, slog.Bool("b", true))
	telemetry.Replay(within, []telemetry.Lap{{Name: "ready", Stage: telemetry.Ready}})
	end(nil)
	span.End(nil)
	if within != t.Context() || telemetry.Wanted(within) || telemetry.Carry(within) != nil {
		t.Errorf("it records: %v", telemetry.Carry(within))
	}
	carried := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	if ctx, span := telemetry.StartCarried(t.Context(), carried, "submission"); ctx != t.Context() || span != nil {
		t.Error("a trace is continued that nobody records")
	}
}

func TestSpansAreATree(t *testing.T) {
	ctx, spans := telemetrytest.Record(t.Context())
	ctx, batch := telemetry.Start(ctx, "batch", slog.Int("n", 3), slog.Duration("seconds", 1500*time.Millisecond), slog.Bool("late", true))
	err := telemetry.In(ctx, telemetry.Apply, func(ctx context.Context) error {
		telemetry.Annotate(ctx, slog.String("where", "here"))
		return nil
	})
	batch.End(err)
	got := telemetrytest.Tree(spans(), func(s telemetrytest.Span) string { return fmt.Sprint(s.Attributes) })
	want := "batch map[late:true n:3 seconds:1.5]\n  apply map[where:here]\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Errors of ours fail a span, by their kind and never by their text, which may quote what a
// student wrote. What is wrong with a submission does not, and neither does an interrupt.
func TestErrors(t *testing.T) {
	const secret = "anna-miller"
	for name, tt := range map[string]struct {
		err    error
		failed string // "" where the span is not
		attr   string
	}{
		"none":          {nil, "", ""},
		"ours":          {fault.Environmentf("pod %s is gone", secret), "environment", ""},
		"unclassified":  {errors.New(secret), "environment", ""},
		"refused":       {fmt.Errorf("apply: %w", fault.Inputf("Service %s", secret)), "", "labctl.refused"},
		"interrupted":   {fmt.Errorf("%s: %w", secret, context.Canceled), "", "labctl.interrupted"},
		"late":          {fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), "timeout", ""},
		"closed":        {fmt.Errorf("%s: %w", secret, io.ErrUnexpectedEOF), "connection closed", ""},
		"not listening": {fmt.Errorf("%s: %w", secret, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), syscall.ECONNREFUSED.Error(), ""},
		"no such name":  {&net.DNSError{Err: "no such host", Name: secret}, "name resolution", ""},
	} {
		ctx, spans := telemetrytest.Record(t.Context())
		_, span := telemetry.Start(ctx, "x")
		span.End(tt.err)
		s := spans()[0]
		if s.Failed != (tt.failed != "") || s.Status != tt.failed || s.Attributes["error.type"] != tt.failed {
			t.Errorf("%s: %s", name, s)
		}
		if tt.attr != "" && s.Attributes[tt.attr] != "true" {
			t.Errorf("%s: %s lacks %s", name, s, tt.attr)
		}
		if strings.Contains(s.String(), secret) {
			t.Errorf("%s: the text is in %s", name, s)
		}
	}
}

func TestTextsOfErrorsAreThereForWhoWantsThem(t *testing.T) {
	ctx, spans := telemetrytest.RecordTexts(t.Context())
	_, span := telemetry.Start(ctx, "x")
	span.End(fault.Environmentf("the engine is gone"))
	if s := spans()[0]; s.Status != "the engine is gone" || s.Attributes["error.type"] != "environment" || len(s.Events) != 1 {
		t.Errorf("%s", s)
	}
}

// Work elsewhere is a part of the trace that it was queued in, and linked to the run that
// does it where that is another.
func TestTracesAreCarried(t *testing.T) {
	here, spans := telemetrytest.Record(t.Context())
	here, batch := telemetry.Start(here, "batch")
	carried := telemetry.Carry(here)
	batch.End(nil)
	root := spans()[0]

	there, spans := telemetrytest.Record(t.Context())
	_, first := telemetry.StartCarried(there, carried, "first")
	first.End(nil)
	run, another := telemetry.Start(there, "run")
	_, second := telemetry.StartCarried(run, carried, "second")
	second.End(nil)
	for name, unreadable := range map[string]map[string]string{
		"none": nil, "empty": {}, "nonsense": {"traceparent": "00-x"}, "zero": {"traceparent": "00-00000000000000000000000000000000-0000000000000000-01"},
	} {
		_, s := telemetry.StartCarried(run, unreadable, name)
		s.End(nil)
	}
	another.End(nil)
	all := map[string]telemetrytest.Span{}
	for _, s := range spans() {
		all[s.Name] = s
	}
	if s := all["first"]; s.Trace != root.Trace || s.Parent != root.ID || len(s.Links) != 0 {
		t.Errorf("first: %+v", s)
	}
	if s := all["second"]; s.Trace != root.Trace || s.Parent != root.ID || !reflect.DeepEqual(s.Links, []string{all["run"].Trace}) {
		t.Errorf("second: %+v", s)
	}
	for _, name := range []string{"none", "empty", "nonsense", "zero"} {
		if s := all[name]; s.Trace != all["run"].Trace || s.Parent != all["run"].ID || len(s.Links) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// Stages are told to whoever watches, with or without traces, and so are those of another
// process.
func TestStagesAreWatched(t *testing.T) {
	began := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	laps := []telemetry.Lap{
		{Name: "ready", Stage: telemetry.Ready, Began: began, Ended: began.Add(5 * time.Second), Parts: []telemetry.Lap{
			{Name: "tier db", Began: began, Ended: began.Add(2 * time.Second), Outcome: "ready"},
		}},
		{Name: "check round-trip", Began: began.Add(time.Second), Ended: began.Add(7 * time.Second), Outcome: "error", Failed: true},
	}
	record, spans := telemetrytest.Record(t.Context())
	for name, ctx := range map[string]context.Context{"traced": record, "not traced": t.Context()} {
		var mu sync.Mutex
		seen := map[telemetry.Stage]time.Duration{}
		ctx = telemetry.Watch(ctx, func(s telemetry.Stage, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			seen[s] = took
		})
		if !telemetry.Wanted(ctx) {
			t.Errorf("%s: nothing is wanted", name)
		}
		if err := telemetry.In(ctx, telemetry.Suite, func(ctx context.Context) error {
			telemetry.Replay(ctx, laps)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if seen[telemetry.Ready] != 5*time.Second || seen[telemetry.Suite] <= 0 || len(seen) != 2 {
			t.Errorf("%s: %v", name, seen)
		}
	}
	got := map[string]telemetrytest.Span{}
	for _, s := range spans() {
		got[s.Name] = s
	}
	if s := got["tier db"]; s.Parent != got["ready"].ID || !s.Began.Equal(began) || s.Ended.Sub(s.Began) != 2*time.Second || s.Failed || s.Attributes["labctl.outcome"] != "ready" {
		t.Errorf("%+v", s)
	}
	if s := got["check round-trip"]; s.Parent != got["suite"].ID || !s.Failed || s.Ended.Sub(s.Began) != 6*time.Second {
		t.Errorf("%+v", s)
	}
}
