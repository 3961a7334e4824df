package cluster

import (
	"context"
	"time"

	"labctl.dev/labctl/internal/kube"
)

// NodeStatus is a node and how it is.
type NodeStatus struct {
	Node
	State string `json:"state"` // the container's: running, exited, …
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"` // why it is not ready
}

// Status is how a cluster is at this moment.
type Status struct {
	*Cluster
	Nodes   []NodeStatus `json:"nodes"`
	Age     string       `json:"age"`
	Healthy bool         `json:"healthy"`
	// Problems are what is wrong, one line each.
	Problems []string `json:"problems,omitempty"`
}

// lookTime bounds the look at an API server: status must not hang on a dead one.
const lookTime = 5 * time.Second

// Status looks at a cluster without changing anything. An error means that there is no
// such cluster, or none of labctl's; what is wrong with an existing one is in Problems.
func (c *Clusters) Status(ctx context.Context, name string) (*Status, error) {
	cl, err := c.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	f, err := c.examine(ctx, name)
	if err != nil {
		return nil, err
	}
	s := &Status{Cluster: cl, Age: time.Since(cl.CreatedAt).Round(time.Second).String()}
	states := make(map[string]string, len(f.containers))
	for _, n := range f.containers {
		states[n.Name] = n.State
	}
	stopped := false
	for _, n := range cl.Nodes {
		node := NodeStatus{Node: n, State: states[n.Name]}
		if !n.Running {
			stopped = true
			node.Why = "container is " + node.State
			s.Problems = append(s.Problems, "node "+n.Name+" is stopped")
		}
		s.Nodes = append(s.Nodes, node)
	}
	if f.standing == damaged {
		s.Problems = append(s.Problems, "some of its nodes are gone")
	}
	if !stopped {
		c.askAPI(ctx, s)
	}
	s.Healthy = len(s.Problems) == 0
	return s, nil
}

// askAPI fills in what only the API server knows.
func (c *Clusters) askAPI(ctx context.Context, s *Status) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	state, err := kubeSystem(ctx, s.Cluster)
	if err != nil {
		s.Problems = append(s.Problems, "the API server does not answer: "+err.Error())
		for i := range s.Nodes {
			s.Nodes[i].Why = "unknown"
		}
		return
	}
	for i, n := range s.Nodes {
		s.Nodes[i].Why = unready(state.Nodes, n.Node)
		if s.Nodes[i].Ready = s.Nodes[i].Why == ""; !s.Nodes[i].Ready {
			s.Problems = append(s.Problems, s.Nodes[i].Why)
		}
	}
	if ok, why := healthy(s.Cluster.Nodes)(state); !ok && len(s.Problems) == 0 {
		s.Problems = append(s.Problems, why)
	}
}

func kubeSystem(ctx context.Context, cl *Cluster) (*kube.State, error) {
	client, err := kube.Connect(cl.Kubeconfig, cl.Context)
	if err != nil {
		return nil, err
	}
	w, err := client.Watch(ctx, "kube-system")
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	return w.State(), nil
}
