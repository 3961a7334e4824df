package cluster

import (
	"context"
	"fmt"
)

// Repaired says what Repair had to do.
type Repaired struct {
	Cluster *Cluster
	// Recreated tells that the cluster is a new one: all objects in it are lost.
	Recreated bool
	// Why it had to be recreated.
	Why string
}

// Repair makes a cluster healthy again after the engine or the machine was restarted: it
// starts what has stopped and waits, and where that does not help within a bound, it
// recreates the cluster with the options that it was made with. The caller holds the
// cluster's lock. resolve gives the node image for a new cluster from the recorded one.
func (c *Clusters) Repair(
	ctx context.Context, name string, work Work, resolve func(ctx context.Context, image string) (string, error),
) (Repaired, error) {
	if err := checkName(name); err != nil {
		return Repaired{}, err
	}
	f, err := c.examine(ctx, name)
	if err != nil {
		return Repaired{}, err
	}
	var why string
	switch f.standing {
	case foreign:
		return Repaired{}, f.refusal()
	case owned:
		cl, err := c.revive(ctx, f, Options{Name: name, Workers: AsItIs}, work)
		if !isUnhealthy(err) || ctx.Err() != nil {
			return Repaired{Cluster: cl}, err
		}
		why = err.Error()
	case absent:
		if f.record == nil {
			return Repaired{}, none("there is no cluster %q to repair", name)
		}
		why = "its containers are gone"
	case damaged:
		why = fmt.Sprintf("%d of its %d nodes disappeared", len(f.record.Containers)-len(f.containers), len(f.record.Containers))
	case halfMade:
		why = "it was only half made"
	}
	cl, err := c.recreate(ctx, f.record, work, resolve)
	return Repaired{Cluster: cl, Recreated: true, Why: why}, err
}

func (c *Clusters) recreate(
	ctx context.Context, old *record, work Work, resolve func(context.Context, string) (string, error),
) (*Cluster, error) {
	// First of all: what cannot be recreated must not be removed.
	image, err := resolve(ctx, old.NodeImage)
	if err != nil {
		return nil, err
	}
	old.Phase = removing
	if err := c.save(old); err != nil {
		return nil, err
	}
	end := c.progress.Begin("Removing the broken cluster")
	err = c.removeNodes(ctx, old.Name)
	end(err)
	if err != nil {
		return nil, fmt.Errorf("remove the broken cluster %q: %w", old.Name, err)
	}
	return c.create(ctx, newRecord(c.engine.Provider(), Options{
		Name: old.Name, Workers: old.Workers, NodeImage: image, Kubeconfig: old.Kubeconfig, LoadBalancer: old.LoadBalancer,
	}), work)
}
