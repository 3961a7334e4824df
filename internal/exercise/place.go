package exercise

import (
	"context"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
)

// Place is the cluster that a student works in.
type Place struct {
	API     API
	Cluster string // labctl's name of it
	Context string // kind-<name>
	Server  string // the API server that labctl itself speaks to
	// Kubeconfig is the user's file that labctl put the context into; "" means kubectl's rules.
	Kubeconfig string
	// Serves returns why the lab's load balancers would get no address, or nil.
	Serves func(ctx context.Context, l *lab.Lab) error
}

// Exercise is the lab in this place.
func (p *Place) Exercise(l *lab.Lab, begin func(string) func(error)) *Exercise {
	return &Exercise{API: p.API, Context: p.Context, Lab: l, Begin: begin}
}

// Context is labctl's context in the user's kubeconfig.
type Context struct {
	Name    string
	Missing bool   // the kubeconfig has no such context
	Current string // the context that kubectl uses without --context
	place   *Place
}

// CheckContext looks at the context. One that leads to another server than labctl's cluster
// is refused: kubectl would change something that is not labctl's.
func (p *Place) CheckContext() (Context, error) {
	found, ok, err := kube.FindContext(p.Kubeconfig, p.Context)
	if err != nil {
		return Context{}, err
	}
	if ok && found.Server != p.Server {
		return Context{}, fault.Inputf("context %s in your kubeconfig leads to %s, and cluster %q is at %s: nothing was touched",
			p.Context, orNowhere(found.Server), p.Cluster, p.Server).WithRemedy("labctl up --name %s, which writes the context anew", p.Cluster)
	}
	return Context{Name: p.Context, Missing: !ok, Current: found.Current, place: p}, nil
}

// Use sets the context's namespace, and touches no other context.
func (c Context) Use(namespace string) error {
	if c.Missing {
		return nil
	}
	return kube.SetContextNamespace(c.place.Kubeconfig, c.Name, namespace)
}

func orNowhere(server string) string {
	if server == "" {
		return "no cluster"
	}
	return server
}
