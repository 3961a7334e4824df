package containment

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/internal/engine"
)

var (
	//go:embed egress.sh
	egressScript string
	//go:embed egress.service
	egressUnit string
)

// closeEgress writes both down and closes the way out now. systemd will at the next start of the
// node: to have it read its units anew takes longer than all the rest.
const closeEgress = `set -e
program=/usr/local/lib/labctl/egress units=/etc/systemd/system
mkdir -p "${program%/*}" $units/multi-user.target.wants
printf %s "$1" >$program
chmod 755 $program
printf %s "$2" >$units/labctl-egress.service
ln -sf ../labctl-egress.service $units/multi-user.target.wants/
exec $program`

// CloseEgress keeps the pods of the nodes, which have their addresses in the subnet, within the
// cluster's own networks. The nodes see to it whenever they start; calling it again changes
// nothing. A NetworkPolicy would not do: it needs a network that enforces it, and would open
// what a student's own policies close.
func CloseEgress(ctx context.Context, e *engine.Engine, nodes []string, podSubnet string) error {
	script := strings.ReplaceAll(egressScript, "POD_SUBNET", podSubnet)
	var group errgroup.Group
	for _, node := range nodes {
		group.Go(func() error {
			err := e.Exec(ctx, node, engine.ExecSpec{Cmd: []string{"sh", "-c", closeEgress, "sh", script, egressUnit}})
			if err != nil {
				return fmt.Errorf("close the way out of the cluster on node %s: %w", node, err)
			}
			return nil
		})
	}
	return group.Wait()
}
