// Package telemetrytest shows tests which spans were recorded, in this process or by a program
// that sends them.
package telemetrytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"labctl.dev/labctl/internal/telemetry"
)

// Span is a span that has ended.
type Span struct {
	Name, ID, Parent, Trace string
	Attributes              map[string]string
	Resource                map[string]string
	Failed                  bool
	Status                  string   // the text of a failure
	Events                  []string // with their attributes
	Links                   []string // the traces that it is linked to
	Began, Ended            time.Time
}

// String has everything that the span says.
func (s Span) String() string {
	var attrs []string
	for k, v := range s.Attributes {
		attrs = append(attrs, k+"="+v)
	}
	slices.Sort(attrs)
	failed := ""
	if s.Failed {
		failed = " failed: " + s.Status
	}
	return fmt.Sprintf("%s {%s}%s %q", s.Name, strings.Join(attrs, " "), failed, s.Events)
}

// Record returns a context in which spans are recorded, as in a process of its own, and a
// function that returns those that have ended.
func Record(ctx context.Context) (context.Context, func() []Span) { return record(ctx, false) }

// RecordTexts is Record with the texts of errors.
func RecordTexts(ctx context.Context) (context.Context, func() []Span) { return record(ctx, true) }

func record(ctx context.Context, texts bool) (context.Context, func() []Span) {
	memory := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(memory))
	return telemetry.WithProvider(ctx, provider, texts), func() []Span {
		var all []Span
		for _, s := range memory.GetSpans() {
			all = append(all, recorded(s))
		}
		return all
	}
}

func recorded(s tracetest.SpanStub) Span {
	span := Span{
		Name: s.Name, ID: s.SpanContext.SpanID().String(), Trace: s.SpanContext.TraceID().String(),
		Attributes: texts(s.Attributes), Failed: s.Status.Code == codes.Error, Status: s.Status.Description,
		Began: s.StartTime, Ended: s.EndTime,
	}
	if s.Parent.IsValid() {
		span.Parent = s.Parent.SpanID().String()
	}
	for _, e := range s.Events {
		span.Events = append(span.Events, fmt.Sprint(e.Name, texts(e.Attributes)))
	}
	for _, l := range s.Links {
		span.Links = append(span.Links, l.SpanContext.TraceID().String())
	}
	return span
}

func texts(attrs []attribute.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attrs {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

// Named returns the spans with the name.
func Named(all []Span, name string) []Span {
	return slices.DeleteFunc(slices.Clone(all), func(s Span) bool { return s.Name != name })
}

// Tree writes the spans as a tree, a line each, in the order of their beginnings; show says
// what of a span is written beside its name.
func Tree(all []Span, show func(Span) string) string {
	slices.SortStableFunc(all, func(a, b Span) int { return a.Began.Compare(b.Began) })
	var b strings.Builder
	var write func(parent, indent string)
	write = func(parent, indent string) {
		for _, s := range all {
			if s.Parent == parent {
				b.WriteString(strings.TrimRight(indent+s.Name+" "+show(s), " ") + "\n")
				write(s.ID, indent+"  ")
			}
		}
	}
	write("", "")
	return b.String()
}
