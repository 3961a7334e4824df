package containment

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/internal/engine"
)

var (
	//go:embed egress.sh
	egressScript []byte
	//go:embed egress.service
	egressUnit []byte
)

// CloseEgress keeps the pods of the nodes, which have their addresses in the subnet, within the cluster's own networks. The nodes see to
// it whenever they start; calling it again changes nothing. A NetworkPolicy would not do: it
// needs a network that enforces it, and would open what a student's own policies close.
func CloseEgress(ctx context.Context, e *engine.Engine, nodes []string, podSubnet string) error {
	script := bytes.ReplaceAll(egressScript, []byte("POD_SUBNET"), []byte(podSubnet))
	const (
		program = "/usr/local/lib/labctl/egress"
		install = "mkdir -p /usr/local/lib/labctl && cat >" + program + " && chmod 755 " + program
		enable  = "cat >/etc/systemd/system/labctl-egress.service && systemctl daemon-reload && " +
			"systemctl enable --quiet labctl-egress && systemctl restart labctl-egress"
	)
	var group errgroup.Group
	for _, node := range nodes {
		group.Go(func() error {
			err := e.Exec(ctx, node, engine.ExecSpec{Cmd: []string{"sh", "-c", install}, Stdin: bytes.NewReader(script)})
			if err == nil {
				err = e.Exec(ctx, node, engine.ExecSpec{Cmd: []string{"sh", "-c", enable}, Stdin: bytes.NewReader(egressUnit)})
			}
			if err != nil {
				return fmt.Errorf("close the way out of the cluster on node %s: %w", node, err)
			}
			return nil
		})
	}
	return group.Wait()
}
