package cluster

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/log"

	"labctl.dev/labctl/internal/fault"
)

func options(name string) Options { return Options{Name: name, Workers: AsItIs, NodeImage: "node:v1"} }

func mustUp(t *testing.T, c *Clusters, name string) *Cluster {
	t.Helper()
	cl, err := c.Up(context.Background(), options(name), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

func TestUpCreates(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	var during, nodes, api atomic.Int32
	cl, err := c.Up(context.Background(), options("lab"), func() Hooks {
		return Hooks{
			During:  func(context.Context) error { during.Add(1); return nil },
			NodesUp: func(_ context.Context, cl *Cluster) error { nodes.Add(int32(len(cl.Nodes))); return nil },
			APIUp:   func(context.Context, *Cluster) error { api.Add(1); return nil },
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if during.Load() != 1 || nodes.Load() != 3 || api.Load() != 1 {
		t.Errorf("hooks ran %d, %d (nodes), %d times", during.Load(), nodes.Load(), api.Load())
	}
	if want := []string{"lab-control-plane", "lab-worker1", "lab-worker2"}; !slices.Equal(cl.NodeNames(), want) {
		t.Errorf("nodes %v, want %v", cl.NodeNames(), want)
	}
	if cl.Context != "kind-lab" || cl.Existed || !w.hasContext("lab") {
		t.Errorf("got %+v, context exported: %v", cl, w.hasContext("lab"))
	}
	r, err := c.load("lab")
	if err != nil || r.Phase != ready || len(r.Containers) != 3 {
		t.Errorf("record %+v, %v", r, err)
	}
}

func TestUpAgainChecksOnly(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	mustUp(t, c, "lab")
	before := w.names()
	w.create = func(*world, *v1alpha4.Cluster, log.Logger) error { return errors.New("must not be called") }
	cl := mustUp(t, c, "lab")
	if !cl.Existed || !slices.Equal(before, w.names()) || len(w.removed) > 0 {
		t.Errorf("existed %v, containers %v, removed %v", cl.Existed, w.names(), w.removed)
	}
}

// Whoever completed a cluster is written down, so that another version can tell.
func TestUpRecordsItsVersion(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	if cl := mustUp(t, c, "lab"); cl.Labctl == "" {
		t.Error("a new cluster has no version")
	}
	r, err := c.load("lab")
	if err != nil {
		t.Fatal(err)
	}
	r.Labctl = "v0.0.1"
	if err := c.save(r); err != nil {
		t.Fatal(err)
	}
	found, err := c.Find(context.Background(), "lab")
	if err != nil || found.Labctl != "v0.0.1" {
		t.Fatalf("%+v, %v", found, err)
	}
	if cl := mustUp(t, c, "lab"); cl.Labctl == "v0.0.1" || cl.Labctl == "" {
		t.Errorf("up leaves version %q", cl.Labctl)
	}
}

func TestUpStartsStoppedNodes(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	mustUp(t, c, "lab")
	w.containers[1].running = false
	mustUp(t, c, "lab")
	if !w.containers[1].running {
		t.Error("the node is still stopped")
	}
}

func TestForeignClusterIsNotTouched(t *testing.T) {
	commands := map[string]func(*Clusters) error{
		"up":   func(c *Clusters) error { _, err := c.Up(context.Background(), options("lab"), nil); return err },
		"down": func(c *Clusters) error { _, err := c.Down(context.Background(), "lab"); return err },
		"find": func(c *Clusters) error { _, err := c.Find(context.Background(), "lab"); return err },
		"repair": func(c *Clusters) error {
			_, err := c.Repair(context.Background(), "lab", nil, nil)
			return err
		},
		"status": func(c *Clusters) error { _, err := c.Status(context.Background(), "lab"); return err },
	}
	worlds := map[string]func(*world, *Clusters){
		"never labctl's": func(w *world, _ *Clusters) { w.add("lab", "lab-control-plane", roleControl, "1") },
		"recreated by somebody else": func(w *world, c *Clusters) {
			mustUp(t, c, "lab")
			w.containers = nil
			w.add("lab", "lab-control-plane", roleControl, "1")
		},
		"made by somebody else after labctl was killed": func(w *world, c *Clusters) {
			if err := c.save(&record{Name: "lab", Phase: creating, APIPort: 7}); err != nil {
				t.Fatal(err)
			}
			w.add("lab", "lab-control-plane", roleControl, "1")
		},
	}
	for how, prepare := range worlds {
		for name, command := range commands {
			t.Run(name+"/"+how, func(t *testing.T) {
				w := newWorld(t)
				c := w.clusters()
				prepare(w, c)
				before := w.names()
				err := command(c)
				if err == nil || !strings.Contains(err.Error(), "not made by labctl") || fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
					t.Errorf("got %v (remedy %q)", err, fault.RemedyOf(err))
				}
				if !slices.Equal(before, w.names()) || len(w.removed) > 0 {
					t.Errorf("containers %v, removed %v", w.names(), w.removed)
				}
			})
		}
	}
}

// A killed labctl leaves a record that says "creating", and any number of containers.
func TestUpRemovesWhatAKilledUpLeft(t *testing.T) {
	tests := map[string]func(w *world){
		"nothing":               func(*world) {},
		"a worker":              func(w *world) { w.add("lab", "lab-worker", "worker", "") },
		"a control plane":       func(w *world) { w.add("lab", "lab-control-plane", roleControl, "7") },
		"one not yet published": func(w *world) { w.add("lab", "lab-control-plane", roleControl, "") },
	}
	for name, leave := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.clusters()
			if err := c.save(&record{Name: "lab", Phase: creating, APIPort: 7}); err != nil {
				t.Fatal(err)
			}
			leave(w)
			left := w.names()
			cl := mustUp(t, c, "lab")
			if cl.Existed || len(w.names()) != 3 || !slices.Equal(w.removed, left) {
				t.Errorf("existed %v, containers %v, removed %v, left %v", cl.Existed, w.names(), w.removed, left)
			}
		})
	}
}

// The engine's client outlives a killed labctl, and starts its container late.
func TestUpTriesAgainWhenALeftoverAppearsLate(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	if err := c.save(&record{Name: "lab", Phase: creating, APIPort: 7}); err != nil {
		t.Fatal(err)
	}
	tries := 0
	w.create = func(w *world, config *v1alpha4.Cluster, logger log.Logger) error {
		if tries++; tries == 1 {
			w.add("lab", "lab-worker", "worker", "")
			return errors.New(`node(s) already exist for a cluster with the name "lab"`)
		}
		w.makeNodes("lab", config, logger)
		w.startControlPlane(logger)
		return nil
	}
	mustUp(t, c, "lab")
	if tries != 2 || len(w.names()) != 3 {
		t.Errorf("%d tries, containers %v", tries, w.names())
	}
}

func TestUpRemovesAHalfMadeClusterWhenItIsInterrupted(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{})
	w.emptied = make(chan struct{}, 9)
	w.create = func(w *world, config *v1alpha4.Cluster, logger log.Logger) error {
		w.makeNodes("lab", config, logger)
		cancel()
		// Like kubeadm: fails once its container is gone, and kind has started another by then.
		<-w.emptied
		w.add("lab", "lab-worker9", "worker", "")
		close(gone)
		return errors.New("exit status 137")
	}
	_, err := c.Up(ctx, options("lab"), nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-gone
	if len(w.names()) > 0 {
		t.Errorf("containers left: %v", w.names())
	}
	if r, err := c.load("lab"); r != nil || err != nil {
		t.Errorf("record left: %+v, %v", r, err)
	}
}

func TestUpKeepsTheClusterWhenAHookFails(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	broken := errors.New("no fixture programs")
	_, err := c.Up(context.Background(), options("lab"), func() Hooks {
		return Hooks{During: func(context.Context) error { return broken }}
	})
	if !errors.Is(err, broken) || len(w.names()) != 3 {
		t.Errorf("got %v, containers %v", err, w.names())
	}
	if cl := mustUp(t, c, "lab"); !cl.Existed {
		t.Error("the next up did not complete the cluster but made a new one")
	}
}

func TestUpExplainsWhatKindCouldNotDo(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	w.create = func(w *world, config *v1alpha4.Cluster, logger log.Logger) error {
		w.makeNodes("lab", config, logger)
		logger.V(3).Info("kubeadm says a lot")
		return errors.New(`failed to init node with kubeadm: command "docker exec …" failed with error: exit status 1`)
	}
	_, err := c.Up(context.Background(), options("lab"), nil)
	if err == nil || err.Error() != `create cluster "lab": init node with kubeadm` || fault.KindOf(err) != fault.Environment {
		t.Fatalf("got %v", err)
	}
	remedy := fault.RemedyOf(err)
	kept, readErr := os.ReadFile(remedy[strings.LastIndex(remedy, " ")+1:])
	if readErr != nil || !strings.Contains(string(kept), "kubeadm says a lot") {
		t.Errorf("remedy %q; kept %q, %v", remedy, kept, readErr)
	}
	if len(w.names()) > 0 {
		t.Errorf("containers left: %v", w.names())
	}
}

func TestUpRefusesAnotherNumberOfWorkers(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	mustUp(t, c, "lab")
	o := options("lab")
	o.Workers = 3
	if _, err := c.Up(context.Background(), o, nil); fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "has 2 workers, not 3") {
		t.Errorf("got %v", err)
	}
}

