// Package furnish turns a cluster of kind's into a cluster for labs: fixture images on
// every node, a note of which ones for the graders, a vantage point outside, and a load
// balancer. It does each part as early in the making of the cluster as it can be done.
package furnish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/containment"
	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/images"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/loadbalancer"
)

// Progress shows steps; they may overlap.
type Progress interface {
	Begin(step string) (end func(err error))
}

// Furniture is what one cluster gets.
type Furniture struct {
	Engine       *engine.Engine
	Store        *images.Store
	Progress     Progress
	LoadBalancer loadbalancer.Kind // as loadbalancer.Select returned it
}

// Work returns the work in the form that cluster.Up and cluster.Repair take.
func (f *Furniture) Work() cluster.Hooks {
	a := &attempt{Furniture: f, assembled: newGate(), loaded: newGate()}
	return cluster.Hooks{During: a.during, NodesUp: a.nodesUp, APIUp: a.apiUp}
}

// attempt is the work for one attempt at a cluster.
type attempt struct {
	*Furniture
	assembled *gate // the images are in the store
	loaded    *gate // those that the engine runs itself are in the engine
	images    []images.Image
}

// gate opens once, and says whether what it stands for went well.
type gate struct {
	ch chan struct{}
	ok bool
}

func newGate() *gate { return &gate{ch: make(chan struct{})} }

// errElsewhere stands for a failure that another part reports.
var errElsewhere = errors.New("failed elsewhere")

func (g *gate) open(err error) { g.ok = err == nil; close(g.ch) }

func (g *gate) wait(ctx context.Context) error {
	select {
	case <-g.ch:
		if !g.ok {
			return errElsewhere
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reported drops the failures that another part reports.
func reported(err error) error {
	if errors.Is(err, errElsewhere) {
		return nil
	}
	return err
}

func (a *attempt) during(ctx context.Context) error {
	made, err := a.Store.Assemble(ctx)
	a.images = made
	a.assembled.open(err)
	if err != nil {
		a.loaded.open(err)
		return err
	}
	var g errgroup.Group
	g.Go(func() error {
		err := a.Store.LoadEngine(ctx, a.Engine, a.inEngine())
		a.loaded.open(err)
		return err
	})
	g.Go(func() error { return loadbalancer.Prepare(ctx, a.Engine, a.LoadBalancer) })
	return g.Wait()
}

// inEngine are the images of containers beside the cluster.
func (a *attempt) inEngine() []images.Image {
	return a.only(func(ref string) bool {
		return ref == images.Probe || ref == images.HAProxy && a.LoadBalancer == loadbalancer.Builtin
	})
}

func (a *attempt) only(wanted func(ref string) bool) []images.Image {
	var some []images.Image
	for _, i := range a.images {
		if wanted(i.Ref) {
			some = append(some, i)
		}
	}
	return some
}

func (a *attempt) nodesUp(ctx context.Context, cl *cluster.Cluster) error {
	var g errgroup.Group
	g.Go(func() error { return containment.CloseEgress(ctx, a.Engine, cl.NodeNames(), cluster.PodSubnet()) })
	g.Go(func() error { return a.load(ctx, cl) })
	return g.Wait()
}

// load brings the fixture images into the nodes.
func (a *attempt) load(ctx context.Context, cl *cluster.Cluster) error {
	if err := a.assembled.wait(ctx); err != nil {
		return reported(err)
	}
	end := a.Progress.Begin("Loading fixture images into the nodes")
	err := a.Store.LoadNodes(ctx, a.Engine, cl.NodeNames(), a.only(func(ref string) bool { return ref != images.HAProxy }))
	end(err)
	return err
}

func (a *attempt) apiUp(ctx context.Context, cl *cluster.Cluster) error {
	parts := []func(context.Context, *cluster.Cluster) error{a.note, a.outside, a.balance}
	errs := make([]error, len(parts))
	var g errgroup.Group
	for i, part := range parts {
		g.Go(func() error { errs[i] = reported(part(ctx, cl)); return nil })
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

// note writes down in the cluster which images its nodes hold.
func (a *attempt) note(ctx context.Context, cl *cluster.Cluster) error {
	if err := a.assembled.wait(ctx); err != nil {
		return err
	}
	data, err := images.Inventory(a.images)
	if err != nil {
		return err
	}
	client, err := kube.Connect(cl.Kubeconfig, cl.Context)
	if err != nil {
		return err
	}
	labels := map[string]string{"app.kubernetes.io/managed-by": "labctl"}
	err = client.CreateNamespace(ctx, images.InventoryNamespace, labels, nil)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return client.PutConfigMap(ctx, images.InventoryNamespace, images.InventoryName, data)
}

// outside starts the vantage point outside, and proves that nodes can be reached from it.
func (a *attempt) outside(ctx context.Context, cl *cluster.Cluster) error {
	if err := a.loaded.wait(ctx); err != nil {
		return err
	}
	results, err := probe.Outside(a.Engine, cl.Name).Run(ctx, probe.Plan{Probes: []probe.Probe{{
		ID: "control-plane", Kind: probe.TCP, Target: cl.Nodes[0].IPv4 + ":6443",
		Serial: true, Attempts: 20, Interval: 250 * time.Millisecond, Until: probe.UntilOK,
	}}})
	if err != nil {
		return err
	}
	tries := results.Results[0].Attempts
	if last := tries[len(tries)-1]; !last.OK() {
		return fault.Environmentf("the node %s cannot be reached from a container on the kind network: %s %s",
			cl.Nodes[0].Name, last.Class, last.Error).WithRemedy("look for a firewall between containers, and see: labctl doctor")
	}
	return nil
}

func (a *attempt) balance(ctx context.Context, cl *cluster.Cluster) error {
	if a.LoadBalancer == loadbalancer.Builtin {
		if err := a.loaded.wait(ctx); err != nil {
			return err
		}
	}
	end := func(error) {}
	if a.LoadBalancer != loadbalancer.None {
		end = a.Progress.Begin(fmt.Sprintf("Starting the load balancer (%s)", a.LoadBalancer))
	}
	_, err := loadbalancer.Ensure(ctx, a.Engine, loadbalancer.Options{
		Cluster: cl.Name, Kind: a.LoadBalancer, Kubeconfig: cl.Kubeconfig, Context: cl.Context,
	})
	end(err)
	return err
}
