package grader

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
)

// Identifier makes probes that ask a tier's pods who they are, and judges the answers, for
// who sends probes outside of a session.
type Identifier struct{ ask *asker }

// Identify prepares to ask the pods of a tier, which are those that may answer. The nonce
// must come back in every answer.
func Identify(ctx context.Context, c Cluster, namespace string, tier lab.Tier, nonce string, pods []corev1.Pod) (*Identifier, error) {
	s := &Session{Lab: &lab.Lab{Tiers: []lab.Tier{tier}}, Cluster: c, Namespace: namespace, Nonce: nonce}
	ask, err := s.asker(ctx, tier.Name, pods)
	if err != nil {
		return nil, err
	}
	return &Identifier{ask: ask}, nil
}

// Probe asks host:port who answers there.
func (i *Identifier) Probe(id, host string, port int) probe.Probe { return i.ask.probe(id, host, port) }

// Judge returns the name of the pod that gave the answer, or why the answer is none of the
// tier's pods'. Stranger tells that somebody else answered.
func (i *Identifier) Judge(at probe.Attempt) (pod, why string, stranger bool) {
	j := i.ask.judge(at)
	return j.pod, j.why, j.foreign
}
