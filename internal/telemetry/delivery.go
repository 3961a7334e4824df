package telemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// delivery keeps the troubles of exporters from the work: they are told once, in one line.
type delivery struct {
	failing atomic.Bool // the last that was sent was not taken

	mu   sync.Mutex
	tell func(string) // nil when it has told, or when the work is over
}

// The bounds of the delivery at the end. Whoever waits for a batch waits for its grades.
const (
	flushTime            = 3 * time.Second
	flushTimeInterrupted = time.Second            // a part of what the process gets after Ctrl-C
	flushTimeFailing     = 250 * time.Millisecond // the collector did not take what came before
)

// limit is how long the end may take.
func (d *delivery) limit(interrupted bool) time.Duration {
	switch {
	case d.failing.Load():
		return flushTimeFailing
	case interrupted:
		return flushTimeInterrupted
	}
	return flushTime
}

func newDelivery(warn func(string)) *delivery { return &delivery{tell: warn} }

func (d *delivery) warn(text string) {
	d.mu.Lock()
	tell := d.tell
	d.tell = nil
	d.mu.Unlock()
	if tell != nil {
		tell("traces: " + text)
	}
}

func (d *delivery) failed(err error) {
	if err != nil {
		d.warn("not all are delivered, grading goes on: " + err.Error())
	}
}

// end is the end of telling.
func (d *delivery) end(err error) {
	d.failed(err)
	d.mu.Lock()
	d.tell = nil
	d.mu.Unlock()
}

// guarded is an exporter that never fails.
type guarded struct {
	sdktrace.SpanExporter
	delivery *delivery
}

func (d *delivery) guard(e sdktrace.SpanExporter) sdktrace.SpanExporter { return guarded{e, d} }

// ExportSpans implements sdktrace.SpanExporter.
func (g guarded) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := g.SpanExporter.ExportSpans(ctx, spans)
	g.delivery.failing.Store(err != nil)
	g.delivery.failed(err)
	return nil
}

// variables is the log of the SDK, which tells of variables that it does not understand.
type variables struct{ delivery *delivery }

// Init implements logr.LogSink.
func (variables) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink.
func (variables) Enabled(int) bool { return false }

// Info implements logr.LogSink.
func (variables) Info(int, string, ...any) {}

// Error implements logr.LogSink. What comes with the message is left out: it may be a header
// with a password.
func (v variables) Error(_ error, message string, _ ...any) {
	v.delivery.warn("a variable OTEL_… is not understood: " + message)
}

// WithValues implements logr.LogSink.
func (v variables) WithValues(...any) logr.LogSink { return v }

// WithName implements logr.LogSink.
func (v variables) WithName(string) logr.LogSink { return v }
