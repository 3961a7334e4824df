package course

import (
	"context"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/exercise"
	"labctl.dev/labctl/internal/ui"
)

// OpenPlace opens the cluster that the student works in. One that labctl did not make, that
// is gone or that does not answer is refused.
func OpenPlace(ctx context.Context, flags *target.Flags, p *ui.Progress) (*exercise.Place, error) {
	t, err := flags.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	return &exercise.Place{
		API: t.API, Cluster: t.Cluster.Name, Context: t.Cluster.Context, Server: t.API.Host(),
		Kubeconfig: t.Cluster.UserKubeconfig, Serves: t.Serves,
	}, nil
}
