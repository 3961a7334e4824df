package furnish

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/loadbalancer"
)

// Wanted is a cluster for labs.
type Wanted struct {
	Name         string
	Workers      int    // cluster.AsItIs leaves it to what is there
	NodeImage    string // "" chooses one
	Kubeconfig   string // that gets the context; "" is the user's
	LoadBalancer string // as loadbalancer.Kinds has them
	Purpose      string // the command, for those who wait for it
	Anew         bool   // what is there of the name is removed first
}

// Outcome is what there is to say about a cluster that is up.
type Outcome struct {
	Cluster  *cluster.Cluster
	Image    string // why this node image; "" where the cluster was there
	Balancer loadbalancer.Kind
	Why      string // why this load balancer
	Before   string // the version of labctl that completed it before; "" where there was none
}

// Up makes sure that the cluster exists, complete and healthy.
func (t *Tools) Up(ctx context.Context, w Wanted, p Progress) (Outcome, error) {
	unlock, err := t.Clusters.Lock(ctx, w.Name, w.Purpose)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	if w.Anew {
		if _, err := t.Clusters.Down(ctx, w.Name); err != nil {
			return Outcome{}, err
		}
	}
	existing, err := t.Clusters.Find(ctx, w.Name)
	if err != nil && !errors.Is(err, cluster.ErrNone) {
		return Outcome{}, err
	}
	var out Outcome
	if existing != nil {
		out.Before = existing.Labctl
	}

	// What cannot work is told before anything is made.
	image := w.NodeImage
	g, choosing := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		out.Balancer, out.Why, err = loadbalancer.SelectFor(choosing, t.Engine, w.LoadBalancer, w.Name)
		return err
	})
	if existing == nil {
		g.Go(func() (err error) {
			image, out.Image, err = t.Store.ResolveNode(choosing, t.Engine, w.NodeImage, cluster.PinnedNodeImage())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Outcome{}, err
	}
	furniture := &Furniture{Engine: t.Engine, Store: t.Store, Progress: p, LoadBalancer: out.Balancer}
	out.Cluster, err = t.Clusters.Up(ctx, cluster.Options{
		Name: w.Name, Workers: w.Workers, NodeImage: image, Kubeconfig: w.Kubeconfig, LoadBalancer: w.LoadBalancer,
	}, furniture.Work)
	return out, err
}

// Down removes the cluster with everything that labctl made for it, and tells whether there
// was anything to remove. The caller holds the cluster's lock. A cluster that labctl did not
// make is refused before anything is touched.
func (t *Tools) Down(ctx context.Context, name string, p Progress) (removed bool, err error) {
	if _, err := t.Clusters.Find(ctx, name); err != nil && !errors.Is(err, cluster.ErrNone) {
		return false, err
	}
	end := p.Begin("Removing cluster " + name)
	defer func() { end(err) }()
	// The load balancer first: what it runs would come back as long as it serves.
	released := loadbalancer.Release(ctx, t.Engine, name)
	removed, err = t.Clusters.Down(ctx, name)
	return removed, errors.Join(released, err)
}
