package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/kube"
)

// control is a cluster's API server, as far as this package needs it.
type control interface {
	// Answers returns once the API server answers, or with its last error when ctx ends.
	Answers(ctx context.Context) error
	// Healthy returns once every named node is ready and the cluster's DNS answers, or
	// with what was still missing when ctx ended.
	Healthy(ctx context.Context, nodes []Node) error
}

func connect(cl *Cluster) (control, error) {
	client, err := kube.Connect(cl.Kubeconfig, cl.Context)
	if err != nil {
		return nil, err
	}
	return &apiServer{client: client}, nil
}

type apiServer struct{ client *kube.Client }

// again calls f until it succeeds, or returns its last error when ctx ends.
func again(ctx context.Context, every time.Duration, f func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := f()
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// askEvery lies between two questions to the API server: nobody tells when a port begins to
// be served.
const askEvery = 250 * time.Millisecond

func (a *apiServer) Answers(ctx context.Context) error {
	if err := again(ctx, askEvery, func() error { return a.client.Ping(ctx) }); err != nil {
		return fmt.Errorf("wait for the API server: %w: %w", context.Cause(ctx), err)
	}
	return nil
}

// Healthy outlasts moments in which the API server says that it is not ready, as it does on
// a busy machine when its store is late.
func (a *apiServer) Healthy(ctx context.Context, nodes []Node) error {
	return again(ctx, askEvery, func() error { return a.becomesHealthy(ctx, nodes) })
}

func (a *apiServer) becomesHealthy(ctx context.Context, nodes []Node) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := a.client.Watch(ctx, "kube-system")
	if err != nil {
		return err
	}
	_, err = w.Await(ctx, healthy(nodes))
	var late *kube.AwaitError
	if errors.As(err, &late) && !late.Unreachable && late.Why != "" {
		return errors.New(late.Why)
	}
	return err
}

// healthy is the condition that kind's own wait does not insist on: every node is ready,
// and names resolve. What was last said before a node was restarted does not count: for
// 40 s the API server believes it.
func healthy(nodes []Node) func(*kube.State) (bool, string) {
	return func(s *kube.State) (bool, string) {
		started := make(map[string]time.Time, len(nodes))
		for _, n := range nodes {
			if why := unready(s.Nodes, n); why != "" {
				return false, why
			}
			started[n.Name] = n.StartedAt
		}
		for _, pod := range s.Pods {
			if pod.Labels["k8s-app"] == "kube-dns" && servesSince(pod, started[pod.Spec.NodeName]) {
				return true, ""
			}
		}
		return false, "cluster DNS has no pod that is ready"
	}
}

// unready returns why a node is not ready, or "".
func unready(nodes []corev1.Node, node Node) string {
	i := slices.IndexFunc(nodes, func(n corev1.Node) bool { return n.Name == node.Name })
	if i < 0 {
		return "node " + node.Name + " has not joined"
	}
	for _, c := range nodes[i].Status.Conditions {
		switch {
		case c.Type != corev1.NodeReady:
		case c.Status != corev1.ConditionTrue:
			return fmt.Sprintf("node %s is not ready: %s", node.Name, c.Message)
		case before(c.LastHeartbeatTime.Time, node.StartedAt):
			return "node " + node.Name + " has not reported since it was started"
		default:
			return ""
		}
	}
	return "node " + node.Name + " has not said whether it is ready"
}

// servesSince tells whether the pod is ready in containers of this life of its node.
func servesSince(pod corev1.Pod, start time.Time) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running == nil || before(c.State.Running.StartedAt.Time, start) {
			return false
		}
	}
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// before compares a time of the API's, which has whole seconds, with one of the engine's.
func before(api, engine time.Time) bool { return api.Before(engine.Truncate(time.Second)) }
