package grader

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// isStarting tells that the node has not begun to run the pod, and may still do so.
func isStarting(p corev1.Pod) bool {
	_, final := Stuck(p)
	return p.Status.Phase == corev1.PodPending && p.Spec.NodeName != "" && !final
}

// late tells that a node had no time yet to fetch what a container needs. That passes, and
// says nothing about the manifest.
func late(w *corev1.ContainerStateWaiting) bool {
	return w.Reason == "CreateContainerConfigError" && strings.Contains(w.Message, "failed to sync")
}

// heldUpByNode tells whether a node's lateness is what keeps one of the pods.
func heldUpByNode(pods []corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(p corev1.Pod) bool { return waits(p, late) })
}

// waits tells whether a container of the pod's waits for such a reason.
func waits(p corev1.Pod, such func(*corev1.ContainerStateWaiting) bool) bool {
	return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(cs corev1.ContainerStatus) bool {
		return cs.State.Waiting != nil && such(cs.State.Waiting)
	})
}

// unstarted tells whether some pod was given to a node, which has neither begun to run it nor
// said what keeps it.
func unstarted(c census) bool {
	return slices.ContainsFunc(c.troubled, func(p corev1.Pod) bool {
		creating := func(cs corev1.ContainerStatus) bool {
			return cs.State.Waiting != nil && (cs.State.Waiting.Reason == "ContainerCreating" || cs.State.Waiting.Reason == "PodInitializing")
		}
		return p.Spec.NodeName != "" && !slices.ContainsFunc(c.events, func(e corev1.Event) bool {
			return e.Type == corev1.EventTypeWarning && e.InvolvedObject.Name == p.Name && !belated(e)
		}) &&
			(len(p.Status.ContainerStatuses) == 0 || slices.ContainsFunc(p.Status.ContainerStatuses, creating))
	})
}

// belated tells that the warning is of somebody who did not get to something in time.
func belated(e corev1.Event) bool {
	return e.Reason == "FailedCreatePodSandBox" || slices.ContainsFunc(
		[]string{"failed to sync", "timed out", "deadline exceeded", "looking up service account"},
		func(words string) bool { return strings.Contains(e.Message, words) })
}

// explained tells whether the cluster says why a tier is not there in words that hold however
// busy the machine is: what the manifests ask for is refused, or does not exist.
func explained(c census) bool {
	warned := func(reason, name string) bool {
		return slices.ContainsFunc(c.events, func(e corev1.Event) bool {
			return e.Type == corev1.EventTypeWarning && e.Reason == reason && (name == "" || e.InvolvedObject.Name == name) && !belated(e)
		})
	}
	if len(c.pods)+len(c.troubled) == 0 {
		return c.wanted.pods == 0 || warned("FailedCreate", "")
	}
	return slices.ContainsFunc(c.troubled, func(p corev1.Pod) bool {
		return unschedulable(p) || misconfigured(p) || warned("FailedMount", p.Name)
	})
}

// unschedulable tells that no node suits the pod. To wait for a volume is no matter of nodes.
func unschedulable(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && !strings.Contains(c.Message, "unbound")
	})
}

// misconfigured tells that a container of the pod's asks for what does not exist.
func misconfigured(p corev1.Pod) bool {
	return waits(p, func(w *corev1.ContainerStateWaiting) bool {
		switch w.Reason {
		case "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName":
			return true
		case "CreateContainerConfigError":
			return !late(w)
		}
		return false
	})
}
