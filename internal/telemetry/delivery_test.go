package telemetry

import (
	"context"
	"errors"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// collecting is an exporter that takes what it is sent, or does not.
type collecting struct {
	sdktrace.SpanExporter
	err error
}

func (c *collecting) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return c.err }

// The time at the end follows from how the last delivery went; troubles are told once, and
// never fail anything.
func TestDelivery(t *testing.T) {
	told := 0
	d := newDelivery(func(string) { told++ })
	c := &collecting{}
	e := d.guard(c)
	for _, tt := range []struct {
		err         error
		interrupted bool
		want        time.Duration
		told        int
	}{
		{nil, false, flushTime, 0},
		{nil, true, flushTimeInterrupted, 0},
		{errors.New("gone"), false, flushTimeFailing, 1},
		{errors.New("gone"), true, flushTimeFailing, 1},
		{nil, false, flushTime, 1},
	} {
		c.err = tt.err
		if err := e.ExportSpans(t.Context(), nil); err != nil {
			t.Errorf("it fails: %v", err)
		}
		if got := d.limit(tt.interrupted); got != tt.want || told != tt.told {
			t.Errorf("%+v: %v, told %d times", tt, got, told)
		}
	}
	late := newDelivery(func(string) { told++ })
	late.end(nil)
	late.warn("after the work is over")
	if told != 1 {
		t.Error("it tells when the work is over")
	}
}
