package loadbalancer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRecords(t *testing.T) {
	h := newWorld().host(t)
	if r, err := h.record("lab"); err != nil || r != (record{}) {
		t.Fatalf("a cluster without a record: got %+v, %v", r, err)
	}
	if all, err := h.records(); err != nil || len(all) != 0 {
		t.Fatalf("no clusters: got %v, %v", all, err)
	}
	want := record{Cluster: "lab", Kind: Builtin, Process: process{PID: 7, Started: "b/1"}, Kubeconfig: "sha256:1", Version: "2-3"}
	must(t, h.save(record{Cluster: "lab", Kind: None}), h.save(want), h.save(record{Cluster: "next", Kind: CloudProviderKind}))
	if r, err := h.record("lab"); err != nil || r != want {
		t.Errorf("got %+v, %v; want %+v", r, err, want)
	}
	// A folder that has no record, as one that is being made, counts for nothing.
	must(t, os.MkdirAll(h.folder("empty"), 0o700))
	if all, err := h.records(); err != nil || len(all) != 2 {
		t.Errorf("got %v, %v; want two", all, err)
	}
	left, err := filepath.Glob(filepath.Join(h.folder("lab"), ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
	must(t, h.forget("lab"), h.forget("never-was"))
	if r, err := h.record("lab"); err != nil || r.Kind != "" {
		t.Errorf("forgotten: got %+v, %v", r, err)
	}
	must(t, writeFile(filepath.Join(h.folder("next"), recordFile), []byte("{")))
	if _, err := h.records(); err == nil || !strings.Contains(err.Error(), recordFile) {
		t.Errorf("a broken record: got error %v, want one that names the file", err)
	}
}

func TestLockIsExclusive(t *testing.T) {
	h := newWorld().host(t)
	unlock, err := h.lock(context.Background())
	must(t, err)
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := h.lock(ended); err == nil {
		t.Error("two have the lock at the same time")
	}
	unlock()
	again, err := h.lock(context.Background())
	must(t, err)
	again()
}

// TestRelease counts references: cloud-provider-kind ends with its last cluster.
func TestRelease(t *testing.T) {
	cpk, server := process{PID: 40, Started: "b/1"}, process{PID: 60, Started: "b/3"}
	ours := func(t *testing.T, w *world, h *host) {
		w.alive = []process{cpk}
		w.containers[cpkLabel+"=lab"] = []string{"envoy"}
		must(t, writeJSON(h.cpkFile(recordFile), cpkRecord{Process: cpk}), h.save(record{Cluster: "lab", Kind: CloudProviderKind}))
	}
	shared := func(t *testing.T, w *world, h *host) {
		ours(t, w, h)
		w.cluster("other")
		must(t, h.save(record{Cluster: "other", Kind: CloudProviderKind}))
	}
	tests := map[string]struct {
		world   func(*testing.T, *world, *host)
		ended   []process
		stopped []string
		removed []string
	}{
		"no record":     {world: func(*testing.T, *world, *host) {}},
		"the last user": {world: ours, ended: []process{cpk}, removed: []string{"envoy"}},
		"another cluster uses it": {
			world:   shared,
			removed: []string{"envoy"},
		},
		"the other user is gone": {
			world: func(t *testing.T, w *world, h *host) {
				shared(t, w, h)
				delete(w.containers, "io.x-k8s.kind.cluster=other")
			},
			ended: []process{cpk}, removed: []string{"envoy"},
		},
		"the other user is a builtin one": {
			world: func(t *testing.T, w *world, h *host) {
				shared(t, w, h)
				must(t, h.save(record{Cluster: "other", Kind: Builtin}))
			},
			ended: []process{cpk}, removed: []string{"envoy"},
		},
		"ours in a container": {
			world: func(t *testing.T, w *world, h *host) {
				ours(t, w, h)
				w.alive, w.containers[cpkOwnLabel] = nil, []string{"cpk-id"}
				must(t, writeJSON(h.cpkFile(recordFile), cpkRecord{Container: "cpk-id"}))
			},
			stopped: []string{"cpk-id"}, removed: []string{"cpk-id", "envoy"},
		},
		"a foreign one is left alone": {
			world: func(t *testing.T, w *world, h *host) {
				ours(t, w, h)
				w.alive, w.named = []process{{PID: 50, Started: "b/2"}}, []process{{PID: 50, Started: "b/2"}}
			},
		},
		"its number was given to another process": {
			world: func(t *testing.T, w *world, h *host) {
				ours(t, w, h)
				w.alive = []process{{PID: cpk.PID, Started: "b/9"}}
			},
			removed: []string{"envoy"}, // nobody else would
		},
		"builtin": {
			world: func(t *testing.T, w *world, h *host) {
				w.alive = []process{server, cpk}
				w.containers["dev.labctl.load-balancer.cluster=lab"] = []string{"haproxy"}
				must(t, h.save(record{Cluster: "lab", Kind: Builtin, Process: server}))
			},
			ended: []process{server}, removed: []string{"haproxy"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			h := w.host(t)
			tt.world(t, w, h)
			must(t, h.release(context.Background(), "lab"))
			if !slices.Equal(w.ended, tt.ended) {
				t.Errorf("ended %v, want %v", w.ended, tt.ended)
			}
			if !slices.Equal(w.stopped, tt.stopped) {
				t.Errorf("stopped %v, want %v", w.stopped, tt.stopped)
			}
			if !slices.Equal(w.removed, tt.removed) {
				t.Errorf("removed %v, want %v", w.removed, tt.removed)
			}
			if _, err := os.Stat(h.folder("lab")); !os.IsNotExist(err) {
				t.Errorf("the record is still there: %v", err)
			}
		})
	}
}
