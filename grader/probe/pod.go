package probe

import (
	"context"
	"io"
	"sync"
)

// PodExec runs commands in pods. An error with a method Gone() bool that returns true says
// that the pod is; one with CommandExit() int, that the command ran and failed.
type PodExec interface {
	// EnsureProbe makes sure that the probe runs in the pod, and returns the pod's UID and
	// its container's name.
	EnsureProbe(ctx context.Context, namespace, pod string) (uid, container string, err error)
	Exec(ctx context.Context, namespace, pod, container string, cmd []string,
		stdin io.Reader, stdout, stderr io.Writer) error
}

// Pods returns the vantage points inside a namespace's pods, by the pod's name: the probe
// runs there as an ephemeral container, in the pod's network namespace and with its DNS.
// A pod's vantage point is always the same one, so that those who ask there at the same time
// or one after the other ask the same program.
func Pods(c PodExec, namespace string) func(pod string) Vantage {
	var mu sync.Mutex
	pods := make(map[string]*podVantage)
	return func(pod string) Vantage {
		mu.Lock()
		defer mu.Unlock()
		v, ok := pods[pod]
		if !ok {
			v = &podVantage{c: c, namespace: namespace, pod: pod}
			pods[pod] = v
		}
		return v
	}
}

type podVantage struct {
	c              PodExec
	namespace, pod string
	to             line

	mu             sync.Mutex
	uid, container string // that the line leads to
}

func (v *podVantage) Name() string { return "pod/" + v.pod }

func (v *podVantage) Run(ctx context.Context, plan Plan) (Results, error) {
	return carryOut(ctx, v, v.Name(), plan)
}

// ready asks every time: a pod may be on its way out, or another one of the same name.
func (v *podVantage) ready(ctx context.Context, _ bool) error {
	uid, container, err := v.c.EnsureProbe(ctx, v.namespace, v.pod)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.uid != uid || v.container != container {
		v.to.reset()
		v.uid, v.container = uid, container
	}
	return nil
}

func (v *podVantage) exec(ctx context.Context, s streams) error {
	v.mu.Lock()
	container := v.container
	v.mu.Unlock()
	return v.c.Exec(ctx, v.namespace, v.pod, container, program(), s.in, s.out, s.err)
}

func (v *podVantage) line() *line { return &v.to }
