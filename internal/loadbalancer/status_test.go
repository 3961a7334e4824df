package loadbalancer

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/loadbalancer/builtin"
)

func TestStatusBuiltin(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	server, stranger := process{PID: 60, Started: "b/3"}, process{PID: 60, Started: "b/9"}
	well := builtin.Health{Synced: true}
	tests := map[string]struct {
		alive   process
		report  *report
		running bool
		why     string // "" means healthy
	}{
		"healthy":              {alive: server, report: &report{server, now.Add(-time.Second), well}, running: true},
		"ended":                {report: &report{server, now, well}, why: "has ended: nothing in its log"},
		"its number is reused": {alive: stranger, report: &report{server, now, well}, why: "has ended"},
		"no report yet":        {alive: server, running: true, why: "not reported yet"},
		"another's report":     {alive: server, report: &report{stranger, now, well}, running: true, why: "not reported yet"},
		"just not stale":       {alive: server, report: &report{server, now.Add(time.Second - staleAfter), well}, running: true},
		"stale":                {alive: server, report: &report{server, now.Add(-staleAfter), well}, running: true, why: "not reported for 24s"},
		"unwell":               {alive: server, report: &report{server, now, builtin.Health{}}, running: true, why: "has not read"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			h := w.host(t)
			w.alive = []process{tt.alive}
			if tt.report != nil {
				must(t, writeJSON(filepath.Join(h.folder("lab"), healthFile), tt.report))
			}
			s := h.statusBuiltin(record{Cluster: "lab", Kind: Builtin, Process: server}, now)
			if s.Running != tt.running || s.Healthy != (tt.why == "") || !strings.Contains(s.Why, tt.why) {
				t.Errorf("got %+v, want running %v and why %q", s, tt.running, tt.why)
			}
			if (s.PID == server.PID) != tt.running {
				t.Errorf("PID %d where running is %v", s.PID, tt.running)
			}
		})
	}
}

func TestUnwell(t *testing.T) {
	tests := map[string]struct {
		health builtin.Health
		want   string
	}{
		"well":           {builtin.Health{Synced: true}, ""},
		"engine first":   {builtin.Health{Engine: "gone", API: "gone too"}, "the container engine does not answer: gone"},
		"API server":     {builtin.Health{Synced: true, API: "refused"}, "the cluster's API server does not answer: refused"},
		"no image":       {builtin.Health{Synced: true, Image: "no image"}, "no image"},
		"first by name":  {builtin.Health{Synced: true, Failing: map[string]string{"b/b": "2", "a/a": "1"}}, "service a/a: 1"},
		"not yet synced": {builtin.Health{Image: "no image"}, "it has not read the cluster's Services yet"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := unwell(tt.health); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAdopted(t *testing.T) {
	const (
		start = `I0102 03:04:05 controller.go:90] "Starting cloud controller" cluster="lab"` + "\n"
		end   = `I0102 03:04:05 controller.go:99] "Deleting resources" cluster="lab"` + "\n"
		other = `I0102 03:04:05 controller.go:90] "Starting cloud controller" cluster="lab2"` + "\n"
	)
	tests := map[string]struct {
		log  string
		want bool
	}{
		"empty":             {"", false},
		"started":           {start, true},
		"another cluster":   {other, false},
		"deleted":           {start + end, false},
		"made again":        {start + end + start, true},
		"another beside it": {start + other, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := adopted(tt.log, "lab"); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestServes runs with a context that has ended, so that no case waits.
func TestServes(t *testing.T) {
	cpk, server := process{PID: 40, Started: "b/1"}, process{PID: 60, Started: "b/3"}
	ours := func(log string) func(*testing.T, *world, *host) {
		return func(t *testing.T, w *world, h *host) {
			w.alive = []process{cpk}
			must(t, writeJSON(h.cpkFile(recordFile), cpkRecord{Process: cpk}), writeFile(h.cpkLog(), []byte(log)),
				h.save(record{Cluster: "lab", Kind: CloudProviderKind}))
		}
	}
	served := func(t *testing.T, w *world, h *host) {
		w.alive = []process{server}
		must(t, h.save(record{Cluster: "lab", Kind: Builtin, Process: server}),
			writeJSON(filepath.Join(h.folder("lab"), healthFile), report{server, time.Now(), builtin.Health{Synced: true}}))
	}
	tests := map[string]struct {
		world  func(*testing.T, *world, *host)
		want   Status // as far as it is compared
		says   string // in the error; "" means that it serves
		remedy string
	}{
		"never asked for": {
			world: func(*testing.T, *world, *host) {},
			want:  Status{Kind: None}, says: "serves no load balancers", remedy: "labctl up --name lab --load-balancer auto",
		},
		"asked for none": {
			world: func(t *testing.T, _ *world, h *host) { must(t, h.save(record{Cluster: "lab", Kind: None})) },
			want:  Status{Kind: None}, says: "--load-balancer=none", remedy: "--load-balancer auto",
		},
		"builtin": {world: served, want: Status{Kind: Builtin, Running: true, Healthy: true, PID: 60}},
		"builtin has ended": {
			world: func(t *testing.T, w *world, h *host) {
				served(t, w, h)
				w.alive = nil
				must(t, writeFile(filepath.Join(h.folder("lab"), logFile), []byte("started\nout of memory\n")))
			},
			want: Status{Kind: Builtin}, says: "out of memory", remedy: logFile,
		},
		"cloud-provider-kind": {
			world: ours(`"Starting cloud controller" cluster="lab"`),
			want:  Status{Kind: CloudProviderKind, Running: true, Healthy: true, PID: 40},
		},
		"cloud-provider-kind has not found it": {
			world: ours(`"Starting cloud controller" cluster="other"`),
			want:  Status{Kind: CloudProviderKind, Running: true, PID: 40}, says: "has not found the cluster yet", remedy: "cloud-provider-kind.log",
		},
		"cloud-provider-kind has ended": {
			world: func(t *testing.T, w *world, h *host) { ours("fatal: no socket\n")(t, w, h); w.alive = nil },
			want:  Status{Kind: CloudProviderKind}, says: "fatal: no socket", remedy: "cloud-provider-kind.log",
		},
		"a foreign one": {
			world: func(t *testing.T, w *world, h *host) {
				ours("")(t, w, h)
				w.alive, w.named = nil, []process{{PID: 50, Started: "b/2"}}
			},
			want: Status{Kind: CloudProviderKind, Running: true, Healthy: true, Foreign: true, PID: 50},
		},
	}
	ctx, end := context.WithCancel(context.Background())
	end()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			h := w.host(t)
			tt.world(t, w, h)
			s, err := h.status(ctx, "lab")
			must(t, err)
			if !s.Healthy && s.Why == "" {
				t.Error("not healthy, and no reason why")
			}
			s.Log, s.Why = "", ""
			if s != tt.want {
				t.Errorf("got %+v, want %+v", s, tt.want)
			}
			err = h.serves(ctx, "lab")
			if (err != nil) != (tt.says != "") {
				t.Fatalf("got error %v, want one that says %q", err, tt.says)
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), tt.says) || fault.KindOf(err) != fault.Environment {
				t.Errorf("got error %v, want one of the environment that says %q", err, tt.says)
			}
			if got := fault.RemedyOf(err); !strings.Contains(got, tt.remedy) {
				t.Errorf("remedy %q, want one that names %q", got, tt.remedy)
			}
		})
	}
}
