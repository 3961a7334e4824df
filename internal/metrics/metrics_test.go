package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/version"
)

// served are metrics that a server of the test's own serves.
func served(t *testing.T, m *Metrics, health func() error) (url string) {
	t.Helper()
	l, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Serve(ctx, l, health) }()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	code, body := get(t, url+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if code != http.StatusOK || err != nil {
		t.Fatalf("HTTP %d, %v: %s", code, err, body)
	}
	return all
}

// value returns the value of the series with the labels, "a=b c=d" in their order.
func value(t *testing.T, all map[string]*dto.MetricFamily, name, labels string) float64 {
	t.Helper()
	for _, m := range all[name].GetMetric() {
		var got []string
		for _, l := range m.Label {
			got = append(got, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(got, " ") == labels {
			switch all[name].GetType() {
			case dto.MetricType_COUNTER:
				return m.Counter.GetValue()
			case dto.MetricType_HISTOGRAM:
				return float64(m.Histogram.GetSampleCount())
			default:
				return m.Gauge.GetValue()
			}
		}
	}
	t.Errorf("there is no %s{%s}", name, labels)
	return -1
}

func full(t *testing.T) *Metrics {
	t.Helper()
	m := New(version.Info{Version: "v1.2.3", Commit: "abc", Go: "go1.26"}, []string{"clusterip", "nodeport"})
	m.Pool(func() batch.PoolState {
		return batch.PoolState{Making: 1, Busy: 2, Running: 3, Capacity: 8, Limit: 4, Failed: 4, Made: map[batch.Cause]int{batch.First: 3, batch.Recycled: 2}}
	})
	m.Queue(t.Context(), func(context.Context) (batch.Look, error) {
		return batch.Look{Workers: 2, Depths: []batch.Depth{
			{Queue: "clusterip_1_0_0", State: "available", Jobs: 7, Oldest: 90 * time.Second},
			{Queue: "clusterip_1_0_0", State: "running", Jobs: 1, Oldest: time.Minute},
		}}, nil
	})
	return m
}

func TestMetricsAreCounted(t *testing.T) {
	m := full(t)
	url := served(t, m, func() error { return nil })
	zero := scrape(t, url)
	for name, labels := range map[string]string{
		"labctl_jobs_finished_total": "lab=nodeport outcome=error", "labctl_jobs_retried_total": "lab=clusterip reason=cluster",
		"labctl_jobs_taken_total": "lab=clusterip", "labctl_jobs_running": "", "labctl_stage_duration_seconds": "stage=ready",
	} {
		if v := value(t, zero, name, labels); v != 0 {
			t.Errorf("%s begins at %v", name, v)
		}
	}
	for range 3 {
		m.Taken("clusterip")
	}
	m.Ended("clusterip", batch.Outcome(result.Graded), 20*time.Second)
	m.Ended("clusterip", batch.LostCluster, time.Second)
	m.Stage(telemetry.Ready, 12*time.Second)
	all := scrape(t, url)
	for _, want := range []struct {
		name, labels string
		value        float64
	}{
		{"labctl_build_info", "commit=abc goversion=go1.26 version=v1.2.3", 1},
		{"labctl_jobs_taken_total", "lab=clusterip", 3},
		{"labctl_jobs_finished_total", "lab=clusterip outcome=graded", 1},
		{"labctl_jobs_finished_total", "lab=nodeport outcome=graded", 0},
		{"labctl_jobs_retried_total", "lab=clusterip reason=cluster", 1},
		{"labctl_jobs_running", "", 1},
		{"labctl_job_duration_seconds", "lab=clusterip", 1},
		{"labctl_stage_duration_seconds", "stage=ready", 1},
		{"labctl_pool_clusters", "state=making", 1},
		{"labctl_pool_clusters", "state=busy", 2},
		{"labctl_pool_clusters", "state=idle", 0},
		{"labctl_pool_capacity", "", 8},
		{"labctl_pool_limit", "", 4},
		{"labctl_pool_running", "", 3},
		{"labctl_pool_clusters_made_total", "cause=recycled", 2},
		{"labctl_pool_cluster_failures_total", "", 4},
		{"labctl_queue_up", "", 1},
		{"labctl_queue_jobs", "queue=clusterip_1_0_0 state=available", 7},
		{"labctl_queue_oldest_job_age_seconds", "queue=clusterip_1_0_0 state=available", 90},
		{"labctl_queue_workers", "", 2},
	} {
		if got := value(t, all, want.name, want.labels); got != want.value {
			t.Errorf("%s{%s} is %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	if all["go_goroutines"] == nil || all["go_build_info"] != nil && all["process_start_time_seconds"] == nil {
		t.Error("the runtime's own metrics are missing")
	}
}

// The names are as Prometheus' conventions have them, and no label but these is there.
func TestMetricsAreNamedAsIsCustomary(t *testing.T) {
	m := full(t)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "labctl_") {
			continue
		}
		series += len(f.Metric)
		for _, l := range f.Metric[0].Label {
			switch l.GetName() {
			case "lab", "outcome", "reason", "stage", "state", "cause", "queue", "version", "commit", "goversion":
			default:
				t.Errorf("%s has the label %s", f.GetName(), l.GetName())
			}
		}
	}
	if series == 0 || series > 80 {
		t.Errorf("%d series", series)
	}
}

// However many scrape, the queue is asked once in a while; when it hangs, the scrape does not,
// and what is known otherwise is still told.
func TestScrapingDoesNotHurtTheQueue(t *testing.T) {
	var asked atomic.Int32
	m := New(version.Info{}, nil)
	m.Queue(t.Context(), func(context.Context) (batch.Look, error) {
		asked.Add(1)
		return batch.Look{}, nil
	})
	url := served(t, m, func() error { return nil })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			resp, err := http.Get(url + "/metrics")
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("HTTP %d", resp.StatusCode)
			}
		})
	}
	wg.Wait()
	scrape(t, url)
	if n := asked.Load(); n != 1 {
		t.Errorf("the queue was asked %d times", n)
	}
}

