package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TextsVariable lets errors be recorded with their text.
const TextsVariable = "LABCTL_TRACE_ERRORS"

// The values of TextsVariable; "" is the first.
const (
	errorKinds = "kind"
	errorTexts = "text"
)

// Options say who records.
type Options struct {
	Version  string    // of labctl
	Instance string    // names the process
	Console  io.Writer // for the exporter "console"
	// Warn is told once why traces are not delivered, if they are not.
	Warn func(text string)
}

// Open returns a context in which traces are recorded, where OpenTelemetry's variables ask for
// them: an endpoint of OTLP, or an exporter, is named, and the SDK is not disabled. flush
// delivers what is left, within a bound; it is to be called once, with the context of the work.
// Nothing of it ever fails the work, or keeps it waiting.
func Open(ctx context.Context, o Options) (recording context.Context, flush func(context.Context)) {
	wanted := exporters()
	if len(wanted) == 0 {
		return ctx, func(context.Context) {}
	}
	d := newDelivery(o.Warn)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(d.failed))
	otel.SetLogger(logr.New(variables{d}))
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(described(ctx, o, d))}
	for _, name := range wanted {
		e, err := newExporter(ctx, name, o.Console)
		if err != nil {
			d.warn(err.Error())
			continue
		}
		options = append(options, sdktrace.WithBatcher(d.guard(e)))
	}
	if len(options) == 1 {
		return ctx, func(context.Context) {}
	}
	provider := sdktrace.NewTracerProvider(options...)
	recording = WithProvider(ctx, provider, textsWanted(d))
	recording = Continue(recording, map[string]string{"traceparent": os.Getenv("TRACEPARENT"), "tracestate": os.Getenv("TRACESTATE")})
	return recording, func(working context.Context) {
		flushing, cancel := context.WithTimeout(context.WithoutCancel(working), d.limit(working.Err() != nil))
		defer cancel()
		d.end(provider.Shutdown(flushing))
	}
}

// WithProvider returns a context in which traces are recorded by the provider.
func WithProvider(ctx context.Context, p trace.TracerProvider, texts bool) context.Context {
	r := recorderOf(ctx)
	r.tracer, r.texts = p.Tracer("labctl.dev/labctl"), texts
	return r.in(ctx)
}

// exporters are the names of those that the variables ask for. Unlike an SDK's, labctl's
// default is none: most who run it have no collector.
func exporters() []string {
	if disabled, err := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); err == nil && disabled {
		return nil
	}
	named := os.Getenv("OTEL_TRACES_EXPORTER")
	if named == "" && (os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "") {
		named = "otlp"
	}
	var all []string
	for name := range strings.SplitSeq(named, ",") {
		if name = strings.TrimSpace(name); name != "" && name != "none" {
			all = append(all, name)
		}
	}
	return all
}

// newExporter makes an exporter; it reads its own variables. None connects yet.
func newExporter(ctx context.Context, name string, console io.Writer) (sdktrace.SpanExporter, error) {
	switch name {
	case "otlp":
	case "console":
		return stdouttrace.New(stdouttrace.WithWriter(console))
	default:
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %q: labctl has otlp, console and none", name)
	}
	protocol := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	var e sdktrace.SpanExporter
	var err error
	switch protocol {
	case "", "http/protobuf":
		e, err = otlptracehttp.New(ctx)
	case "grpc":
		e, err = otlptracegrpc.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: labctl has http/protobuf and grpc", protocol)
	}
	if err != nil {
		return nil, errors.New("the exporter otlp does not work as OTEL_EXPORTER_OTLP_… say") // the text may hold a header
	}
	return e, nil
}

// described says whose the spans are. The process's arguments are not in it: they may name a
// queue with its password.
func described(ctx context.Context, o Options, d *delivery) *resource.Resource {
	r, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "labctl"), attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", o.Instance),
	), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		d.warn("OTEL_RESOURCE_ATTRIBUTES is not understood")
	}
	return r
}

func textsWanted(d *delivery) bool {
	switch wanted := os.Getenv(TextsVariable); wanted {
	case "", errorKinds:
	case errorTexts:
		return true
	default:
		d.warn(fmt.Sprintf("%s is %q, and not kind or text", TextsVariable, wanted))
	}
	return false
}
