package probe

import (
	"context"
	"strings"

	"labctl.dev/labctl/internal/engine"
)

// labelCommand records a container's command, so that one made for other ranges is replaced.
const labelCommand = "dev.labctl.command"

// Outside is the vantage point of a client outside the cluster: a container on the nodes'
// network that is no part of the cluster, called labctl-CLUSTER-outside.
//
// The ranges are the cluster's, for Services and for pods; none means kind's defaults.
// Nothing sent there leaves the container: blackhole routes take it. Connecting to such an
// address fails at once, and is classed TIMEOUT as the same attempt would be from another
// machine, where packets vanish on the way.
func Outside(e ContainerExec, cluster string, ranges ...string) Vantage {
	if len(ranges) == 0 {
		ranges = []string{"10.96.0.0/16", "10.244.0.0/16"}
	}
	cmd := append([]string{"/probe", "outside"}, ranges...)
	return &container{
		e: e, name: "outside", says: "ready", lock: make(chan struct{}, 1),
		spec: engine.RunSpec{
			Name:       "labctl-" + cluster + "-outside",
			Image:      image,
			Network:    network,
			User:       "0", // routes need NET_ADMIN, which only root keeps on exec
			Entrypoint: cmd[:1],
			Cmd:        cmd[1:],
			CapDrop:    []string{"ALL"},
			CapAdd:     []string{"NET_ADMIN"},
			ReadOnly:   true,
			Labels:     labels(cluster, "outside", cmd),
		},
	}
}

// Node is the vantage point of a node: a container in the network namespace of the node's
// own container, called labctl-NODE-probe. It sees what the node sees: its routes, its
// kube-proxy rules and its loopback.
func Node(e ContainerExec, cluster, node string) Vantage {
	cmd := []string{"/probe", "wait"}
	v := &container{
		e: e, name: "node/" + node, lock: make(chan struct{}, 1),
		spec: engine.RunSpec{
			Name:       "labctl-" + node + "-probe",
			Image:      image,
			Network:    "container:" + node,
			Entrypoint: cmd[:1],
			Cmd:        cmd[1:],
			CapDrop:    []string{"ALL"},
			ReadOnly:   true,
			Labels:     labels(cluster, "node", cmd),
		},
	}
	// A node that was restarted has a new network namespace; the old one leads nowhere.
	v.fresh = func(ctx context.Context, c engine.Container) (bool, error) {
		n, err := e.Container(ctx, node)
		if err != nil {
			return false, err
		}
		return n.Running && !c.StartedAt.Before(n.StartedAt), nil
	}
	return v
}

func labels(cluster, role string, cmd []string) map[string]string {
	return map[string]string{LabelCluster: cluster, LabelRole: role, labelCommand: strings.Join(cmd, " ")}
}
