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

// Demand is how much the machine's processors are wanted.
type Demand struct {
	// Pressure and Load are those of probe.Results.
	Pressure, Load float64
}

// Demand asks for it. The error says that nobody knows.
func (p Places) Demand(ctx context.Context) (Demand, error) {
	ctx, cancel := context.WithTimeout(ctx, demandTime)
	defer cancel()
	results, err := p.Outside.Run(ctx, probe.Plan{})
	if err != nil {
		return Demand{}, fmt.Errorf("find out how busy the machine is: %w", err)
	}
	return Demand{Pressure: results.Pressure, Load: results.Load}, nil
}

// demandTime bounds the question how busy the machine is.
const demandTime = time.Minute
