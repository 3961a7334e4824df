package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"labctl.dev/labctl/internal/fault"
)

// scrapesAtOnce bounds who asks at the same time; one Prometheus asks once.
const scrapesAtOnce = 4

// Listen takes the address at which metrics are to be served. A port alone is one of the
// loopback interface; with a colon before it, of all interfaces.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if _, err := strconv.ParseUint(address, 10, 16); err == nil {
		address = net.JoinHostPort("127.0.0.1", address)
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fault.Inputf("%q is no address to serve metrics at", address).
			WithRemedy("--metrics 9090 for this machine alone, or --metrics :9090 for all that reach it")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the address is named already
	}
	return nil, fault.Environmentf("metrics cannot be served at %s: %w", address, err).
		WithRemedy("name an address that is free: --metrics PORT; 0 takes any port, and labctl says which")
}

// Serve serves /metrics and /healthz until ctx ends. health tells why the process is of no use;
// nil where it is.
func (m *Metrics) Serve(ctx context.Context, l net.Listener, health func() error) {
	server := &http.Server{
		Handler: m.handler(health), ErrorLog: log.New(io.Discard, "", 0),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	_ = server.Serve(l) // it ends when it is closed
}

func (m *Metrics) handler(health func() error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesAtOnce, Timeout: 10 * time.Second,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := health(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "labctl: /metrics, /healthz")
	})
	return mux
}
