package probe

import (
	"context"
	"io"
)

// PodExec runs commands in pods. An error with a method Gone() bool that returns true says
// that the pod is; one with CommandExit() int, that the command ran and failed.
type PodExec interface {
	// EnsureProbe makes sure that the probe runs in the pod, and returns its container's name.
	EnsureProbe(ctx context.Context, namespace, pod string) (container string, err error)
	Exec(ctx context.Context, namespace, pod, container string, cmd []string,
		stdin io.Reader, stdout, stderr io.Writer) error
}

// Pod is the vantage point inside a student's pod: the probe runs there as an ephemeral
// container, in the pod's network namespace and with its DNS.
func Pod(c PodExec, namespace, pod string) Vantage {
	return podVantage{c: c, namespace: namespace, pod: pod}
}

type podVantage struct {
	c              PodExec
	namespace, pod string
}

func (v podVantage) Name() string { return "pod/" + v.pod }

func (v podVantage) Run(ctx context.Context, plan Plan) (Results, error) {
	return carryOut(ctx, &podPlace{podVantage: v}, v.Name(), plan)
}

// podPlace is the pod during one Run.
type podPlace struct {
	podVantage
	container string
}

func (p *podPlace) ready(ctx context.Context, _ bool) (err error) {
	p.container, err = p.c.EnsureProbe(ctx, p.namespace, p.pod)
	return err
}

func (p *podPlace) exec(ctx context.Context, cmd []string, s streams) error {
	return p.c.Exec(ctx, p.namespace, p.pod, p.container, cmd, s.in, s.out, s.err)
}
