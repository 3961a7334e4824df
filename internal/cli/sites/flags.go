package sites

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// Flags say which clusters to grade in, and how much at the same time.
type Flags struct {
	Target       target.Flags
	Clusters     int // -1: as the machine allows; 0: grade nothing here
	Concurrency  int // 0: as the machine allows
	Recycle      int
	LoadBalancer string
	NodeImage    string
}

// Add defines the flags on a command.
func (f *Flags) Add(cmd *cobra.Command) {
	f.Target.Add(cmd)
	cmd.Flags().Lookup("name").Usage = "what the clusters' names begin with: NAME-batch-1 and so on (also LABCTL_CLUSTER)"
	cmd.Flags().IntVar(&f.Clusters, "clusters", -1, "clusters to grade in; 0 leaves it to workers elsewhere (default: as processors and memory allow)")
	cmd.Flags().IntVar(&f.Concurrency, "concurrency", 0, "submissions at the same time in each cluster (default: as processors and memory allow)")
	cmd.Flags().IntVar(&f.Recycle, "recycle", 200, "make a cluster anew after so many submissions; 0 never does")
	cmd.Flags().StringVar(&f.LoadBalancer, "load-balancer", string(loadbalancer.Auto), "auto, cloud-provider-kind, builtin or none")
	cmd.Flags().StringVar(&f.NodeImage, "node-image", "", "image of the nodes (default: kind's own, else the one that was built or bundled)")
}

// Check refuses numbers that mean nothing.
func (f *Flags) Check() error {
	if f.Clusters < -1 || f.Clusters > 64 {
		return fault.Inputf("--clusters %d: at least 0 and at most 64", f.Clusters).WithRemedy("leave it out: the machine decides")
	}
	if f.Concurrency < 0 || f.Concurrency > 64 {
		return fault.Inputf("--concurrency %d: at least 1 and at most 64", f.Concurrency).WithRemedy("leave it out: the machine decides")
	}
	if f.Recycle < 0 {
		return fault.Inputf("--recycle %d is negative", f.Recycle).WithRemedy("--recycle 200")
	}
	return nil
}

// Size is how much to do at the same time. exclusive tells that the submissions get in each
// other's way within one cluster.
func (f *Flags) Size(ctx context.Context, exclusive bool) (batch.PoolSize, error) {
	if err := f.Check(); err != nil {
		return batch.PoolSize{}, err
	}
	if f.Clusters == 0 {
		return batch.PoolSize{}, nil
	}
	e, err := engine.Detect(ctx, f.Target.Provider)
	if err != nil {
		return batch.PoolSize{}, err
	}
	info, err := e.Info(ctx) // of the machine that the engine runs on, which need not be this one
	if err != nil {
		return batch.PoolSize{}, err
	}
	size := batch.DefaultSize(info.CPUs, info.Memory, exclusive)
	if f.Clusters > 0 {
		size.Clusters = f.Clusters
	}
	if f.Concurrency > 0 {
		size.PerCluster = f.Concurrency
	}
	size.Recycle = f.Recycle
	return size, nil
}

// Pool returns the clusters, which call stop when none can be made.
func (f *Flags) Pool(catalog *lab.Catalog, size batch.PoolSize, progress *ui.Progress, stop context.CancelCauseFunc) *Pool {
	steps := quiet{progress}
	return &Pool{batch.NewPool(&Sites{
		Flags: f.Target, LoadBalancer: f.LoadBalancer, NodeImage: f.NodeImage, Catalog: catalog, Steps: steps,
	}, size, steps.Note), stop}
}

// Pool is a batch.Pool that ends the work when it can make no cluster.
type Pool struct {
	*batch.Pool
	stop context.CancelCauseFunc
}

// Grade implements batch.Grader.
func (p *Pool) Grade(ctx context.Context, t batch.Task, archive []byte) (result.Report, error) {
	report, err := p.Pool.Grade(ctx, t, archive)
	if broken := p.Broken(); broken != nil {
		p.stop(broken)
	}
	return report, err
}

// quiet shows the steps of single gradings only while they are under way: there are many.
type quiet struct{ *ui.Progress }

// Begin implements target.Steps.
func (q quiet) Begin(step string) func(error) {
	end := q.Aside(step)
	return func(error) { end() }
}

// QueueFlags say where the queue is.
type QueueFlags struct {
	Address  string
	Archives string
}

// QueueVariable names the queue where its address, which may hold a password, is not to be seen
// in the list of processes.
const QueueVariable = "LABCTL_QUEUE"

// Add defines the flags on a command.
func (q *QueueFlags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&q.Address, "queue", "", "share the work by a PostgreSQL server, as in postgres://user@host/database (also "+QueueVariable+")")
	cmd.Flags().StringVar(&q.Archives, "store", "", "keep the submissions in this folder, which all workers share, and not in the queue")
}

// Named is the address that was given, or "".
func (q *QueueFlags) Named() string {
	if q.Address != "" {
		return q.Address
	}
	return os.Getenv(QueueVariable)
}

// Shared opens the server's queue.
func (q *QueueFlags) Shared(ctx context.Context) (*batch.Store, error) {
	s, err := batch.OpenServer(ctx, q.Named())
	if err != nil {
		return nil, err
	}
	return s, q.Use(s)
}

// Use makes the store keep its archives where the flags say.
func (q *QueueFlags) Use(s *batch.Store) error {
	if q.Archives == "" {
		return nil
	}
	if info, err := os.Stat(q.Archives); err != nil || !info.IsDir() {
		return fault.Inputf("--store %s is no folder", q.Archives).WithRemedy("make it on a file system that all workers share: mkdir %s", q.Archives)
	}
	s.Archives = q.Archives
	return nil
}
