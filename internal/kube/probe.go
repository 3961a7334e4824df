package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"labctl.dev/labctl/internal/fault"
)

const (
	// probeName is the name of the ephemeral container that labctl adds to a pod; those
	// that replace one that ended have a number after it.
	probeName  = "labctl-probe"
	probeImage = "labctl/probe:v1"
	probeUser  = 65532
	probesAPod = 4 // ephemeral containers cannot be removed: a limit to their number

	// probeTimeout bounds the start of the probe in a pod that itself has been started.
	probeTimeout = 30 * time.Second
)

// ErrPodNotStarted says that the node has not brought the pod up so far (it is not
// scheduled, or a volume is missing), so that nothing can be probed from inside it.
var ErrPodNotStarted = errors.New("the pod has not been started")

// EnsureProbe makes sure that the probe runs in the pod, as an ephemeral container that is
// added once and used from then on, and returns the pod's UID and the container's name. It
// works as soon as the pod is on a node, whether or not the pod's own containers are ready or
// even start. Calls at the same time are fine.
//
// Errors: PodGone where the pod is; ErrPodNotStarted where it never came up; else one of
// kind Environment that says why the probe does not run.
func (c *Client) EnsureProbe(ctx context.Context, namespace, name string) (uid, container string, err error) {
	pods := c.typed.CoreV1().Pods(namespace)
	pod, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		if gone := departed(pod); gone != nil {
			return "", "", gone
		}
		var there bool
		container, there = probeOf(pod)
		if container == "" {
			return "", "", fault.Environmentf("the probe in pod %s/%s keeps ending: %w", namespace, name, probeEnd(pod))
		}
		if !there {
			pod, err = pods.Patch(ctx, name, types.StrategicMergePatchType, probePatch(container),
				metav1.PatchOptions{FieldManager: manager}, "ephemeralcontainers")
		}
	}
	if apierrors.IsNotFound(err) {
		return "", "", &PodGone{namespace, name, "deleted"}
	}
	if err != nil {
		return "", "", environment(err, "add the probe to pod %s/%s", namespace, name)
	}
	return string(pod.UID), container, c.awaitProbe(ctx, pod, container)
}

// probeOf returns the name of the probe to use in the pod, and whether it is there: the
// first that has not ended, or "" where too many have. Ephemeral containers are never
// restarted, so one that ended with its node has to be followed by another.
func probeOf(pod *corev1.Pod) (name string, there bool) {
	for n := 1; n <= probesAPod; n++ {
		name = probeName
		if n > 1 {
			name = fmt.Sprintf("%s-%d", probeName, n)
		}
		if !hasContainer(pod, name) {
			return name, false
		}
		if stateOf(pod, name).Terminated == nil {
			return name, true
		}
	}
	return "", false
}

// probeEnd says how the pod's first probe ended.
func probeEnd(pod *corev1.Pod) error {
	end := stateOf(pod, probeName).Terminated
	return fmt.Errorf("exit code %d: %s", end.ExitCode, oneLine(end.Reason+" "+end.Message))
}

// awaitProbe returns when the container runs, or can be said not to.
func (c *Client) awaitProbe(ctx context.Context, pod *corev1.Pod, container string) error {
	running, err := runs(pod, container)
	if running || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	last := pod
	err = follow(ctx, pod.ResourceVersion, named(pod.Name), c.typed.CoreV1().Pods(pod.Namespace).Watch,
		func(e watch.Event) (bool, error) {
			if e.Type == watch.Deleted {
				return false, &PodGone{pod.Namespace, pod.Name, "deleted"}
			}
			if now, ok := e.Object.(*corev1.Pod); ok {
				last = now
			}
			return runs(last, container)
		})
	var gone *PodGone
	var final *fault.Error
	if err == nil || errors.As(err, &gone) || errors.As(err, &final) {
		return err
	}
	err = fmt.Errorf("%s: %w", waitsFor(last, container), err)
	if last.Status.PodIP == "" { // without a network nothing starts
		err = fmt.Errorf("%w: %w", ErrPodNotStarted, err)
	}
	return environment(err, "start the probe in pod %s/%s", pod.Namespace, pod.Name)
}

// probePatch is what is merged into the pod, by the container's name: it is the same for
// everybody, so that who comes second changes nothing. The security context satisfies the
// strictest Pod Security level whatever the pod says of itself. The image is never pulled:
// labctl puts it on every node, and a node that lacks it should say so at once.
func probePatch(name string) []byte {
	yes, no, user := true, false, int64(probeUser)
	container := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name:            name,
		Image:           probeImage,
		Command:         []string{"/probe", "wait"},
		ImagePullPolicy: corev1.PullNever,
		SecurityContext: &corev1.SecurityContext{
			RunAsNonRoot:             &yes,
			RunAsUser:                &user,
			RunAsGroup:               &user,
			ReadOnlyRootFilesystem:   &yes,
			AllowPrivilegeEscalation: &no,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}}
	patch, err := json.Marshal(map[string]any{
		"spec": map[string]any{"ephemeralContainers": []corev1.EphemeralContainer{container}},
	})
	if err != nil {
		panic(err) // a constant of ours that does not marshal
	}
	return patch
}

func hasContainer(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == name })
}

// stateOf returns the state of an ephemeral container; it is empty until the node reports.
func stateOf(pod *corev1.Pod, name string) corev1.ContainerState {
	for i := range pod.Status.EphemeralContainerStatuses {
		if pod.Status.EphemeralContainerStatuses[i].Name == name {
			return pod.Status.EphemeralContainerStatuses[i].State
		}
	}
	return corev1.ContainerState{}
}

// runs tells whether the probe runs; its error is final.
func runs(pod *corev1.Pod, container string) (bool, error) {
	if gone := departed(pod); gone != nil {
		return false, gone
	}
	state := stateOf(pod, container)
	switch {
	case state.Running != nil:
		return true, nil
	case state.Terminated != nil:
		return false, fault.Environmentf("the probe in pod %s/%s ended with exit code %d: %s", pod.Namespace, pod.Name,
			state.Terminated.ExitCode, oneLine(state.Terminated.Reason+" "+state.Terminated.Message))
	case state.Waiting == nil:
		return false, nil
	}
	switch state.Waiting.Reason {
	case "ErrImageNeverPull":
		return false, fault.Environmentf("node %s does not have the image %s", pod.Spec.NodeName, probeImage).
			WithRemedy("labctl up")
	case "CreateContainerConfigError":
		return false, fault.Environmentf("the probe in pod %s/%s cannot be created: %s",
			pod.Namespace, pod.Name, oneLine(state.Waiting.Message))
	}
	return false, nil
}

// waitsFor says what the probe, or the pod before it, is waiting for.
func waitsFor(pod *corev1.Pod, container string) string {
	if waiting := stateOf(pod, container).Waiting; waiting != nil {
		return oneLine(waiting.Reason + " " + waiting.Message)
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Status == corev1.ConditionFalse && condition.Message != "" {
			return oneLine(condition.Message)
		}
	}
	if pod.Spec.NodeName == "" {
		return "it is on no node"
	}
	return "the node has not reported on it"
}
