package grader

import (
	"context"
	"fmt"
	"time"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/kube"
)

// Places are the vantage points from which probes are sent.
type Places struct {
	Pod     func(name string) probe.Vantage
	Outside probe.Vantage
	// Balanced tells whether load balancers are served at all: nil, or why not.
	Balanced func(ctx context.Context) error
}

// Balanced tells whether load balancers are served in the cluster: nil, or why not.
type Balanced func(ctx context.Context, e *engine.Engine, cluster string) error

// PlacesIn are those of a real cluster, for the pods of the namespace.
func PlacesIn(e *engine.Engine, client *kube.Client, cluster, namespace string, balanced Balanced) Places {
	return Places{
		Pod:      probe.Pods(client, namespace),
		Outside:  probe.Outside(e, cluster),
		Balanced: func(ctx context.Context) error { return balanced(ctx, e, cluster) },
	}
}

// Pressure is the share of the last ten seconds, in percent, in which some process of the machine
// waited for a processor. The error says that nobody knows.
func (p Places) Pressure(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, pressureTime)
	defer cancel()
	results, err := p.Outside.Run(ctx, probe.Plan{})
	if err != nil {
		return 0, fmt.Errorf("find out how busy the machine is: %w", err)
	}
	return results.Pressure, nil
}

// pressureTime bounds the question how busy the machine is.
const pressureTime = time.Minute
