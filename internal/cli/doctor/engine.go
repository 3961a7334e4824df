package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"labctl.dev/labctl/internal/cli/furnish"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/images"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/ui"
)

// Examine asks about everything. Without an engine there is nothing else worth knowing
// about it, but the machine is looked at all the same.
func Examine(ctx context.Context, provider string, p *ui.Progress) []Finding {
	host := localHost()
	tools, err := furnish.Open(ctx, provider, p)
	if err != nil {
		return append([]Finding{failure("engine", err)}, all(
			func() []Finding { return host.inotify() },
			func() []Finding { return kubectl() },
		)...)
	}
	info, err := tools.Engine.Info(ctx)
	if err != nil {
		return []Finding{failure("engine", err)}
	}
	// A remote engine's kernel and disks cannot be looked at from here.
	host.remote = info.Server != "" && !isLocal(info.Server)
	return all(
		func() []Finding { return []Finding{engineFinding(tools.Engine, info), cgroups(info)} },
		func() []Finding { return []Finding{host.disk(info), host.memory(info)} },
		func() []Finding { return host.inotify() },
		func() []Finding { return []Finding{host.capabilities(privileged(ctx, tools.Engine))} },
		func() []Finding { return []Finding{nodeImage(ctx, tools)} },
		func() []Finding { return []Finding{fixtureImages(tools.Store)} },
		func() []Finding { return []Finding{balancer(ctx, tools.Engine)} },
		func() []Finding { return kubectl() },
	)
}

func isLocal(server string) bool {
	name, err := os.Hostname()
	return err == nil && strings.EqualFold(name, server)
}

func engineFinding(e *engine.Engine, info engine.Info) Finding {
	found := fmt.Sprintf("%s %s", e.Provider(), info.Version)
	if info.OS != "" {
		found += " on " + info.OS
	}
	if info.Rootless {
		found += ", rootless"
	}
	return Finding{Check: "engine", Level: OK, Found: found}
}

func cgroups(info engine.Info) Finding {
	f := Finding{Check: "cgroups", Level: OK, Found: "version " + info.CgroupVersion}
	switch {
	case info.CgroupVersion == "1" && info.Rootless:
		f.Level, f.Remedy = Failure, "a rootless engine needs cgroup v2: boot with systemd.unified_cgroup_hierarchy=1, or use a rootful engine"
	case info.CgroupVersion == "1":
		f.Level = Warning
		f.Found += ": labctl tells the kubelet to accept it, and Kubernetes will give it up"
		f.Remedy = "boot the machine with systemd.unified_cgroup_hierarchy=1 when you can"
	}
	return f
}

// trial is what came of starting a privileged container, as nodes are.
type trial struct {
	image   string // "" when there was none to try with
	runtime string
	err     error
}

func privileged(ctx context.Context, e *engine.Engine) trial {
	t := trial{}
	if info, err := e.Info(ctx); err == nil {
		t.runtime = info.Runtime
	}
	for _, ref := range []string{images.Probe, images.HAProxy, cluster.PinnedNodeImage()} {
		if _, ok, err := e.HasImage(ctx, ref); err == nil && ok {
			t.image = ref
			break
		}
	}
	if t.image == "" {
		return t
	}
	id, err := e.Run(ctx, engine.RunSpec{Image: t.image, Privileged: true, Network: "none"})
	if id != "" {
		// Not the caller's context: the container must go even after Ctrl-C.
		defer func() { _ = e.Remove(context.WithoutCancel(ctx), id) }()
	}
	t.err = err
	return t
}

func nodeImage(ctx context.Context, tools *furnish.Tools) Finding {
	const check = "node image"
	pinned := cluster.PinnedNodeImage()
	if _, ok, err := tools.Engine.HasImage(ctx, pinned); err == nil && ok {
		return Finding{Check: check, Level: OK, Found: pinned + ", in the engine"}
	}
	local, ok, err := tools.Store.LocalNode()
	if err != nil {
		return failure(check, err)
	}
	if ok {
		if _, there, err := tools.Engine.HasImage(ctx, local.Ref); err == nil && there {
			return Finding{Check: check, Level: OK, Found: local.Ref + ", in the engine"}
		}
		if _, err := os.Stat(local.Archive); err == nil {
			return Finding{Check: check, Level: OK, Found: local.Ref + ", in " + local.Archive}
		}
	}
	ref, why, err := tools.Store.ResolveNode(ctx, tools.Engine, "", pinned)
	if err != nil {
		return failure(check, err)
	}
	return Finding{Check: check, Level: OK, Found: ref + " (" + why + ")"}
}

func fixtureImages(store *images.Store) Finding {
	const check = "fixture images"
	missing, err := store.Missing()
	switch {
	case err != nil:
		return failure(check, err)
	case len(missing) == 0:
		return Finding{Check: check, Level: OK, Found: "all are made"}
	}
	return Finding{
		Check: check, Level: Warning, Found: strings.Join(missing, ", ") + " will be made by labctl up",
		Remedy: "have a registry in reach, or be root on Debian, or bring them with: labctl bundle load FILE",
	}
}

func balancer(ctx context.Context, e *engine.Engine) Finding {
	const check = "load balancer"
	kind, why, err := loadbalancer.Select(ctx, e, string(loadbalancer.Auto))
	if err != nil {
		return failure(check, err)
	}
	return Finding{Check: check, Level: OK, Found: fmt.Sprintf("%s (%s)", kind, why)}
}

func kubectl() []Finding {
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return []Finding{{
			Check: "kubectl", Level: Warning, Found: "not on PATH: labctl does without, students need it",
			Remedy: "install it: https://kubernetes.io/docs/tasks/tools/",
		}}
	}
	return []Finding{{Check: "kubectl", Level: OK, Found: path}}
}
