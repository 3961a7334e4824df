package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
)

// explain turns an error of kind's into one line, and keeps the rest in a file that
// outlives the cluster.
func (c *Clusters) explain(ctx context.Context, name string, err error, said string) error {
	output := outputOf(err)
	what, _, _ := strings.Cut(err.Error(), `: command "`)
	what = strings.TrimPrefix(what, "failed to ")
	failure := fault.Environmentf("create cluster %q: %s", name, what)
	if line := complaint(output); line != "" {
		failure = fault.Environmentf("create cluster %q: %s: %s", name, what, line)
	}
	path := filepath.Join(c.state, name+".log")
	journals := c.journals(ctx, name)
	kept := writeFile(path, []byte(said+"\n"+output+"\n"+journals))
	switch {
	case outOfWatches(journals):
		return failure.WithRemedy("%s", moreWatches())
	case kept != nil:
		return failure.WithRemedy("labctl doctor")
	}
	return failure.WithRemedy("labctl doctor; everything that kind and the kubelet said is in %s", path)
}

// remedy looks for the reason why nodes are not ready that is met most, and else sends to
// the command that helps with all.
func (c *Clusters) remedy(ctx context.Context, name string) string {
	if outOfWatches(c.journals(ctx, name)) {
		return moreWatches()
	}
	return repairCommand(name)
}

// outOfWatches recognises a kernel whose inotify limits are used up by other clusters.
func outOfWatches(journal string) bool {
	return strings.Contains(journal, "inotify") && strings.Contains(journal, "too many open files")
}

func moreWatches() string {
	return "the kernel's inotify limits are used up: sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288"
}

// journals returns what the nodes' own logs end with, for a remedy: soon, or nothing.
func (c *Clusters) journals(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return c.Logs(ctx, name, 60)
}

// Logs returns the last lines of what each node of the cluster says: of its kubelet and
// containerd, and of its console. kubeadm only knows that the kubelet did not come up, the
// kubelet knows why. What cannot be had within ctx is left out.
func (c *Clusters) Logs(ctx context.Context, name string, lines int) string {
	containers, err := c.nodeContainers(ctx, name)
	if err != nil {
		return ""
	}
	var all strings.Builder
	for _, n := range containers {
		fmt.Fprintf(&all, "==> %s: kubelet and containerd\n", n.Name)
		_ = c.engine.Exec(ctx, n.Name, engine.ExecSpec{Stdout: &all, Cmd: []string{
			"journalctl", "--no-pager", fmt.Sprintf("--lines=%d", lines), "--unit=kubelet", "--unit=containerd",
		}})
		if log, err := c.engine.Logs(ctx, n.Name, 30); err == nil {
			fmt.Fprintf(&all, "==> %s: console\n%s\n", n.Name, log)
		}
	}
	return all.String()
}
