package builtin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cloud-provider/api"

	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

// fakeProxies keeps load balancers in memory and notes what is done to them.
type fakeProxies struct {
	have  map[string]haproxy.Proxy
	did   []string
	fails error // what Start and Reload return
	bare  bool  // started ones get no address
}

func newFakeProxies() *fakeProxies { return &fakeProxies{have: make(map[string]haproxy.Proxy)} }

func (f *fakeProxies) List(context.Context) ([]haproxy.Proxy, error) {
	var all []haproxy.Proxy
	for _, p := range f.have {
		all = append(all, p)
	}
	return all, nil
}

func (f *fakeProxies) Find(_ context.Context, o haproxy.Owner) (haproxy.Proxy, bool, error) {
	p, ok := f.have[haproxy.Name(o)]
	return p, ok, nil
}

func (f *fakeProxies) Start(_ context.Context, o haproxy.Owner, _ string) (haproxy.Proxy, error) {
	f.did = append(f.did, "start")
	if f.fails != nil {
		return haproxy.Proxy{}, f.fails
	}
	p := haproxy.Proxy{Name: haproxy.Name(o), UID: o.UID, Running: true, IPv4: fmt.Sprintf("172.18.0.%d", 100+len(f.did))}
	if f.bare {
		p.IPv4 = ""
	}
	f.have[p.Name] = p
	return p, nil
}

func (f *fakeProxies) Reload(context.Context, string, string) error {
	f.did = append(f.did, "reload")
	return f.fails
}

func (f *fakeProxies) Remove(_ context.Context, names ...string) error {
	f.did = append(f.did, "remove")
	for _, name := range names {
		delete(f.have, name)
	}
	return nil
}

// stop plays a container that died.
func (f *fakeProxies) stop(name string) {
	p := f.have[name]
	p.Running = false
	f.have[name] = p
}

func TestEnsureLoadBalancer(t *testing.T) {
	one, two := node("w1", internal("172.18.0.3")), node("w2", internal("172.18.0.4"))
	ensure := func(b *balancer, nodes ...*corev1.Node) error {
		_, err := b.EnsureLoadBalancer(context.Background(), "", exampleService(), nodes)
		return err
	}
	tests := map[string]struct {
		then func(b *balancer, f *fakeProxies) error // after a first one with both nodes
		did  string
	}{
		"the same again":      {func(b *balancer, _ *fakeProxies) error { return ensure(b, two, one) }, "start"},
		"a node less":         {func(b *balancer, _ *fakeProxies) error { return ensure(b, one) }, "start reload"},
		"no nodes":            {func(b *balancer, _ *fakeProxies) error { return ensure(b) }, "start reload"},
		"the container died":  {func(b *balancer, f *fakeProxies) error { f.stop(name(b)); return ensure(b, one, two) }, "start start"},
		"labctl was replaced": {func(b *balancer, f *fakeProxies) error { return ensure(newBalancer(f, b.cluster), one, two) }, "start reload"},
		"deleted and made again": {func(b *balancer, _ *fakeProxies) error {
			return errors.Join(b.EnsureLoadBalancerDeleted(context.Background(), "", exampleService()), ensure(b, one, two))
		}, "start remove start"},
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			f := newFakeProxies()
			b := newBalancer(f, "labctl")
			if err := errors.Join(ensure(b, one, two), tt.then(b, f)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(f.did, " "); got != tt.did {
				t.Errorf("did %q, want %q", got, tt.did)
			}
		})
	}
}

func name(b *balancer) string {
	return b.GetLoadBalancerName(context.Background(), "", exampleService())
}

