package telemetry_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/telemetry/telemetrytest"
)

// opened records as a command does, under the variables alone.
type opened struct {
	ctx     context.Context
	flush   func(context.Context)
	console bytes.Buffer
	mu      sync.Mutex
	warned  []string
}

func open(t *testing.T, variables map[string]string) *opened {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "TRACE") {
			t.Setenv(name, "")
		}
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
	o := &opened{}
	o.ctx, o.flush = telemetry.Open(t.Context(), telemetry.Options{
		Version: "v1.2.3", Instance: "me", Console: &o.console,
		Warn: func(text string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.warned = append(o.warned, text)
		},
	})
	return o
}

// one records one span, and delivers it.
func (o *opened) one() {
	_, span := telemetry.Start(o.ctx, "batch")
	span.End(nil)
	o.flush(o.ctx)
}

func TestOpenAsksForNothingByItself(t *testing.T) {
	for name, variables := range map[string]map[string]string{
		"nothing":       nil,
		"disabled":      {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
		"none":          {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
		"only a name":   {"OTEL_SERVICE_NAME": "grading", "OTEL_RESOURCE_ATTRIBUTES": "a=b"},
		"only metrics":  {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"},
		"only protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, variables)
			if telemetry.Wanted(o.ctx) {
				t.Error("it records")
			}
			o.one()
			if len(o.warned) != 0 {
				t.Errorf("warned %q", o.warned)
			}
		})
	}
}

func TestOpenDeliversByOTLP(t *testing.T) {
	r := telemetrytest.Receive()
	defer r.Close()
	address, stop, err := r.AlsoByGRPC(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for name, variables := range map[string]map[string]string{
		"endpoint":            {"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL},
		"endpoint for traces": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": r.URL + "/v1/traces"},
		"compressed":          {"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
		"grpc":                {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + address, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
		"by name":             {"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_TRACES_EXPORTER": "otlp"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.Spans())
			variables["OTEL_RESOURCE_ATTRIBUTES"] = "deployment.environment.name=course,service.version=mine"
			variables["OTEL_SERVICE_NAME"] = "grading"
			variables["TRACEPARENT"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			o := open(t, variables)
			o.one()
			all := r.Spans()[before:]
			if len(all) != 1 || len(o.warned) != 0 {
				t.Fatalf("%d spans, warned %q", len(all), o.warned)
			}
			s := all[0]
			if s.Trace != "0af7651916cd43dd8448eb211c80319c" || s.Parent != "b7ad6b7169203331" {
				t.Errorf("it is not in the pipeline's trace: %+v", s)
			}
			for key, want := range map[string]string{
				"service.name": "grading", "service.version": "mine", "service.instance.id": "me", "deployment.environment.name": "course",
			} {
				if s.Resource[key] != want {
					t.Errorf("%s is %q, want %q", key, s.Resource[key], want)
				}
			}
			for key := range s.Resource {
				if strings.HasPrefix(key, "process.") {
					t.Errorf("%s may hold a password", key)
				}
			}
		})
	}
}

func TestOpenWritesToTheConsole(t *testing.T) {
	o := open(t, map[string]string{"OTEL_TRACES_EXPORTER": "console"})
	o.one()
	if !strings.Contains(o.console.String(), `"Name":"batch"`) {
		t.Errorf("%q", o.console.String())
	}
}

// The bounds leave a machine that is busy otherwise time, and are still far below what waiting
// for the collector would take: ten seconds for each five hundred spans.
const (
	workBound  = 30 * time.Second
	flushBound = 9 * time.Second
)

// silent is an address that takes connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(stop); s.Close() })
	return s.URL
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// A collector that cannot be reached, does not answer or refuses costs a bounded time at the
// end and one line, however many spans there are; so does a variable that is not understood.
// Headers, which may hold a token, are never told.
func TestTroubleWithCollectorsIsBounded(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no\nsuch tenant", http.StatusForbidden)
	}))
	t.Cleanup(refusing.Close)
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(busy.Close)
	for name, tt := range map[string]struct {
		variables map[string]string
		says      string
	}{
		"nobody":       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + nobody(t)}, "grading goes on"},
		"nobody, grpc": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + nobody(t), "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grading goes on"},
		"silent":       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": silent(t)}, "grading goes on"},
		"refusing":     {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": refusing.URL}, "403"},
		"busy":         {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": busy.URL}, "grading goes on"},
		"two":          {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": refusing.URL, "OTEL_TRACES_EXPORTER": "otlp,otlp"}, "403"},
		"exporter":     {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, `OTEL_TRACES_EXPORTER is "zipkin"`},
		"protocol":     {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": refusing.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}, `"smoke"`},
		"headers":      {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": refusing.URL, "OTEL_EXPORTER_OTLP_HEADERS": "hush-hush"}, "headers"},
		"attributes":   {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": refusing.URL, "OTEL_RESOURCE_ATTRIBUTES": "hush-hush"}, "OTEL_RESOURCE_ATTRIBUTES"},
		"texts":        {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": refusing.URL, telemetry.TextsVariable: "yes"}, telemetry.TextsVariable},
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, tt.variables)
			ctx, span := telemetry.Start(o.ctx, "batch")
			began := time.Now()
			for range 5_000 { // more than twice what is kept for a collector that does not answer
				_, end := telemetry.Begin(ctx, telemetry.Read)
				end(nil)
			}
			span.End(nil)
			if took := time.Since(began); took > workBound {
				t.Errorf("the work took %v", took)
			}
			began = time.Now()
			o.flush(o.ctx)
			if took := time.Since(began); took > flushBound {
				t.Errorf("the end took %v", took)
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			if len(o.warned) != 1 || !strings.Contains(o.warned[0], tt.says) || strings.Contains(o.warned[0], "hush") {
				t.Errorf("warned %q, want %q once", o.warned, tt.says)
			}
		})
	}
}

// What is waited for at the end is less after an interrupt, and hardly anything where nobody
// took what came before.
func TestInterruptIsShort(t *testing.T) {
	o := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": silent(t)})
	interrupted, cancel := context.WithCancel(o.ctx)
	_, span := telemetry.Start(interrupted, "batch")
	span.End(nil)
	cancel()
	began := time.Now()
	o.flush(interrupted)
	if took := time.Since(began); took > flushBound {
		t.Errorf("it took %v", took)
	}
}
