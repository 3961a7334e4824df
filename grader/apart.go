package grader

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// tiersApart shows that no node runs pods of both tiers. Where a pod runs is what the cluster
// says, and what the pod itself says where its manifest tells it (NODE_NAME): both must agree.
//
// Parameters: a, b (the tiers).
func tiersApart(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	a, b := c.Run.With["a"], c.Run.With["b"]
	if a == "" || b == "" || a == b {
		return Verdict{}, errors.New("with.a and with.b: two different tiers are needed")
	}
	if n := schedulable(s.Watcher.State()); n < 2 {
		return Verdict{}, fault.Environmentf("pods can be put on %s only, and two are needed to keep tiers apart", plural(n, "node")).
			WithRemedy("labctl status, then labctl repair")
	}
	var evidence []result.Evidence
	on := map[string]map[string]string{} // node → tier → one of its pods
	for _, tier := range []string{a, b} {
		pods, trouble, err := s.ready(ctx, tier)
		if trouble != nil || err != nil {
			return valueOr(trouble, Verdict{}), err
		}
		v, err := s.whereabouts(ctx, tier, pods)
		evidence = append(evidence, v.Evidence...)
		if err != nil || v.Status != result.Passed {
			v.Evidence = evidence
			return v, err
		}
		for _, p := range pods {
			if on[p.Spec.NodeName] == nil {
				on[p.Spec.NodeName] = map[string]string{}
			}
			on[p.Spec.NodeName][tier] = p.Name
		}
	}
	for _, node := range sortedKeys(on) {
		if both := on[node]; len(both) > 1 {
			v := refuted(fmt.Sprintf("node %s runs both: pod/%s and pod/%s", node, both[a], both[b]),
				observed("node/"+node, "pods of "+a+" or of "+b, "pods of both")).with(evidence)
			v.Hint = "a podAntiAffinity in one tier keeps it off the nodes where pods of the other run (topologyKey: kubernetes.io/hostname); podAffinity to its own pods leaves nodes for the other tier"
			return v, nil
		}
	}
	return passed(fmt.Sprintf("no node runs pods of both %s and %s", a, b), evidence), nil
}

// whereabouts asks every pod who and where it is, from inside one of them.
func (s *Session) whereabouts(ctx context.Context, tier string, pods []corev1.Pod) (Verdict, error) {
	ask, err := s.asker(ctx, tier, pods)
	if err != nil {
		return Verdict{}, err
	}
	from := s.Places.Pod(pods[0].Name)
	return s.settle(ctx, s.Timeouts.Settle, func(ctx context.Context, s *Session) (Verdict, error) {
		answers, err := s.round(ctx, from, ask.each(pods))
		if err != nil {
			return Verdict{}, err
		}
		var evidence []result.Evidence
		for i, answer := range answers {
			at := result.Evidence{From: "cluster", To: "pod/" + pods[i].Name + " spec.nodeName", Got: pods[i].Spec.NodeName, OK: true}
			lines := answer.evidence()
			evidence = append(evidence, at)
			if why, class, _ := answer.failure(); why != "" {
				return withClass(failed(fmt.Sprintf("pod/%s does not say where it is: %s", pods[i].Name, why)).with(append(evidence, lines...)), class), nil
			}
			said := told(answer.attempts[0])
			e := lines[0]
			e.Want = "node " + pods[i].Spec.NodeName + ", or none"
			e.Got += "; " + orElse(prefixed("on node ", said), "it does not say on which node")
			e.OK = said == "" || said == pods[i].Spec.NodeName
			evidence = append(evidence, e)
			if !e.OK {
				v := refuted(fmt.Sprintf("pod/%s says that it is on node %s; it is on %s", pods[i].Name, bounded(said), pods[i].Spec.NodeName)).with(evidence)
				v.Hint = "NODE_NAME comes from valueFrom.fieldRef.fieldPath: spec.nodeName, not from a value that is written out"
				return v, nil
			}
		}
		return passed("", evidence), nil
	})
}

// told is the node that an answer names.
func told(at probe.Attempt) string {
	if at.Who == nil {
		return ""
	}
	return at.Who.Node
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + bounded(text)
}

// schedulable counts the nodes that take ordinary pods.
func schedulable(st *kube.State) int {
	n := 0
	for _, node := range st.Nodes {
		closed := node.Spec.Unschedulable || slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
			return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
		})
		if !closed {
			n++
		}
	}
	return n
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
