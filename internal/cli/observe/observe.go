// Package observe lets commands be watched while they grade: by traces, and by metrics.
package observe

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/metrics"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/internal/version"
)

// Noter tells somebody something.
type Noter interface{ Note(text string) }

// Trace returns a context in which traces are recorded, where OpenTelemetry's variables ask
// for them, and what is to be called with the context of the work when that is done. instance
// names the process.
func Trace(ctx context.Context, n Noter, console io.Writer, instance string) (recording context.Context, flush func(context.Context)) {
	return telemetry.Open(ctx, telemetry.Options{
		Version: version.Current().Version, Instance: instance, Console: console,
		Warn: func(text string) { n.Note(ui.Clean(text, 300)) },
	})
}

// Flags say where metrics are served.
type Flags struct{ Address string }

// Add defines the flags on a command.
func (f *Flags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Address, "metrics", "", "serve Prometheus metrics: PORT for this machine alone, :PORT or HOST:PORT for others")
}

// Server serves the metrics of a command. A nil Server, which is what a command has that was
// not asked for any, does nothing.
type Server struct {
	listener net.Listener
	metrics  *metrics.Metrics
	health   atomic.Pointer[func() error]
	serving  sync.WaitGroup
	stop     context.CancelFunc
}

// Listen takes the address: what is wrong with it is told before any work is begun.
func (f *Flags) Listen(ctx context.Context) (*Server, error) {
	if f.Address == "" {
		return nil, nil
	}
	l, err := metrics.Listen(ctx, f.Address)
	if err != nil {
		return nil, err
	}
	return &Server{listener: l}, nil
}

// Serve begins to serve the metrics of a process that grades the labs with the ids from the
// store's queue. It returns a context whose gradings are counted.
func (s *Server) Serve(ctx context.Context, n Noter, store *batch.Store, labs []string) context.Context {
	if s == nil {
		return ctx
	}
	s.metrics = metrics.New(version.Current(), labs)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // what is counted after Ctrl-C can be read, too
	s.stop = stop
	s.metrics.Queue(serving, func(ctx context.Context) (batch.Look, error) { return store.Look(ctx, batch.DefaultTimes()) })
	s.serving.Go(func() { s.metrics.Serve(serving, s.listener, s.healthy) })
	n.Note(fmt.Sprintf("metrics at http://%s/metrics", s.listener.Addr()))
	return telemetry.Watch(ctx, s.metrics.Stage)
}

// Work makes a worker and its clusters a part of the metrics.
func (s *Server) Work(w *batch.Worker, pool func() batch.PoolState) {
	if s == nil {
		return
	}
	w.Observer = s.metrics
	health := w.Health
	s.health.Store(&health)
	s.metrics.Pool(pool)
}

func (s *Server) healthy() error {
	if health := s.health.Load(); health != nil {
		return (*health)()
	}
	return nil
}

// Close ends the serving.
func (s *Server) Close() {
	if s == nil {
		return
	}
	if s.stop != nil {
		s.stop()
	}
	_ = s.listener.Close() // it is closed where it was served
	s.serving.Wait()
}