func TestUpSendsToRepairWhatItCannotMend(t *testing.T) {
	tests := map[string]func(w *world){
		"a node is gone":      func(w *world) { w.containers = w.containers[:2] },
		"not healthy":         func(w *world) { w.healthy = errors.New("node lab-worker1 is not ready") },
		"a node cannot start": func(w *world) { w.containers[0].running, w.startErr = false, true },
	}
	for name, harm := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.clusters()
			mustUp(t, c, "lab")
			harm(w)
			_, err := c.Up(context.Background(), options("lab"), nil)
			if fault.KindOf(err) != fault.Environment || fault.RemedyOf(err) != "labctl repair --name lab" {
				t.Errorf("got %v, remedy %q", err, fault.RemedyOf(err))
			}
		})
	}
}

func TestInotifyLimitsAreNamed(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	mustUp(t, c, "lab")
	w.healthy = errors.New("node lab-worker1 is not ready")
	w.journal = "kubelet.go: Failed to start cAdvisor: inotify_init: too many open files"
	_, err := c.Up(context.Background(), options("lab"), nil)
	if remedy := fault.RemedyOf(err); !strings.Contains(remedy, "sysctl fs.inotify.max_user_instances=512") {
		t.Errorf("got %v, remedy %q", err, remedy)
	}
}

