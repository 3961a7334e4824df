// Package loadbalancer gives Services of type LoadBalancer their address: through
// cloud-provider-kind, one for all kind clusters of the host, or through labctl's
// built-in load balancer, one process a cluster, where that cannot be had.
package loadbalancer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
)

// Kind says who serves LoadBalancer Services.
type Kind string

// The values of --load-balancer.
const (
	Auto              Kind = "auto"
	CloudProviderKind Kind = "cloud-provider-kind"
	Builtin           Kind = "builtin"
	None              Kind = "none"
)

// Kinds lists the values of --load-balancer.
func Kinds() []Kind { return []Kind{Auto, CloudProviderKind, Builtin, None} }

// Options say for which cluster a load balancer is wanted.
type Options struct {
	Cluster    string // kind's name for it
	Kind       Kind   // as Select returned it
	Kubeconfig string // a file; "" means the user's default
	Context    string // in that file; "" means kind-<cluster>
	Executable string // labctl's own; "" means the running one
}

// Status is what can be said of a cluster's load balancer at this moment.
type Status struct {
	Kind    Kind
	Running bool // a process or container is there
	Healthy bool // and serves this cluster
	Foreign bool // somebody else started it: labctl uses it and never stops it
	PID     int  // 0 where it runs in a container
	Log     string
	Why     string // one line, always set where Healthy is false
}

// Select turns the value of --load-balancer into the kind that is used, and says why. It
// starts nothing. Looking for a registry takes at most a few seconds.
func Select(ctx context.Context, e *engine.Engine, want string) (Kind, string, error) {
	h, err := newHost(e)
	if err != nil {
		return "", "", err
	}
	return h.selectKind(ctx, Kind(want), "")
}

// SelectFor is Select for a cluster that may have a load balancer already: what serves
// that very cluster is never in its way.
func SelectFor(ctx context.Context, e *engine.Engine, want, cluster string) (Kind, string, error) {
	h, err := newHost(e)
	if err != nil {
		return "", "", err
	}
	return h.selectKind(ctx, Kind(want), cluster)
}

// Prepare fetches the images that the kind needs and that a registry has, so that the
// first load balancer does not wait for them. It can run while the cluster is created.
func Prepare(ctx context.Context, e *engine.Engine, kind Kind) error {
	h, err := newHost(e)
	if err != nil || kind != CloudProviderKind {
		return err
	}
	return h.prepare(ctx)
}

// Ensure makes sure that the cluster's LoadBalancer Services are served, and returns when
// they are. The cluster's API server must answer. Called again it changes nothing.
func Ensure(ctx context.Context, e *engine.Engine, o Options) (Status, error) {
	h, err := newHost(e)
	if err != nil {
		return Status{}, err
	}
	return h.ensure(ctx, o)
}

// Release says that the cluster needs no load balancer any more: it removes what served
// it, and stops cloud-provider-kind when no other cluster of labctl's uses it. Called
// before or after the cluster is deleted; a cluster that has none is fine.
func Release(ctx context.Context, e *engine.Engine, cluster string) error {
	h, err := newHost(e)
	if err != nil {
		return err
	}
	return h.release(ctx, cluster)
}

// StatusOf tells how the cluster's load balancer is.
func StatusOf(ctx context.Context, e *engine.Engine, cluster string) (Status, error) {
	h, err := newHost(e)
	if err != nil {
		return Status{}, err
	}
	return h.status(ctx, cluster)
}

// Serves returns nil when the cluster's LoadBalancer Services are being served, else an
// Environment error with its remedy. It waits, within ctx, for a cloud-provider-kind that
// has not found the cluster yet: it looks for clusters every 30 s.
func Serves(ctx context.Context, e *engine.Engine, cluster string) error {
	h, err := newHost(e)
	if err != nil {
		return err
	}
	return h.serves(ctx, cluster)
}

// host is this machine's load balancers: the engine they run in and the state folder.
type host struct {
	engine  *engine.Engine
	dir     string // $STATE/load-balancer
	machine machine
}

