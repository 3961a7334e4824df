package telemetrytest

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Receiver takes spans as a collector does, by OTLP over HTTP.
type Receiver struct {
	*httptest.Server
	mu  sync.Mutex
	all []Span
}

// Receive starts a Receiver.
func Receive() *Receiver {
	r := &Receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	return r
}

// byGRPC takes spans by OTLP over gRPC.
type byGRPC struct {
	collector.UnimplementedTraceServiceServer
	receiver *Receiver
}

// Export implements the service.
func (g byGRPC) Export(_ context.Context, sent *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	g.receiver.add(sent)
	return &collector.ExportTraceServiceResponse{}, nil
}

// AlsoByGRPC lets the receiver take spans by gRPC, too, until stop is called.
func (r *Receiver) AlsoByGRPC(ctx context.Context) (address string, stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, byGRPC{receiver: r})
	go func() { _ = s.Serve(l) }() // it ends when it is stopped
	return l.Addr().String(), s.Stop, nil
}

// Spans returns what was received.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.all...)
}

func (r *Receiver) take(w http.ResponseWriter, req *http.Request) {
	body := io.Reader(req.Body)
	if strings.EqualFold(req.Header.Get("Content-Encoding"), "gzip") {
		unpacked, err := gzip.NewReader(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	data, err := io.ReadAll(body)
	var sent collector.ExportTraceServiceRequest
	if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(data, &sent) != nil {
		http.Error(w, "not as OTLP has it", http.StatusBadRequest)
		return
	}
	r.add(&sent)
}

func (r *Receiver) add(sent *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range sent.ResourceSpans {
		for _, scope := range rs.ScopeSpans {
			for _, s := range scope.Spans {
				span := received(s)
				span.Resource = values(rs.Resource.GetAttributes())
				r.all = append(r.all, span)
			}
		}
	}
}

func received(s *tracepb.Span) Span {
	span := Span{
		Name: s.Name, ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId), Trace: hex.EncodeToString(s.TraceId),
		Attributes: values(s.Attributes), Failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR, Status: s.Status.GetMessage(),
		Began: time.Unix(0, int64(s.StartTimeUnixNano)), Ended: time.Unix(0, int64(s.EndTimeUnixNano)),
	}
	for _, e := range s.Events {
		span.Events = append(span.Events, e.Name)
	}
	for _, l := range s.Links {
		span.Links = append(span.Links, hex.EncodeToString(l.TraceId))
	}
	return span
}

func values(attrs []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attrs {
		if text, ok := a.Value.GetValue().(*common.AnyValue_StringValue); ok {
			all[a.Key] = text.StringValue
			continue
		}
		all[a.Key] = a.Value.String()
	}
	return all
}