func TestEnsureLoadBalancerFails(t *testing.T) {
	tests := map[string]struct {
		fake    fakeProxies
		service func(*corev1.Service)
		retry   bool // soon, and not after the controller's own pause
		did     string
	}{
		"UDP is refused for good":   {service: func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP }},
		"engine trouble is retried": {fake: fakeProxies{fails: errors.New("no space left")}, retry: true, did: "start"},
		"no address is retried":     {fake: fakeProxies{bare: true}, retry: true, did: "start"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := exampleService()
			if tt.service != nil {
				tt.service(s)
			}
			f := &tt.fake
			f.have = make(map[string]haproxy.Proxy)
			_, err := newBalancer(f, "labctl").EnsureLoadBalancer(context.Background(), "", s, nil)
			if err == nil {
				t.Fatal("no error")
			}
			var retry *api.RetryError
			if got := errors.As(err, &retry); got != tt.retry {
				t.Errorf("retried soon: got %v, want %v (%v)", got, tt.retry, err)
			}
			if got := strings.Join(f.did, " "); got != tt.did {
				t.Errorf("did %q, want %q", got, tt.did)
			}
		})
	}
}

// fakeServices plays the API server.
type fakeServices struct {
	wanted map[types.UID]*corev1.Service
	shown  []string // addresses that were written
}

func (f *fakeServices) Wanted() (map[types.UID]*corev1.Service, error) { return f.wanted, nil }

func (f *fakeServices) SetStatus(_ *corev1.Service, status *corev1.LoadBalancerStatus) error {
	for _, i := range status.Ingress {
		f.shown = append(f.shown, i.IP)
	}
	return nil
}

func TestGuard(t *testing.T) {
	tests := map[string]struct {
		before  func(*fakeProxies, *fakeServices, string)
		did     []string
		shown   []string
		failing int
	}{
		"all is well": {func(*fakeProxies, *fakeServices, string) {}, []string{"start"}, nil, 0},
		"a container died": {func(f *fakeProxies, _ *fakeServices, name string) {
			f.stop(name)
		}, []string{"start", "start"}, []string{"172.18.0.102"}, 0},
		"a container was removed": {func(f *fakeProxies, _ *fakeServices, name string) {
			delete(f.have, name)
		}, []string{"start", "start"}, []string{"172.18.0.102"}, 0},
		"it cannot be made again": {func(f *fakeProxies, _ *fakeServices, name string) {
			f.stop(name)
			f.fails = errors.New("no space left")
		}, []string{"start", "start"}, nil, 1},
		"its address changed": {func(f *fakeProxies, _ *fakeServices, name string) {
			p := f.have[name]
			p.IPv4 = "172.18.0.200"
			f.have[name] = p
		}, []string{"start"}, []string{"172.18.0.200"}, 0},
		"the Service is gone": {func(_ *fakeProxies, s *fakeServices, _ string) {
			s.wanted = nil
		}, []string{"start", "remove"}, nil, 0},
		"another's orphan": {func(f *fakeProxies, _ *fakeServices, _ string) {
			f.have["orphan"] = haproxy.Proxy{Name: "orphan", UID: "u-gone", Running: true}
		}, []string{"start", "remove"}, nil, 0},
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			f, s := newFakeProxies(), exampleService()
			b := newBalancer(f, "labctl")
			api := &fakeServices{wanted: map[types.UID]*corev1.Service{s.UID: s}}
			shown, err := b.EnsureLoadBalancer(context.Background(), "", s, nil)
			if err != nil {
				t.Fatal(err)
			}
			s.Status.LoadBalancer = *shown
			tt.before(f, api, name(b))
			failing, err := (&guard{balancer: b, services: api}).check(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if len(failing) != tt.failing || tt.failing == 1 && failing["shop/frontend"] == "" {
				t.Errorf("failing: %v, want %d", failing, tt.failing)
			}
			if !slices.Equal(f.did, tt.did) {
				t.Errorf("did %v, want %v", f.did, tt.did)
			}
			if !slices.Equal(api.shown, tt.shown) {
				t.Errorf("showed %v, want %v", api.shown, tt.shown)
			}
			if _, ok := f.have["orphan"]; ok {
				t.Error("the orphan is still there")
			}
		})
	}
}
