package builtin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/api"

	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

// retryAfter is how soon a load balancer that could not be made is tried again. The
// upstream controller's own choice is 5 s, doubling: a student would wait for it.
const retryAfter = time.Second

// proxies runs load balancers; *haproxy.Containers does.
type proxies interface {
	lister
	starter
}

type lister interface {
	List(ctx context.Context) ([]haproxy.Proxy, error)
	Find(ctx context.Context, o haproxy.Owner) (haproxy.Proxy, bool, error)
}

type starter interface {
	Start(ctx context.Context, o haproxy.Owner, config string) (haproxy.Proxy, error)
	Reload(ctx context.Context, name, config string) error
	Remove(ctx context.Context, names ...string) error
}

// balancer is the cloud provider that the upstream service controller asks for load
// balancers. Calls for different Services go on at the same time.
type balancer struct {
	proxies proxies
	cluster string

	mu      sync.Mutex
	entries map[types.UID]*entry
}

// entry is what is known of one Service's load balancer.
type entry struct {
	mu      sync.Mutex // held while the load balancer is worked on
	service *corev1.Service
	nodes   []*corev1.Node
	config  string // that the running proxy has; "" when unknown
	proxy   haproxy.Proxy
	err     error // of the last attempt
	deleted bool
}

func newBalancer(p proxies, cluster string) *balancer {
	return &balancer{proxies: p, cluster: cluster, entries: make(map[types.UID]*entry)}
}

// lock returns the Service's entry with its lock held.
func (b *balancer) lock(s *corev1.Service) *entry {
	for {
		b.mu.Lock()
		e := b.entries[s.UID]
		if e == nil {
			e = &entry{}
			b.entries[s.UID] = e
		}
		b.mu.Unlock()
		e.mu.Lock()
		if !e.deleted {
			return e
		}
		e.mu.Unlock() // deleted while we waited for it: take the next one
	}
}

// forget drops an entry whose lock is held.
func (b *balancer) forget(s *corev1.Service, e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.deleted = true
	delete(b.entries, s.UID)
}

// EnsureLoadBalancer makes the Service's load balancer as it should be and returns its
// address once it listens.
func (b *balancer) EnsureLoadBalancer(ctx context.Context, _ string, s *corev1.Service, nodes []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	e := b.lock(s)
	defer e.mu.Unlock()
	e.service, e.nodes = s.DeepCopy(), nodes
	e.err = b.apply(ctx, e)
	if e.err != nil {
		if errors.Is(e.err, errUnsupported) {
			return nil, e.err
		}
		return nil, api.NewRetryError(e.err.Error(), retryAfter)
	}
	return status(s, e.proxy), nil
}

// UpdateLoadBalancer follows a change of the nodes.
func (b *balancer) UpdateLoadBalancer(ctx context.Context, name string, s *corev1.Service, nodes []*corev1.Node) error {
	_, err := b.EnsureLoadBalancer(ctx, name, s, nodes)
	return err
}

// apply brings the entry's proxy to what its Service and nodes ask for.
func (b *balancer) apply(ctx context.Context, e *entry) error {
	want, err := desired(b.cluster, e.service, e.nodes)
	if err != nil {
		return err
	}
	config, err := want.Render()
	if err != nil {
		return err
	}
	proxy, ok, err := b.proxies.Find(ctx, want.Owner)
	if err != nil {
		return err
	}
	switch {
	case !ok || !proxy.Running:
		e.config = ""
		proxy, err = b.proxies.Start(ctx, want.Owner, config)
	case e.config != config:
		err = b.proxies.Reload(ctx, proxy.Name, config)
	}
	if err != nil {
		return err
	}
	if proxy.IPv4 == "" && proxy.IPv6 == "" {
		return fmt.Errorf("load balancer %s has no address on network %s", proxy.Name, haproxy.Network)
	}
	e.config, e.proxy = config, proxy
	return nil
}

// GetLoadBalancer tells whether the Service has a load balancer, and its status.
func (b *balancer) GetLoadBalancer(ctx context.Context, _ string, s *corev1.Service) (*corev1.LoadBalancerStatus, bool, error) {
	proxy, ok, err := b.proxies.Find(ctx, ownerOf(b.cluster, s))
	if err != nil || !ok {
		return nil, false, err
	}
	return status(s, proxy), true, nil
}

// GetLoadBalancerName names the Service's load balancer.
func (b *balancer) GetLoadBalancerName(_ context.Context, _ string, s *corev1.Service) string {
	return haproxy.Name(ownerOf(b.cluster, s))
}

// EnsureLoadBalancerDeleted removes the Service's load balancer, if any.
func (b *balancer) EnsureLoadBalancerDeleted(ctx context.Context, _ string, s *corev1.Service) error {
	e := b.lock(s)
	defer e.mu.Unlock()
	if err := b.proxies.Remove(ctx, haproxy.Name(ownerOf(b.cluster, s))); err != nil {
		return err
	}
	b.forget(s, e)
	return nil
}

// snapshot returns the entries there are.
func (b *balancer) snapshot() []*entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.entries))
}

// cloud gives the balancer to the service controller; it is nothing else of a cloud.
type cloud struct{ *balancer }

func (c cloud) LoadBalancer() (cloudprovider.LoadBalancer, bool) { return c.balancer, true }
func (cloud) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {
}
func (cloud) Instances() (cloudprovider.Instances, bool)     { return nil, false }
func (cloud) InstancesV2() (cloudprovider.InstancesV2, bool) { return nil, false }
func (cloud) Zones() (cloudprovider.Zones, bool)             { return nil, false }
func (cloud) Clusters() (cloudprovider.Clusters, bool)       { return nil, false }
func (cloud) Routes() (cloudprovider.Routes, bool)           { return nil, false }
func (cloud) ProviderName() string                           { return "labctl" }
func (cloud) HasClusterID() bool                             { return true }
