package furnish

import (
	"context"
	"errors"
	"time"

	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/images"
	"labctl.dev/labctl/internal/kube"
)

// Tools are what the commands about clusters work with.
type Tools struct {
	Engine   *engine.Engine
	Clusters *cluster.Clusters
	Store    *images.Store
}

// Open finds the engine and labctl's folders.
func Open(ctx context.Context, provider string, p Progress) (*Tools, error) {
	kube.Silence()
	e, err := engine.Detect(ctx, provider)
	if err != nil {
		return nil, err
	}
	clusters, err := cluster.New(e, p)
	if err != nil {
		return nil, err
	}
	cache, err := home.Cache()
	if err != nil {
		return nil, err
	}
	return &Tools{Engine: e, Clusters: clusters, Store: images.NewStore(cache, p)}, nil
}

// Within bounds a command by its --timeout. explain turns an error that came of the bound
// into one that says so.
func Within(ctx context.Context, timeout time.Duration, again string) (bounded context.Context, cancel func(), explain func(error) error) {
	if timeout <= 0 {
		return ctx, func() {}, func(err error) error { return err }
	}
	bounded, cancel = context.WithTimeoutCause(ctx, timeout, errors.New("out of time"))
	return bounded, cancel, func(err error) error {
		if err == nil || ctx.Err() != nil || bounded.Err() == nil {
			return err
		}
		// Whoever knows a remedy knows more than that the time is up.
		if fault.RemedyOf(err) != "" {
			return err
		}
		return fault.Environmentf("not done within %s: %w", timeout, err).
			WithRemedy("%s, with a longer --timeout: what is done already is kept", again)
	}
}
