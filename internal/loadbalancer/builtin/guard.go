package builtin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

// services is the API server's side of what the guard compares.
type services interface {
	// Wanted returns the Services that want a load balancer from us.
	Wanted() (map[types.UID]*corev1.Service, error)
	// SetStatus writes a Service's load balancer status.
	SetStatus(s *corev1.Service, status *corev1.LoadBalancerStatus) error
}

// guard notices what the upstream controller does not look at: containers that died or
// changed their address, and containers whose Service is gone.
type guard struct {
	balancer *balancer
	services services
}

// idle tells whether no Service wants a load balancer, and none has one that we know of.
func (g *guard) idle() bool {
	wanted, err := g.services.Wanted()
	return err == nil && len(wanted) == 0 && len(g.balancer.snapshot()) == 0
}

// check repairs what is wrong and returns, by namespace/name, the load balancers that
// still do not serve, and why.
func (g *guard) check(ctx context.Context) (map[string]string, error) {
	// Containers first: one that is made in between has its Service in the second list.
	found, err := g.balancer.proxies.List(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := g.services.Wanted()
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	err = g.removeOrphans(ctx, found, wanted)
	return g.repairAll(ctx, found), err
}

// repairAll repairs at the same time what needs it: one that cannot be made must not hold
// up the others, nor the next heartbeat.
func (g *guard) repairAll(ctx context.Context, found []haproxy.Proxy) map[string]string {
	var mu sync.Mutex
	failing := make(map[string]string)
	var repairs errgroup.Group
	repairs.SetLimit(workers)
	for _, e := range g.balancer.snapshot() {
		repairs.Go(func() error {
			if name, why := g.repair(ctx, e, found); why != nil {
				mu.Lock()
				defer mu.Unlock()
				failing[name] = why.Error()
			}
			return nil
		})
	}
	_ = repairs.Wait() // none returns an error
	return failing
}

// removeOrphans removes containers whose Service does not exist or wants none.
func (g *guard) removeOrphans(ctx context.Context, found []haproxy.Proxy, wanted map[types.UID]*corev1.Service) error {
	var orphans []string
	for _, p := range found {
		if wanted[types.UID(p.UID)] == nil {
			orphans = append(orphans, p.Name)
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	return g.balancer.proxies.Remove(ctx, orphans...)
}

// repair makes one load balancer again when its container is not as it was left. It
// returns the Service's name and why it is not served.
func (g *guard) repair(ctx context.Context, e *entry, found []haproxy.Proxy) (string, error) {
	if !e.mu.TryLock() {
		return "", nil // being worked on right now
	}
	defer e.mu.Unlock()
	if e.deleted || e.service == nil {
		return "", nil
	}
	name := e.service.Namespace + "/" + e.service.Name
	if errors.Is(e.err, errUnsupported) || e.err == nil && g.asLeft(e, found) {
		return name, nil
	}
	wanted, err := g.services.Wanted()
	if err != nil {
		return name, fmt.Errorf("list services: %w", err)
	}
	current := wanted[e.service.UID]
	if current == nil {
		return name, nil // the controller is about to delete it
	}
	if e.err = g.balancer.apply(ctx, e); e.err != nil {
		return name, e.err
	}
	want := status(current, e.proxy)
	if equality.Semantic.DeepEqual(&current.Status.LoadBalancer, want) {
		return name, nil
	}
	return name, g.services.SetStatus(current, want)
}

// asLeft tells whether the entry's container runs with the address that was reported.
func (g *guard) asLeft(e *entry, found []haproxy.Proxy) bool {
	return slices.ContainsFunc(found, func(p haproxy.Proxy) bool {
		return p.Name == e.proxy.Name && p.Running && p.IPv4 == e.proxy.IPv4 && p.IPv6 == e.proxy.IPv6
	})
}
