// Package telemetry records what a grading spends its time on: as spans of OpenTelemetry where
// its variables ask for them, and as the times of stages for whoever watches. Where nobody asks,
// all of it does nothing. It is the only importer of OpenTelemetry.
//
// A span never carries what a submission or a student wrote: not even the text of an error,
// which may quote it. See docs/operating.md.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"labctl.dev/labctl/internal/fault"
)

// recorder is what a context carries about where to record.
type recorder struct {
	tracer trace.Tracer // nil where nothing is traced
	texts  bool         // errors are recorded with their text
	watch  func(Stage, time.Duration)
}

type recorderKey struct{}

func recorderOf(ctx context.Context) recorder {
	r, _ := ctx.Value(recorderKey{}).(recorder)
	return r
}

func (r recorder) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, recorderKey{}, r)
}

// Watch returns a context whose stages are told to watch when they end; watch may be called
// from several goroutines at once.
func Watch(ctx context.Context, watch func(stage Stage, took time.Duration)) context.Context {
	r := recorderOf(ctx)
	r.watch = watch
	return r.in(ctx)
}

// Wanted tells whether anything is recorded at all.
func Wanted(ctx context.Context) bool {
	r := recorderOf(ctx)
	return r.tracer != nil || r.watch != nil
}

// Span is a piece of work that is traced. A nil Span, which is one that is not, does nothing.
type Span struct {
	span  trace.Span
	texts bool
}

// Start begins a span within that of ctx. Whatever is begun with the context that it returns
// is a part of it.
func Start(ctx context.Context, name string, attrs ...slog.Attr) (context.Context, *Span) {
	return start(ctx, name, trace.WithAttributes(attributes(attrs)...))
}

func start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, *Span) {
	r := recorderOf(ctx)
	if r.tracer == nil {
		return ctx, nil
	}
	ctx, s := r.tracer.Start(ctx, name, options...)
	return ctx, &Span{s, r.texts}
}

// Annotate adds to what the span of ctx says.
func Annotate(ctx context.Context, attrs ...slog.Attr) {
	if recorderOf(ctx).tracer != nil {
		trace.SpanFromContext(ctx).SetAttributes(attributes(attrs)...)
	}
}

// Set adds to what the span says.
func (s *Span) Set(attrs ...slog.Attr) {
	if s != nil {
		s.span.SetAttributes(attributes(attrs)...)
	}
}

// Fail marks the span as failed through a fault of ours, of which kind is one word or a few.
func (s *Span) Fail(kind string, err error) {
	if s == nil {
		return
	}
	s.span.SetAttributes(attribute.String("error.type", kind))
	if !s.texts || err == nil {
		s.span.SetStatus(codes.Error, kind)
		return
	}
	s.span.SetStatus(codes.Error, err.Error())
	s.span.RecordError(err)
}

// End ends the span. An error of ours marks it as failed; what is wrong with a submission
// does not, and neither does an interrupt.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		s.Set(slog.Bool("labctl.interrupted", true))
	case fault.KindOf(err) == fault.Input:
		s.Set(slog.Bool("labctl.refused", true))
	default:
		s.Fail(kindOf(err), err)
	}
	s.span.End()
}

// endAt is End at a moment in the past.
func (s *Span) endAt(at time.Time) {
	if s != nil {
		s.span.End(trace.WithTimestamp(at))
	}
}

// kindOf names an error of ours without its text.
func kindOf(err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	var exit *exec.ExitError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &dns):
		return "name resolution"
	case errors.As(err, &exit):
		return fmt.Sprintf("exit code %d", exit.ExitCode())
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "connection closed"
	}
	return "environment"
}

// attributes are those of OpenTelemetry.
func attributes(attrs []slog.Attr) []attribute.KeyValue {
	all := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		key := attribute.Key(a.Key)
		switch a.Value.Kind() {
		case slog.KindBool:
			all = append(all, key.Bool(a.Value.Bool()))
		case slog.KindInt64:
			all = append(all, key.Int64(a.Value.Int64()))
		case slog.KindFloat64:
			all = append(all, key.Float64(a.Value.Float64()))
		case slog.KindDuration: // in seconds, as all times in the conventions
			all = append(all, key.Float64(a.Value.Duration().Seconds()))
		default:
			all = append(all, key.String(a.Value.String()))
		}
	}
	return all
}

// Carry returns what makes work elsewhere a part of the trace of ctx, in the form of the W3C's
// Trace Context; nil where nothing is traced.
func Carry(ctx context.Context) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	carried := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carried)
	return carried
}

// Continue returns a context in which the next span is a part of the trace that was carried
// here. Where none was, or what was carried cannot be read, it is a part of that of ctx.
func Continue(ctx context.Context, carried map[string]string) context.Context {
	if recorderOf(ctx).tracer == nil || len(carried) == 0 {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(carried))
}

// StartCarried begins a span in the trace that was carried here, as Continue has it. It is
// linked to the span of ctx where that is a part of another trace: of the run that goes on
// with what an earlier one began.
func StartCarried(ctx context.Context, carried map[string]string, name string, attrs ...slog.Attr) (context.Context, *Span) {
	here := trace.SpanContextFromContext(ctx)
	ctx = Continue(ctx, carried)
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attributes(attrs)...)}
	if there := trace.SpanContextFromContext(ctx); here.IsValid() && here.TraceID() != there.TraceID() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: here}))
	}
	return start(ctx, name, options...)
}
