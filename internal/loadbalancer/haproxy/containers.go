package haproxy

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"labctl.dev/labctl/internal/engine"
)

// Image is the image that load balancers run.
const Image = "labctl/haproxy:v1"

// Network is the network on which kind puts its nodes, and labctl its load balancers.
const Network = "kind"

// The labels of a load balancer's container.
const (
	LabelCluster = "dev.labctl.load-balancer.cluster"
	LabelService = "dev.labctl.load-balancer.service" // namespace/name
	LabelUID     = "dev.labctl.load-balancer.service-uid"
)

const (
	configFolder = "/"
	configFile   = "labctl-haproxy.cfg"
	// listenTimeout bounds the wait for HAProxy to listen; it takes some 30 ms.
	listenTimeout = 10 * time.Second
	listenPoll    = 30 * time.Millisecond
	logLines      = 50
)

// Proxy is one load balancer's container.
type Proxy struct {
	Name       string
	UID        string // the Service's
	Service    string // namespace/name
	State      string
	Running    bool
	IPv4, IPv6 string // on the kind network; "" where there is none
}

// Containers runs the load balancers of one cluster.
type Containers struct {
	engine  *engine.Engine
	cluster string
	image   string
}

// NewContainers returns the load balancers of a cluster. An empty image means Image.
func NewContainers(e *engine.Engine, cluster, image string) *Containers {
	if image == "" {
		image = Image
	}
	return &Containers{engine: e, cluster: cluster, image: image}
}

// Name returns the name of an owner's container: the same at every call.
func Name(o Owner) string {
	name := fmt.Sprintf("labctl-lb-%s-%s-%s", o.Cluster, o.Namespace, o.Service)
	const most = 100
	if len(name) > most {
		name = name[:most]
	}
	uid := o.UID
	if len(uid) > 8 {
		uid = uid[:8]
	}
	return name + "-" + uid
}

// List returns the cluster's load balancers, stopped ones too.
func (c *Containers) List(ctx context.Context) ([]Proxy, error) {
	found, err := c.engine.Containers(ctx, LabelCluster+"="+c.cluster)
	if err != nil {
		return nil, err
	}
	proxies := make([]Proxy, 0, len(found))
	for _, f := range found {
		proxies = append(proxies, proxyOf(f))
	}
	return proxies, nil
}

// Find returns an owner's load balancer, and whether there is one.
func (c *Containers) Find(ctx context.Context, o Owner) (Proxy, bool, error) {
	found, err := c.engine.Container(ctx, Name(o))
	if errors.Is(err, engine.ErrNotFound) {
		return Proxy{}, false, nil
	}
	if err != nil {
		return Proxy{}, false, err
	}
	return proxyOf(found), true, nil
}

func proxyOf(f engine.Container) Proxy {
	address := f.Networks[Network]
	return Proxy{
		Name: f.Name, UID: f.Labels[LabelUID], Service: f.Labels[LabelService],
		State: f.State, Running: f.Running, IPv4: address.IPv4, IPv6: address.IPv6,
	}
}

// Start replaces an owner's load balancer by a new one and returns when it listens.
func (c *Containers) Start(ctx context.Context, o Owner, config string) (Proxy, error) {
	name := Name(o)
	// The configuration is copied in before the start, and stays in the container: it
	// survives a restart, and works where the engine is on another machine.
	if err := c.create(ctx, o); err != nil {
		return Proxy{}, fmt.Errorf("create load balancer %s: %w", name, err)
	}
	if err := c.copyConfig(ctx, name, config); err != nil {
		return Proxy{}, err
	}
	if err := c.engine.Start(ctx, name); err != nil {
		return Proxy{}, fmt.Errorf("start load balancer %s: %w", name, err)
	}
	if err := c.awaitWorker(ctx, name, ""); err != nil {
		return Proxy{}, err
	}
	proxy, ok, err := c.Find(ctx, o)
	if err == nil && !ok {
		err = fmt.Errorf("load balancer %s disappeared while it started", name)
	}
	return proxy, err
}

// create removes a previous container only when there is one: each command of the engine
// costs a new load balancer some 50 ms.
func (c *Containers) create(ctx context.Context, o Owner) error {
	_, err := c.engine.Output(ctx, c.createArgs(o)...)
	var failed *engine.CommandError
	if !errors.As(err, &failed) || !nameTaken(failed.Stderr) {
		return err
	}
	if err := c.engine.Remove(ctx, Name(o)); err != nil {
		return err
	}
	_, err = c.engine.Output(ctx, c.createArgs(o)...)
	return err
}

// nameTaken knows the words of docker and podman ("already in use") and nerdctl.
func nameTaken(stderr string) bool {
	return strings.Contains(stderr, "already in use") || strings.Contains(stderr, "already used")
}

func (c *Containers) createArgs(o Owner) []string {
	return []string{
		"create", "--pull=never", "--name", Name(o), "--network", Network,
		"--label", LabelCluster + "=" + o.Cluster,
		"--label", LabelService + "=" + o.Namespace + "/" + o.Service,
		"--label", LabelUID + "=" + o.UID,
		"--restart", "unless-stopped", "--memory", "128m", "--pids-limit", "64",
		"--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		// Docker's default; podman's is 1024.
		"--sysctl", "net.ipv4.ip_unprivileged_port_start=0",
		"--entrypoint", "haproxy", c.image,
		"-W", "-db", "-f", configFolder + configFile,
	}
}

// Reload gives a running load balancer another configuration. Established connections
// go on with the old worker, new ones are taken by the new one.
func (c *Containers) Reload(ctx context.Context, name, config string) error {
	before, err := c.engine.Logs(ctx, name, logLines)
	if err != nil {
		return err
	}
	if err := c.copyConfig(ctx, name, config); err != nil {
		return err
	}
	if err := c.engine.Signal(ctx, name, "USR2"); err != nil {
		return err
	}
	return c.awaitWorker(ctx, name, before)
}

// Remove removes load balancers; one that does not exist is fine.
func (c *Containers) Remove(ctx context.Context, names ...string) error {
	return c.engine.Remove(ctx, names...)
}

func (c *Containers) copyConfig(ctx context.Context, name, config string) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	header := &tar.Header{Name: configFile, Mode: 0o644, Size: int64(len(config)), Typeflag: tar.TypeReg}
	if err := errors.Join(w.WriteHeader(header), write(w, config), w.Close()); err != nil {
		return fmt.Errorf("pack the configuration of load balancer %s: %w", name, err)
	}
	return c.engine.CopyTo(ctx, name, configFolder, &archive)
}

func write(w *tar.Writer, text string) error {
	_, err := w.Write([]byte(text))
	return err
}

// awaitWorker polls the container's log until HAProxy says that it has a worker that was
// not there before. The log is the one channel that every engine has on every system: on
// macOS and Windows the container's address cannot be dialled.
func (c *Containers) awaitWorker(ctx context.Context, name, before string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, listenTimeout,
		fmt.Errorf("load balancer %s did not listen within %v", name, listenTimeout))
	defer cancel()
	tick := time.NewTicker(listenPoll)
	defer tick.Stop()
	for {
		log, err := c.engine.Logs(ctx, name, logLines)
		if err != nil {
			return err
		}
		ready, err := workerReady(log, before)
		if err != nil {
			return fmt.Errorf("load balancer %s: %w", name, err)
		}
		if ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
