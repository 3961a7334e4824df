package loadbalancer

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"labctl.dev/labctl/internal/fault"
)

// situation is what the choice depends on.
type situation struct {
	running  instance // a cloud-provider-kind on this machine
	builtins []string // other clusters that a built-in load balancer serves
	sharers  []string // other clusters of labctl's that use cloud-provider-kind
	recorded Kind     // what the cluster itself was given, or ""
	present  Kind     // what serves it already, or ""
}

// selectKind chooses for a cluster; "" means one that does not exist yet.
func (h *host) selectKind(ctx context.Context, want Kind, cluster string) (Kind, string, error) {
	switch want {
	case None:
		return None, "as asked: LoadBalancer Services stay pending", nil
	case "":
		want = Auto
	case Auto, Builtin, CloudProviderKind:
	default:
		return "", "", fault.Inputf("unknown load balancer %q", want).WithRemedy("use one of %s", kindList())
	}
	at, err := h.situation(ctx, cluster)
	if err != nil {
		return "", "", fault.Environmentf("choose a load balancer: %w", err)
	}
	switch want {
	case Builtin:
		return at.builtin()
	case CloudProviderKind:
		return h.cloudProviderKind(ctx, at)
	}
	return h.auto(ctx, at)
}

func kindList() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func (h *host) situation(ctx context.Context, cluster string) (situation, error) {
	var at situation
	var err error
	if at.running, err = h.findCPK(ctx); err != nil {
		return at, err
	}
	if at.builtins, err = h.users(ctx, Builtin, cluster); err != nil {
		return at, err
	}
	if at.sharers, err = h.users(ctx, CloudProviderKind, cluster); err != nil {
		return at, err
	}
	if cluster == "" {
		return at, nil
	}
	r, err := h.record(cluster)
	if err != nil {
		return at, err
	}
	at.recorded = r.Kind
	s, err := h.status(ctx, cluster)
	if s.Running {
		at.present = s.Kind
	}
	return at, err
}

// builtin is refused where a cloud-provider-kind goes on running: that serves every kind
// cluster of the machine, and two that serve one Service undo each other's work. One that
// this cluster alone uses ends with the change.
func (at situation) builtin() (Kind, string, error) {
	if !at.running.running {
		return Builtin, "as asked", nil
	}
	err := fault.Environmentf("cloud-provider-kind runs on this machine and serves every kind cluster: the built-in load balancer would fight with it")
	switch {
	case at.running.foreign:
		return "", "", err.WithRemedy("stop it (%s), or use --load-balancer=cloud-provider-kind", at.running)
	case len(at.sharers) > 0:
		return "", "", err.WithRemedy("labctl up --load-balancer=none --name %s, or use --load-balancer=cloud-provider-kind", at.sharers[0])
	case at.recorded == CloudProviderKind:
		return Builtin, "as asked; cloud-provider-kind, which nobody else uses, is stopped", nil
	}
	return "", "", err.WithRemedy("stop it (%s), or use --load-balancer=cloud-provider-kind", at.running)
}

func (i instance) String() string {
	if i.process.PID != 0 {
		return fmt.Sprintf("process %d", i.process.PID)
	}
	return "container " + i.id[:min(12, len(i.id))]
}

func (h *host) cloudProviderKind(ctx context.Context, at situation) (Kind, string, error) {
	if at.running.running {
		return CloudProviderKind, at.runningWhy(), nil
	}
	if len(at.builtins) > 0 {
		return "", "", fault.Environmentf("cluster %s uses the built-in load balancer, and cloud-provider-kind, which serves every kind cluster of this machine, would fight with it", at.builtins[0]).
			WithRemedy("labctl down --name %s, or use --load-balancer=builtin", at.builtins[0])
	}
	why, err := h.obtainable(ctx)
	if err != nil {
		return "", "", fault.Environmentf("cloud-provider-kind cannot be had: %w", err).
			WithRemedy("put cloud-provider-kind on PATH and its proxy image into the engine, or use --load-balancer=builtin")
	}
	return CloudProviderKind, "as asked; " + why, nil
}

func (at situation) runningWhy() string {
	if at.running.foreign {
		return fmt.Sprintf("one that labctl did not start runs already (%s)", at.running)
	}
	return "it runs already, for another cluster"
}

func (h *host) auto(ctx context.Context, at situation) (Kind, string, error) {
	switch {
	case at.present == Builtin && !at.running.running, at.present == CloudProviderKind:
		return at.present, "it serves this cluster already", nil
	case at.running.running:
		return CloudProviderKind, at.runningWhy(), nil
	case len(at.builtins) > 0:
		return Builtin, fmt.Sprintf("cluster %s uses it, and it does not mix with cloud-provider-kind", at.builtins[0]), nil
	}
	why, err := h.obtainable(ctx)
	if err != nil {
		return Builtin, fmt.Sprintf("cloud-provider-kind cannot be had: %v", err), nil
	}
	return CloudProviderKind, why, nil
}

// obtainable returns how cloud-provider-kind can be had, program and proxy image both, or
// why it cannot.
func (h *host) obtainable(ctx context.Context) (string, error) {
	program, noProgram := h.cpkBinary()
	var looks sync.WaitGroup
	var noImage, noProxy error
	if noProgram != nil {
		looks.Go(func() { noImage = h.imageObtainable(ctx, cpkImage) })
	}
	looks.Go(func() { noProxy = h.imageObtainable(ctx, h.proxyImage(ctx, program)) })
	looks.Wait()
	switch {
	case noProgram != nil && noImage != nil:
		return "", fmt.Errorf("it is not on PATH, and neither the engine nor a registry has its image")
	case noProxy != nil:
		return "", fmt.Errorf("neither the engine nor a registry has its proxy image %s", h.proxyImage(ctx, program))
	case noProgram != nil:
		return "its image can be had", nil
	}
	return program + " is on PATH", nil
}

// proxyImage asks the program, which knows and honours CLOUD_PROVIDER_KIND_REGISTRY_URL.
func (h *host) proxyImage(ctx context.Context, program string) string {
	if program != "" {
		if image, err := h.machine.Run(ctx, program, "list-images"); err == nil && image != "" && !strings.ContainsAny(image, " \n") {
			return image
		}
	}
	return cpkProxyImage
}

func (h *host) imageObtainable(ctx context.Context, ref string) error {
	if _, ok, err := h.engine.HasImage(ctx, ref); err != nil || ok {
		return err
	}
	return h.machine.Registry(ctx, ref)
}

// prepare pulls what cloud-provider-kind runs, where the engine lacks it.
func (h *host) prepare(ctx context.Context) error {
	program, err := h.cpkBinary()
	images := []string{h.proxyImage(ctx, program)}
	if err != nil {
		images = append(images, cpkImage)
	}
	for _, ref := range images {
		_, ok, err := h.engine.HasImage(ctx, ref)
		if err == nil && !ok {
			err = h.engine.Pull(ctx, ref)
		}
		if err != nil {
			return fault.Environmentf("get image %s for cloud-provider-kind: %w", ref, err).
				WithRemedy("labctl up --load-balancer=builtin")
		}
	}
	return nil
}