func TestRepair(t *testing.T) {
	same := func(_ context.Context, image string) (string, error) { return image, nil }
	tests := map[string]struct {
		harm      func(w *world)
		resolve   func(context.Context, string) (string, error)
		recreated bool
		wantErr   string
	}{
		"stopped nodes are started": {harm: func(w *world) { w.containers[0].running = false }},
		"a node is gone":            {harm: func(w *world) { w.containers = w.containers[:1] }, recreated: true},
		"all nodes are gone":        {harm: func(w *world) { w.containers = nil }, recreated: true},
		"a node cannot start":       {harm: func(w *world) { w.containers[0].running, w.startErr = false, true }, recreated: true},
		"what cannot be recreated is not removed": {
			harm:    func(w *world) { w.containers = w.containers[:1] },
			resolve: func(context.Context, string) (string, error) { return "", errors.New("no node image") },
			wantErr: "no node image",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.clusters()
			o := options("lab")
			o.Workers = 1
			if _, err := c.Up(context.Background(), o, nil); err != nil {
				t.Fatal(err)
			}
			tt.harm(w)
			before := w.names()
			resolve := same
			if tt.resolve != nil {
				resolve = tt.resolve
			}
			done, err := c.Repair(context.Background(), "lab", nil, resolve)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || !slices.Equal(before, w.names()) {
					t.Errorf("got %v, containers %v", err, w.names())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if done.Recreated != tt.recreated || len(w.names()) != 2 {
				t.Errorf("recreated %v (%s), containers %v", done.Recreated, done.Why, w.names())
			}
		})
	}
}

func TestDown(t *testing.T) {
	w := newWorld(t)
	c := w.clusters()
	mustUp(t, c, "lab")
	mustUp(t, c, "other")
	beside := w.add("", "labctl-lab-outside", "", "")
	beside.labels = map[string]string{LabelOf: "lab"}
	removed, err := c.Down(context.Background(), "lab")
	if err != nil || !removed {
		t.Fatalf("got %v, %v", removed, err)
	}
	if want := []string{"other-control-plane", "other-worker1", "other-worker2"}; !slices.Equal(w.names(), want) {
		t.Errorf("containers %v, want %v", w.names(), want)
	}
	if !slices.Equal(w.unexported, []string{"lab"}) {
		t.Errorf("took out the contexts of %v", w.unexported)
	}
	if removed, err := c.Down(context.Background(), "lab"); removed || err != nil {
		t.Errorf("again: got %v, %v", removed, err)
	}
	if names, err := c.List(t.Context()); err != nil || !slices.Equal(names, []string{"other"}) {
		t.Errorf("list %v, %v", names, err)
	}
}
