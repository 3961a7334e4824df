package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// What is left of a half-made cluster after these times is removed by the next Up or Down.
const (
	abandonTime = 4 * time.Second // after Ctrl-C: somebody waits
	clearTime   = time.Minute     // after a failure
)

// create makes the cluster that r describes. When it fails or ctx ends before kind is
// done, the half-made cluster is removed; afterwards the cluster stays.
func (c *Clusters) create(ctx context.Context, r *record, work Work) (*Cluster, error) {
	info, err := c.engine.Info(ctx)
	if err != nil {
		return nil, err
	}
	if r.APIPort, err = freePort(); err != nil {
		return nil, err
	}
	r.Phase, r.CreatedAt, r.Containers = creating, time.Now().UTC(), nil
	if err := c.save(r); err != nil {
		return nil, err
	}
	// We hold the cluster's lock: whoever left this one of kind's behind is dead.
	_ = os.Remove(c.kubeconfig(r.Name) + ".lock")

	rest := c.completion(r, work)
	hooking, stopHooks := context.WithCancel(ctx)
	defer stopHooks()
	var wg sync.WaitGroup
	var hookErr error
	wg.Go(func() { hookErr = rest.run(hooking) })

	if err := c.runKind(ctx, r, configuration(r, info.CgroupVersion), rest); err != nil {
		stopHooks()
		wg.Wait()
		return nil, err
	}
	containers, err := c.nodeContainers(ctx, r.Name)
	if err == nil {
		r.claim(containers)
		r.Phase = created
		err = c.save(r)
	}
	if err != nil {
		return nil, err
	}
	rest.joined.fire()
	cl := c.describe(r, containers)
	exportErr := c.export(ctx, cl)
	wg.Wait()
	if err := joined(hookErr, exportErr); err != nil {
		return nil, err
	}
	return c.completed(r, cl)
}

// runKind runs kind to its end, or removes what it has made when ctx ends or it fails.
func (c *Clusters) runKind(ctx context.Context, r *record, config *v1alpha4.Cluster, rest *completion) error {
	logger := newSteps(c.progress, func(step string) {
		switch step {
		case stepNodes:
			rest.nodesUp.fire()
		case stepControlPlane:
			rest.apiUp.fire()
		}
	})
	done := make(chan error, 1)
	// kind takes no context. Without its containers it fails soon.
	go func() { done <- c.kind.Create(r.Name, config, c.kubeconfig(r.Name), logger) }()

	select {
	case err := <-done:
		if err == nil {
			return nil
		}
		logger.stop(err)
		failure := c.explain(ctx, r.Name, err, logger.said())
		return joined(failure, c.abandon(ctx, r.Name, nil))
	case <-ctx.Done():
		logger.stop(context.Cause(ctx))
		return joined(context.Cause(ctx), c.abandon(ctx, r.Name, done))
	}
}

// abandon removes a half-made cluster and its record. kind may still be at it: done then
// tells when it has given up, after which nothing new appears.
func (c *Clusters) abandon(ctx context.Context, name string, done <-chan error) error {
	end := c.progress.Begin("Removing the half-made cluster")
	bound := clearTime
	if ctx.Err() != nil {
		bound = abandonTime
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	err := c.removeNodes(ctx, name)
	if err == nil && done != nil {
		err = c.removeUntil(ctx, name, done)
	}
	if err == nil {
		err = c.forget(name)
	}
	end(err)
	if err != nil {
		return fmt.Errorf("the half-made cluster will be removed by the next %q: %w", upCommand(name), err)
	}
	return nil
}

// removeUntil removes what kind still makes until kind has ended.
func (c *Clusters) removeUntil(ctx context.Context, name string, done <-chan error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done: //nolint:errcheck // how kind failed no longer matters
			return c.removeNodes(ctx, name)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if err := c.removeNodes(ctx, name); err != nil {
				return err
			}
		}
	}
}

// removeNodes removes the cluster's containers, all at the same time.
func (c *Clusters) removeNodes(ctx context.Context, name string) error {
	ids, err := c.belonging(ctx, name)
	if err != nil {
		return err
	}
	return c.removeAll(ctx, ids)
}

// belonging returns the IDs of the cluster's containers, its nodes and what is attached to it.
func (c *Clusters) belonging(ctx context.Context, name string) ([]string, error) {
	var ids []string
	for _, label := range []string{labelCluster, LabelOf} {
		containers, err := c.engine.Containers(ctx, label+"="+name)
		if err != nil {
			return nil, err
		}
		for _, n := range containers {
			ids = append(ids, n.ID)
		}
	}
	return ids, nil
}

func (c *Clusters) removeAll(ctx context.Context, names []string) error {
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { errs[i] = c.engine.Remove(ctx, name) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
