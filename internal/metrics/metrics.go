// Package metrics counts what becomes of a class that is graded, and serves the numbers as
// Prometheus reads them. It is the only importer of Prometheus. No label ever names a student
// or a submission: each has as many values as there are labs, stages or states.
package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/version"
)

// Metrics are the numbers of one process. It is a batch.Observer.
type Metrics struct {
	registry *prometheus.Registry
	taken    *prometheus.CounterVec
	finished *prometheus.CounterVec
	retried  *prometheus.CounterVec
	running  prometheus.Gauge
	jobs     *prometheus.HistogramVec
	stages   *prometheus.HistogramVec
}

// New returns the metrics of a process that grades the labs with the ids.
func New(build version.Info, labs []string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "labctl_jobs_taken_total", Help: "Gradings that this process took from the queue, each try counted.",
		}, []string{"lab"}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "labctl_jobs_finished_total", Help: "Gradings that ended here for good, by what became of the submission.",
		}, []string{"lab", "outcome"}),
		retried: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "labctl_jobs_retried_total", Help: "Tries that ended here without a grade, and went back into the queue, by why.",
		}, []string{"lab", "reason"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "labctl_jobs_running", Help: "Gradings that this process is at.",
		}),
		jobs: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "labctl_job_duration_seconds", Help: "How long gradings took that ended here for good, waiting for room included.",
			Buckets: jobBuckets(),
		}, []string{"lab"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "labctl_stage_duration_seconds", Help: "How long the stages of gradings took.",
			Buckets: stageBuckets(),
		}, []string{"stage"}),
	}
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "labctl_build_info", Help: "Which labctl this is; always 1.",
		ConstLabels: prometheus.Labels{"version": build.Version, "commit": build.Commit, "goversion": build.Go},
	}, func() float64 { return 1 })
	m.registry.MustRegister(info, m.taken, m.finished, m.retried, m.running, m.jobs, m.stages,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin(labs)
	return m
}

// begin makes every series begin at 0, so that a first increase is one.
func (m *Metrics) begin(labs []string) {
	for _, lab := range labs {
		m.taken.WithLabelValues(lab)
		m.jobs.WithLabelValues(lab)
		for _, o := range batch.Outcomes() {
			m.ends(o).WithLabelValues(lab, string(o))
		}
	}
	for _, s := range telemetry.Stages() {
		m.stages.WithLabelValues(string(s))
	}
}

func (m *Metrics) ends(o batch.Outcome) *prometheus.CounterVec {
	if o.Final() {
		return m.finished
	}
	return m.retried
}

// jobBuckets reach from a submission that is refused at once to one that waited for a cluster.
func jobBuckets() []float64 {
	return []float64{1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200}
}

// stageBuckets reach from reading a submission to making a cluster.
func stageBuckets() []float64 {
	return []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600}
}

// Taken implements batch.Observer.
func (m *Metrics) Taken(lab string) {
	m.taken.WithLabelValues(lab).Inc()
	m.running.Inc()
}

// Ended implements batch.Observer.
func (m *Metrics) Ended(lab string, o batch.Outcome, took time.Duration) {
	m.running.Dec()
	m.ends(o).WithLabelValues(lab, string(o)).Inc()
	if o.Final() && o != batch.Known {
		m.jobs.WithLabelValues(lab).Observe(took.Seconds())
	}
}

// Stage counts a stage that has ended.
func (m *Metrics) Stage(s telemetry.Stage, took time.Duration) {
	m.stages.WithLabelValues(string(s)).Observe(took.Seconds())
}

// Pool makes the state of a pool a part of the metrics; at most once.
func (m *Metrics) Pool(state func() batch.PoolState) {
	m.registry.MustRegister(newPool(state))
}

// Queue makes the state of a queue a part of the metrics; at most once. ctx ends the asking.
func (m *Metrics) Queue(ctx context.Context, look func(context.Context) (batch.Look, error)) {
	m.registry.MustRegister(newQueue(ctx, look))
}
