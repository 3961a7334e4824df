package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
)

// Work makes the Hooks for one attempt at a cluster; nil means none. It is called again
// for another attempt.
type Work func() Hooks

// Hooks are what else has to happen to make a cluster complete. Each runs as early as it
// can, beside kind and beside the others; any may be nil. An error of a hook does not
// undo the cluster: Up returns it, and the next Up runs the hooks again.
type Hooks struct {
	// During runs from the start.
	During func(ctx context.Context) error
	// NodesUp runs as soon as containerd answers in all nodes, which is long before
	// kubeadm is done.
	NodesUp func(ctx context.Context, cl *Cluster) error
	// APIUp runs as soon as the API server answers; workers may not have joined yet.
	APIUp func(ctx context.Context, cl *Cluster) error
}

// event is something that happens once.
type event struct {
	once sync.Once
	ch   chan struct{}
}

func newEvent() *event { return &event{ch: make(chan struct{})} }

func (e *event) fire() { e.once.Do(func() { close(e.ch) }) }

func (e *event) wait(ctx context.Context) error {
	select {
	case <-e.ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// completion is the work around one cluster that is being made or looked after.
type completion struct {
	c       *Clusters
	record  *record
	hooks   Hooks
	nodesUp *event // the node containers run
	apiUp   *event // the API server was started
	joined  *event // every node has been told to join
	// patience bounds the waits for what should be there already; 0 leaves it to the
	// context, as long as kubeadm is at it.
	patience time.Duration
}

// unhealthy marks the failures that a new cluster would not have.
type unhealthy struct{ error }

func (e *unhealthy) Unwrap() error { return e.error }

func isUnhealthy(err error) bool {
	var marked *unhealthy
	return errors.As(err, &marked)
}

// wait bounds one wait by the patience and marks its failure.
func (p *completion) wait(ctx context.Context, f func(context.Context) error) error {
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if p.patience > 0 {
		bounded, cancel = context.WithTimeout(ctx, p.patience)
	}
	defer cancel()
	err := f(bounded)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &unhealthy{err}
}

func (c *Clusters) completion(r *record, work Work) *completion {
	p := &completion{c: c, record: r, nodesUp: newEvent(), apiUp: newEvent(), joined: newEvent()}
	if work != nil {
		p.hooks = work()
	}
	return p
}

// run does all the work and returns every error. It ends with ctx.
func (p *completion) run(ctx context.Context) error {
	parts := []func(context.Context) error{p.during, p.nodes, p.api}
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { errs[i] = part(ctx) })
	}
	wg.Wait()
	// Where everything ended with the context, saying so once is enough.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return joined(errs...)
}

func (p *completion) during(ctx context.Context) error {
	if p.hooks.During == nil {
		return nil
	}
	return p.hooks.During(ctx)
}

func (p *completion) nodes(ctx context.Context) error {
	if p.hooks.NodesUp == nil {
		return nil
	}
	if err := p.nodesUp.wait(ctx); err != nil {
		return err
	}
	cl, err := p.cluster(ctx)
	if err != nil {
		return err
	}
	err = p.wait(ctx, func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for _, n := range cl.Nodes {
			g.Go(func() error { return p.c.containerdAnswers(ctx, n.Name) })
		}
		return g.Wait()
	})
	if err != nil {
		return err
	}
	return p.hooks.NodesUp(ctx, cl)
}

func (p *completion) api(ctx context.Context) error {
	if err := p.apiUp.wait(ctx); err != nil {
		return err
	}
	cl, err := p.cluster(ctx)
	if err != nil {
		return err
	}
	if err := p.c.writeKubeconfig(ctx, cl, p.record.APIPort); err != nil {
		return err
	}
	server, err := p.c.connect(cl)
	if err != nil {
		return err
	}
	if err := p.wait(ctx, server.Answers); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var hook, health error
	if p.hooks.APIUp != nil {
		wg.Go(func() { hook = p.hooks.APIUp(ctx, cl) })
	}
	wg.Go(func() { health = p.health(ctx, server, cl) })
	wg.Wait()
	return joined(hook, health)
}

// settleTime is how long nodes get to become ready once they have joined: seconds, a
// minute or two where the machine is busy.
const settleTime = 4 * time.Minute

// health waits beside kind, but only shows its step once kind has no more of its own.
func (p *completion) health(ctx context.Context, server control, cl *Cluster) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	result := make(chan error, 1)
	go func() {
		result <- p.wait(waiting, func(ctx context.Context) error { return server.Healthy(ctx, cl.Nodes) })
	}()
	if err := p.joined.wait(ctx); err != nil {
		return err
	}
	defer time.AfterFunc(settleTime, cancel).Stop()
	end := p.c.progress.Begin("Waiting until nodes and DNS are ready")
	err := <-result
	end(err)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fault.Environmentf("cluster %q is not healthy: %w", cl.Name, &unhealthy{err}).
		WithRemedy("%s", p.c.remedy(ctx, cl.Name))
}

// cluster describes the cluster by its containers of this moment.
func (p *completion) cluster(ctx context.Context) (*Cluster, error) {
	containers, err := p.c.nodeContainers(ctx, p.record.Name)
	if err != nil {
		return nil, err
	}
	return p.c.describe(p.record, containers), nil
}

// containerdAnswers waits inside the node: one exec, however long it takes. kind sees a
// node as up while systemd is still starting its services. containerd tells systemd when it is
// ready, and asking systemd costs a tenth of asking containerd.
func (c *Clusters) containerdAnswers(ctx context.Context, node string) error {
	const loop = `until [ -S /run/containerd/containerd.sock ] && systemctl is-active --quiet containerd; do sleep 0.1; done`
	if err := c.engine.Exec(ctx, node, engine.ExecSpec{Cmd: []string{"sh", "-c", loop}}); err != nil {
		return fmt.Errorf("wait for containerd: %w", err)
	}
	return nil
}

// writeKubeconfig writes labctl's own copy. kind's way to it asks the engine a dozen times for
// what the record knows, while kubeadm could do with the processor.
func (c *Clusters) writeKubeconfig(ctx context.Context, cl *Cluster, apiPort int32) error {
	admin, err := c.engine.ExecOutput(ctx, cl.Nodes[0].Name, "cat", "/etc/kubernetes/admin.conf")
	var config []byte
	if err == nil {
		config, err = kube.AdminContext([]byte(admin), cl.Context, fmt.Sprintf("https://%s:%d", apiAddress, apiPort))
	}
	if err == nil {
		err = writeFile(cl.Kubeconfig, config)
	}
	if err != nil {
		return fmt.Errorf("write the kubeconfig of cluster %q: %w", cl.Name, err)
	}
	return nil
}

// export gives the user the context, as kind would. The file is locked with another beside
// it, which kubectl holds for an instant and a killed process leaves behind for ever.
func (c *Clusters) export(ctx context.Context, cl *Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := again(ctx, 100*time.Millisecond, func() error {
		return kube.AddContext(cl.UserKubeconfig, cl.Kubeconfig, cl.Context)
	})
	if err != nil {
		return fmt.Errorf("add the context %s to your kubeconfig: %w", cl.Context, err)
	}
	return nil
}

// joined is errors.Join on one line.
func joined(errs ...error) error {
	var all error
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}