func TestQueueThatHangs(t *testing.T) {
	for name, look := range map[string]func(context.Context) (batch.Look, error){
		"hangs": func(ctx context.Context) (batch.Look, error) { <-ctx.Done(); return batch.Look{}, ctx.Err() },
		"fails": func(context.Context) (batch.Look, error) { return batch.Look{Workers: 7}, errors.New("it is gone") },
	} {
		m := New(version.Info{}, []string{"clusterip"})
		m.Queue(t.Context(), look)
		began := time.Now()
		all := scrape(t, served(t, m, func() error { return nil }))
		if took := time.Since(began); took > 2*lookTime {
			t.Errorf("%s: it took %v", name, took)
		}
		if value(t, all, "labctl_queue_up", "") != 0 || all["labctl_queue_workers"] != nil || value(t, all, "labctl_jobs_taken_total", "lab=clusterip") != 0 {
			t.Errorf("%s: %v", name, all)
		}
	}
}

func TestHealth(t *testing.T) {
	var sick atomic.Bool
	url := served(t, New(version.Info{}, nil), func() error {
		if sick.Load() {
			return errors.New("the queue has been out of reach for 1m")
		}
		return nil
	})
	if code, body := get(t, url+"/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("HTTP %d: %s", code, body)
	}
	sick.Store(true)
	if code, body := get(t, url+"/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "out of reach") {
		t.Errorf("HTTP %d: %s", code, body)
	}
	if code, _ := get(t, url+"/"); code != http.StatusOK {
		t.Errorf("HTTP %d", code)
	}
	if code, _ := get(t, url+"/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("HTTP %d", code)
	}
}

func TestListen(t *testing.T) {
	taken, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	if host, _, _ := net.SplitHostPort(taken.Addr().String()); host != "127.0.0.1" {
		t.Errorf("a port alone is at %s", taken.Addr())
	}
	all, err := Listen(t.Context(), ":0")
	if err != nil {
		t.Fatal(err)
	}
	_ = all.Close()
	if host := all.Addr().(*net.TCPAddr).IP; !host.IsUnspecified() {
		t.Errorf("a port with a colon is at %s", host)
	}
	for address, kind := range map[string]fault.Kind{
		taken.Addr().String():           fault.Environment,
		"192.0.2.1:0":                   fault.Environment, // of no interface of this machine
		"nine":                          fault.Input,
		"70000":                         fault.Input,
		"http://127.0.0.1:9090/metrics": fault.Input,
		"":                              fault.Input,
	} {
		l, err := Listen(t.Context(), address)
		if err == nil {
			_ = l.Close()
			t.Errorf("%q was taken", address)
			continue
		}
		if fault.KindOf(err) != kind || fault.RemedyOf(err) == "" || strings.Count(err.Error(), taken.Addr().String()) > 1 {
			t.Errorf("%q: %v, kind %d, remedy %q", address, err, fault.KindOf(err), fault.RemedyOf(err))
		}
	}
	if _, err := Listen(t.Context(), taken.Addr().String()); err == nil || !strings.Contains(fmt.Sprint(err), "in use") {
		t.Errorf("%v", err)
	}
}
