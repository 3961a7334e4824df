package loadbalancer

import (
	"context"
	"os"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

func TestSelect(t *testing.T) {
	own, foreign := process{PID: 40, Started: "b/1"}, process{PID: 50, Started: "b/2"}
	nothing := func(*testing.T, *world, *host) {}
	onPath := func(_ *testing.T, w *world, _ *host) { w.path, w.images = "/bin", []string{cpkProxyImage} }
	foreignRuns := func(_ *testing.T, w *world, _ *host) { w.named = []process{foreign} }
	ownRuns := func(t *testing.T, w *world, h *host) {
		w.alive = []process{own}
		must(t, writeJSON(h.cpkFile(recordFile), cpkRecord{Process: own}))
		must(t, os.WriteFile(h.cpkLog(), nil, 0o600))
	}
	builtinElsewhere := func(t *testing.T, w *world, h *host) {
		onPath(t, w, h)
		w.cluster("other")
		must(t, h.save(record{Cluster: "other", Kind: Builtin}))
	}
	tests := map[string]struct {
		world   func(*testing.T, *world, *host)
		want    Kind
		cluster string
		kind    Kind
		says    string // in the reason, or in the error where kind is ""
		fault   fault.Kind
	}{
		"none":                         {world: foreignRuns, want: None, kind: None, says: "stay pending"},
		"unknown":                      {world: nothing, want: "metallb", says: "metallb", fault: fault.Input},
		"auto, nothing to be had":      {world: nothing, want: Auto, kind: Builtin, says: "cannot be had"},
		"left out means auto":          {world: nothing, kind: Builtin, says: "cannot be had"},
		"auto, program and proxy":      {world: onPath, want: Auto, kind: CloudProviderKind, says: "/bin/cloud-provider-kind is on PATH"},
		"auto, a foreign one runs":     {world: foreignRuns, want: Auto, kind: CloudProviderKind, says: "process 50"},
		"auto, our own runs":           {world: ownRuns, want: Auto, kind: CloudProviderKind, says: "for another cluster"},
		"auto, builtin elsewhere":      {world: builtinElsewhere, want: Auto, kind: Builtin, says: "cluster other"},
		"builtin":                      {world: onPath, want: Builtin, kind: Builtin, says: "as asked"},
		"builtin beside a foreign":     {world: foreignRuns, want: Builtin, says: "fight", fault: fault.Environment},
		"builtin beside our own":       {world: ownRuns, want: Builtin, says: "fight", fault: fault.Environment},
		"asked for, and there":         {world: ownRuns, want: CloudProviderKind, kind: CloudProviderKind, says: "runs already"},
		"asked for, obtainable":        {world: onPath, want: CloudProviderKind, kind: CloudProviderKind, says: "as asked"},
		"asked for, not obtainable":    {world: nothing, want: CloudProviderKind, says: "cannot be had", fault: fault.Environment},
		"asked for, builtin elsewhere": {world: builtinElsewhere, want: CloudProviderKind, says: "cluster other", fault: fault.Environment},
		"auto, program without proxy": {
			world: func(_ *testing.T, w *world, _ *host) { w.path = "/bin" },
			want:  Auto, kind: Builtin, says: cpkProxyImage,
		},
		"auto, both images in a registry": {
			world: func(_ *testing.T, w *world, _ *host) { w.registry = []string{cpkImage, cpkProxyImage} },
			want:  Auto, kind: CloudProviderKind, says: "its image can be had",
		},
		"auto, a foreign container": {
			world: func(_ *testing.T, w *world, _ *host) {
				w.ps = "aaaabbbbccccdddd registry.k8s.io/cloud-provider-kind/cloud-controller-manager:v0.9.0"
			},
			want: Auto, kind: CloudProviderKind, says: "container aaaabbbbcccc)",
		},
		"auto, our own has ended": {
			world: func(t *testing.T, w *world, h *host) { ownRuns(t, w, h); w.alive = nil },
			want:  Auto, kind: Builtin, says: "cannot be had",
		},
		"auto, builtin's cluster is gone": {
			world: func(t *testing.T, w *world, h *host) { builtinElsewhere(t, w, h); clear(w.containers) },
			want:  Auto, kind: CloudProviderKind, says: "on PATH",
		},
		"builtin instead of our own": {
			world: func(t *testing.T, w *world, h *host) {
				ownRuns(t, w, h)
				w.cluster("lab")
				must(t, h.save(record{Cluster: "lab", Kind: CloudProviderKind}))
			},
			want: Builtin, cluster: "lab", kind: Builtin, says: "is stopped",
		},
		"builtin, and another uses our own": {
			world: func(t *testing.T, w *world, h *host) {
				ownRuns(t, w, h)
				for _, name := range []string{"lab", "other"} {
					w.cluster(name)
					must(t, h.save(record{Cluster: name, Kind: CloudProviderKind}))
				}
			},
			want: Builtin, cluster: "lab", says: "fight", fault: fault.Environment,
		},
		"auto, builtin serves it already": {
			world: func(t *testing.T, w *world, h *host) {
				onPath(t, w, h)
				w.alive = []process{own}
				must(t, h.save(record{Cluster: "lab", Kind: Builtin, Process: own}))
			},
			want: Auto, cluster: "lab", kind: Builtin, says: "already",
		},
		"its own builtin is not in its way": {
			world: func(t *testing.T, w *world, h *host) {
				onPath(t, w, h)
				w.cluster("lab")
				must(t, h.save(record{Cluster: "lab", Kind: Builtin}))
			},
			want: CloudProviderKind, cluster: "lab", kind: CloudProviderKind, says: "as asked",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			h := w.host(t)
			tt.world(t, w, h)
			kind, why, err := h.selectKind(context.Background(), tt.want, tt.cluster)
			if kind != tt.kind || (err != nil) != (tt.kind == "") {
				t.Fatalf("got %q (%s), %v; want %q", kind, why, err, tt.kind)
			}
			if err == nil {
				if !strings.Contains(why, tt.says) {
					t.Errorf("says %q, want %q", why, tt.says)
				}
				return
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("says %q, want %q", err, tt.says)
			}
			if got := fault.KindOf(err); got != tt.fault {
				t.Errorf("fault kind %d, want %d", got, tt.fault)
			}
			if fault.RemedyOf(err) == "" {
				t.Error("no remedy")
			}
		})
	}
}