func newHost(e *engine.Engine) (*host, error) {
	state, err := home.State()
	if err != nil {
		return nil, fault.Environmentf("find the state folder: %w", err)
	}
	dir := filepath.Join(state, "load-balancer")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Environmentf("make the state folder: %w", err).
			WithRemedy("make %s writable, or set LABCTL_STATE to a folder that is", filepath.Dir(dir))
	}
	return &host{engine: e, dir: dir, machine: newMachine(e)}, nil
}

// ensure starts what the options ask for and records that the cluster uses it.
func (h *host) ensure(ctx context.Context, o Options) (Status, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return Status{}, err
	}
	defer unlock()
	old, err := h.record(o.Cluster)
	if err != nil {
		return Status{}, err
	}
	if old.Kind != "" && old.Kind != o.Kind {
		if err := h.releaseLocked(ctx, old); err != nil {
			return Status{}, err
		}
		old = record{}
	}
	switch o.Kind {
	case CloudProviderKind:
		err = h.ensureCloudProviderKind(ctx, o)
	case Builtin:
		err = h.ensureBuiltin(ctx, o, old)
	case None:
		err = h.save(record{Cluster: o.Cluster, Kind: None})
	default:
		err = fault.Inputf("unknown load balancer %q", o.Kind)
	}
	if err != nil {
		return Status{}, err
	}
	return h.status(ctx, o.Cluster)
}

func (h *host) release(ctx context.Context, cluster string) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := h.record(cluster)
	if err != nil {
		return err
	}
	r.Cluster = cluster
	return h.releaseLocked(ctx, r)
}

// releaseLocked ends what served the cluster. The record goes last, so that a release
// that failed can be repeated.
func (h *host) releaseLocked(ctx context.Context, r record) error {
	var err error
	switch r.Kind {
	case CloudProviderKind:
		err = h.releaseCloudProviderKind(ctx, r)
	default:
		err = h.releaseBuiltin(ctx, r)
	}
	if err != nil {
		return fault.Environmentf("end the load balancer of cluster %s: %w", r.Cluster, err)
	}
	return h.forget(r.Cluster)
}

func (h *host) status(ctx context.Context, cluster string) (Status, error) {
	r, err := h.record(cluster)
	if err != nil {
		return Status{}, err
	}
	switch r.Kind {
	case CloudProviderKind:
		return h.statusCloudProviderKind(ctx, r)
	case Builtin:
		return h.statusBuiltin(r, time.Now()), nil
	case None:
		return Status{Kind: None, Why: "the cluster was made with --load-balancer=none"}, nil
	}
	return Status{Kind: None, Why: fmt.Sprintf("labctl serves no load balancers for cluster %s", cluster)}, nil
}

// servesPoll is how often Serves looks again while it waits for cloud-provider-kind.
const servesPoll = time.Second

func (h *host) serves(ctx context.Context, cluster string) error {
	tick := time.NewTicker(servesPoll)
	defer tick.Stop()
	deadline := time.NewTimer(adoptionTimeout)
	defer deadline.Stop()
	for {
		s, err := h.status(ctx, cluster)
		if err != nil {
			return fault.Environmentf("look at the load balancer of cluster %s: %w", cluster, err)
		}
		if s.Healthy {
			return nil
		}
		refused := fault.Environmentf("nothing serves LoadBalancer Services in cluster %s: %s", cluster, s.Why).
			WithRemedy("%s", h.remedy(s, cluster))
		if !s.Running || s.Kind != CloudProviderKind {
			return refused
		}
		select {
		case <-ctx.Done():
			return refused
		case <-deadline.C:
			return refused
		case <-tick.C:
		}
	}
}

func (h *host) remedy(s Status, cluster string) string {
	if s.Kind == None {
		return fmt.Sprintf("labctl up --name %s --load-balancer auto", cluster)
	}
	if s.Log != "" {
		return fmt.Sprintf("labctl up --name %s (the load balancer's log is %s)", cluster, s.Log)
	}
	return "labctl up --name " + cluster
}
