package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"labctl.dev/labctl/internal/batch"
)

const (
	// lookEvery is how old an answer of the queue may be: however often and by however many
	// somebody scrapes, it is not asked more often.
	lookEvery = 10 * time.Second
	// lookTime bounds the asking, which keeps the scrape waiting.
	lookTime = 2 * time.Second
)

// pool tells of the clusters when it is asked.
type pool struct {
	state                                           func() batch.PoolState
	clusters, capacity, limit, running, made, fails *prometheus.Desc
}

func newPool(state func() batch.PoolState) *pool {
	return &pool{
		state:    state,
		clusters: prometheus.NewDesc("labctl_pool_clusters", "Clusters of this process's pool, by state.", []string{"state"}, nil),
		capacity: prometheus.NewDesc("labctl_pool_capacity", "Submissions that the pool grades at the same time when all its clusters are there.", nil, nil),
		limit:    prometheus.NewDesc("labctl_pool_limit", "The same as far as the machine can: fewer after it had more to do than it can.", nil, nil),
		running:  prometheus.NewDesc("labctl_pool_running", "Submissions that are in a cluster of the pool.", nil, nil),
		made:     prometheus.NewDesc("labctl_pool_clusters_made_total", "Clusters that were made, or taken over from an earlier run, by why.", []string{"cause"}, nil),
		fails:    prometheus.NewDesc("labctl_pool_cluster_failures_total", "Attempts to make a cluster that failed.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (p *pool) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(p, ch) }

// Collect implements prometheus.Collector.
func (p *pool) Collect(ch chan<- prometheus.Metric) {
	st := p.state()
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	counter := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge(p.clusters, st.Unmade, "unmade")
	gauge(p.clusters, st.Making, "making")
	gauge(p.clusters, st.Idle, "idle")
	gauge(p.clusters, st.Busy, "busy")
	gauge(p.clusters, st.Draining, "draining")
	gauge(p.capacity, st.Capacity)
	gauge(p.limit, st.Limit)
	gauge(p.running, st.Running)
	counter(p.fails, st.Failed)
	for _, c := range batch.Causes() {
		counter(p.made, st.Made[c], string(c))
	}
}

// queue tells of the queue when it is asked, from an answer that may be some seconds old.
type queue struct {
	look                       func() (batch.Look, error)
	up, depth, oldest, workers *prometheus.Desc

	mu   sync.Mutex
	at   time.Time // of the last answer
	last batch.Look
	err  error
}

func newQueue(ctx context.Context, look func(context.Context) (batch.Look, error)) *queue {
	return &queue{
		look: func() (batch.Look, error) {
			asking, cancel := context.WithTimeout(ctx, lookTime)
			defer cancel()
			return look(asking)
		},
		up:      prometheus.NewDesc("labctl_queue_up", "Whether the queue answered when it was last asked.", nil, nil),
		depth:   prometheus.NewDesc("labctl_queue_jobs", "Gradings in the queue that are not done, by the queue of a lab's version and their state.", []string{"queue", "state"}, nil),
		oldest:  prometheus.NewDesc("labctl_queue_oldest_job_age_seconds", "Time since the oldest of them was queued.", []string{"queue", "state"}, nil),
		workers: prometheus.NewDesc("labctl_queue_workers", "Workers that have given the queue a sign of life.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (q *queue) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{q.up, q.depth, q.oldest, q.workers} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (q *queue) Collect(ch chan<- prometheus.Metric) {
	look, err := q.answer()
	up := 1.0
	if err != nil {
		up = 0
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(q.up, up)
	if err != nil {
		return // nobody knows
	}
	gauge(q.workers, float64(look.Workers))
	for _, d := range look.Depths {
		gauge(q.depth, float64(d.Jobs), d.Queue, d.State)
		gauge(q.oldest, d.Oldest.Seconds(), d.Queue, d.State)
	}
}

// answer is what the queue said last, or says now. Who comes in the meantime waits for the
// same answer.
func (q *queue) answer() (batch.Look, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.at.IsZero() || time.Since(q.at) >= lookEvery {
		q.last, q.err = q.look()
		q.at = time.Now()
	}
	return q.last, q.err
}
