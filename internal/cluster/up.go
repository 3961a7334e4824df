package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
)

// reviveTime is how long the nodes of an existing cluster get to become healthy. A
// restarted control plane needs half a minute on a small machine.
const reviveTime = 2 * time.Minute

// Up makes sure that the cluster exists and is complete and healthy: it creates it,
// finishes what an interrupted Up left, or checks what is there, in seconds. The caller
// holds the cluster's lock. A cluster that labctl did not make is refused.
func (c *Clusters) Up(ctx context.Context, o Options, work Work) (*Cluster, error) {
	if err := checkName(o.Name); err != nil {
		return nil, err
	}
	found, err := c.examine(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	switch found.standing {
	case foreign:
		return nil, found.refusal()
	case damaged:
		return nil, fault.Environmentf("cluster %q has lost %d of its %d nodes",
			o.Name, len(found.record.Containers)-len(found.containers), len(found.record.Containers)).
			WithRemedy("%s", repairCommand(o.Name))
	case owned:
		return c.revive(ctx, found, o, work)
	case halfMade:
		if err := c.clear(ctx, o.Name); err != nil {
			return nil, err
		}
	}
	cl, err := c.create(ctx, newRecord(c.engine.Provider(), o), work)
	if found.standing == halfMade && nameTaken(err) && ctx.Err() == nil {
		// The engine's client that a killed labctl left behind was still starting a node.
		if err := c.clear(ctx, o.Name); err != nil {
			return nil, err
		}
		return c.create(ctx, newRecord(c.engine.Provider(), o), work)
	}
	return cl, err
}

func newRecord(provider string, o Options) *record {
	if o.Workers == AsItIs {
		o.Workers = DefaultWorkers
	}
	return &record{
		Name: o.Name, Provider: provider, Workers: o.Workers, NodeImage: o.NodeImage,
		Kubeconfig: o.Kubeconfig, LoadBalancer: o.LoadBalancer,
	}
}

func nameTaken(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "already in use") || strings.Contains(err.Error(), "already exist"))
}

// clear removes what an interrupted labctl left of a cluster, but not its record.
func (c *Clusters) clear(ctx context.Context, name string) error {
	end := c.progress.Begin("Removing what an interrupted run left")
	err := c.removeNodes(ctx, name)
	end(err)
	if err != nil {
		return fmt.Errorf("remove the half-made cluster %q: %w", name, err)
	}
	return nil
}

// revive checks an existing cluster, starts what has stopped, and does the work around it.
func (c *Clusters) revive(ctx context.Context, f found, o Options, work Work) (*Cluster, error) {
	r := f.record
	if o.Workers != AsItIs && o.Workers != r.Workers {
		return nil, fault.Inputf("cluster %q has %d workers, not %d", r.Name, r.Workers, o.Workers).
			WithRemedy("remove it first: labctl down%s", nameFlag(r.Name))
	}
	if o.LoadBalancer != "" {
		r.LoadBalancer = o.LoadBalancer
	}
	if o.Kubeconfig != "" {
		r.Kubeconfig = o.Kubeconfig
	}
	if err := c.startStopped(ctx, f.containers); err != nil {
		return nil, fault.Environmentf("cluster %q is not healthy: %w", r.Name, err).WithRemedy("%s", repairCommand(r.Name))
	}
	rest := c.completion(r, work)
	rest.patience = reviveTime
	rest.nodesUp.fire()
	rest.apiUp.fire()
	rest.joined.fire()
	err := rest.run(ctx)
	switch {
	case isUnhealthy(err) && ctx.Err() == nil && fault.RemedyOf(err) == "":
		return nil, fault.Environmentf("cluster %q is not healthy: %w", r.Name, err).WithRemedy("%s", c.remedy(ctx, r.Name))
	case err != nil:
		return nil, err
	}
	containers, err := c.nodeContainers(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	cl := c.describe(r, containers)
	cl.Existed = true
	if err := c.export(ctx, cl); err != nil {
		return nil, err
	}
	return c.completed(r, cl)
}

func (c *Clusters) startStopped(ctx context.Context, containers []engine.Container) error {
	var stopped []string
	for _, n := range containers {
		if !n.Running {
			stopped = append(stopped, n.Name)
		}
	}
	if len(stopped) == 0 {
		return nil
	}
	end := c.progress.Begin("Starting stopped nodes (" + strings.Join(stopped, ", ") + ")")
	err := c.engine.Start(ctx, stopped...)
	end(err)
	if err != nil {
		return &unhealthy{err}
	}
	return nil
}

// Down removes the cluster with everything that belongs to it, and tells whether there
// was anything to remove. The caller holds the cluster's lock. A cluster that labctl did
// not make is refused.
func (c *Clusters) Down(ctx context.Context, name string) (removed bool, err error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	f, err := c.examine(ctx, name)
	if err != nil {
		return false, err
	}
	if f.standing == foreign {
		return false, f.refusal()
	}
	if f.record != nil {
		f.record.Phase = removing
		if err := c.save(f.record); err != nil {
			return false, err
		}
	}
	ids, err := c.belonging(ctx, name)
	if err == nil {
		err = c.removeAll(ctx, ids)
	}
	if err != nil {
		return false, fmt.Errorf("remove cluster %q: %w", name, err)
	}
	if f.record == nil {
		return len(ids) > 0, nil
	}
	// The context of a cluster that is gone must not keep its record alive: say it, go on.
	unexported := c.kind.Unexport(name, f.record.Kubeconfig)
	if unexported != nil {
		unexported = fmt.Errorf("take the context kind-%s out of your kubeconfig: %w", name, unexported)
	}
	return true, joined(unexported, c.forget(name))
}
