package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Story tells what goes on in the cluster, for people who look for the cause of a failure
// when it is gone: nodes, pods and Services of all namespaces, and the events by their time.
func (c *Client) Story(ctx context.Context) (string, error) {
	var b strings.Builder
	nodes, err := c.typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", environment(err, "list the nodes")
	}
	b.WriteString("== Nodes\n")
	for _, n := range nodes.Items {
		fmt.Fprintf(&b, "%s", n.Name)
		for _, cond := range n.Status.Conditions {
			fmt.Fprintf(&b, "  %s=%s (%s)", cond.Type, cond.Status, cond.Reason)
		}
		b.WriteString("\n")
	}
	pods, err := c.typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return b.String(), environment(err, "list the pods")
	}
	b.WriteString("\n== Pods\n")
	for _, p := range pods.Items {
		fmt.Fprintf(&b, "%s/%s  %s  on %s  %s\n", p.Namespace, p.Name, p.Status.Phase, p.Spec.NodeName, strings.Join(containerStates(&p), ", "))
	}
	services, err := c.typed.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return b.String(), environment(err, "list the Services")
	}
	b.WriteString("\n== Services\n")
	for _, s := range services.Items {
		fmt.Fprintf(&b, "%s/%s  %s  %s", s.Namespace, s.Name, s.Spec.Type, s.Spec.ClusterIP)
		for _, in := range s.Status.LoadBalancer.Ingress {
			fmt.Fprintf(&b, "  %s%s", in.IP, in.Hostname)
		}
		b.WriteString("\n")
	}
	events, err := c.typed.CoreV1().Events("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return b.String(), environment(err, "list the events")
	}
	slices.SortStableFunc(events.Items, func(a, b corev1.Event) int { return seen(&a).Compare(seen(&b).Time) })
	b.WriteString("\n== Events\n")
	for _, e := range events.Items {
		fmt.Fprintf(&b, "%s  %s  %s/%s %s  %s: %s (%dx)\n", seen(&e).UTC().Format("15:04:05"), e.Type,
			e.InvolvedObject.Namespace, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, strings.TrimSpace(e.Message), max(1, e.Count))
	}
	return b.String(), nil
}

func containerStates(p *corev1.Pod) []string {
	var all []string
	for _, c := range p.Status.ContainerStatuses {
		state := "running"
		switch {
		case c.State.Waiting != nil:
			state = "waiting: " + c.State.Waiting.Reason
		case c.State.Terminated != nil:
			state = fmt.Sprintf("ended with %d: %s", c.State.Terminated.ExitCode, c.State.Terminated.Reason)
		}
		all = append(all, fmt.Sprintf("%s %s, %d restarts", c.Name, state, c.RestartCount))
	}
	return all
}
