package grader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// tierState is what came of waiting for a tier: its ready pods, or why there are none
// that count (trouble, the student's), or an error (ours).
type tierState struct {
	pods    []corev1.Pod
	trouble *Verdict
	err     error
}

// outcome says in a word or two what became of the tier.
func (t tierState) outcome() string {
	switch {
	case t.err != nil:
		return "error"
	case t.trouble != nil:
		return "not ready"
	}
	return "ready"
}

// ready waits for a tier and returns its pods, sorted by name. The verdict is not nil
// where the tier did not become ready: it is the check's.
func (s *Session) ready(ctx context.Context, tier string) ([]corev1.Pod, *Verdict, error) {
	f, ok := s.tiers[tier]
	if !ok {
		return nil, nil, fmt.Errorf("the lab has no tier %q", tier)
	}
	st, err := f.wait(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("wait for %s: %w", tier, err)
	}
	return st.pods, st.trouble, st.err
}

func (s *Session) awaitTier(ctx context.Context, t lab.Tier) tierState {
	last, err := s.awaitCensus(ctx, t, func(c census) bool { return c.ready })
	if err != nil {
		return tierState{err: fmt.Errorf("wait for %s: %w", t.Name, err)}
	}
	if last.ready {
		return tierState{pods: last.pods}
	}
	why := fmt.Sprintf("%s is not ready: %s", t.Name, last.why)
	if s.Patience > 0 && !last.hopeless {
		why = fmt.Sprintf("%s is still starting after %s: %s", t.Name, s.Patience, last.why)
	}
	v := s.lacking(ctx, last, why)
	if s.Patience > 0 && !last.hopeless && v.Hint == "" {
		v.Hint = "starting may take a moment longer: kubectl get pods shows how far it is"
	}
	return tierState{trouble: &v}
}

// awaitCensus waits until the tier is as wanted, or will never be, or time is up. An error is ours.
func (s *Session) awaitCensus(ctx context.Context, t lab.Tier, wanted func(census) bool) (census, error) {
	var last census
	overworked, err := s.awaitWorkloads(ctx, func(st *kube.State) (bool, string) {
		last = s.census(st, t)
		return wanted(last) || last.hopeless, last.why
	})
	switch {
	case wanted(last):
		return last, nil
	case err != nil && !overdue(err):
		return last, err
	case heldUpByNode(last.troubled) || overworked && unstarted(last):
		return last, errors.New(last.why)
	}
	return last, nil
}

// lacking is the verdict that a tier's pods are not as they are to be.
func (s *Session) lacking(ctx context.Context, c census, why string) Verdict {
	v := refuted(why, s.diagnose(context.WithoutCancel(ctx), c)...)
	v.Hint, v.untimely = c.hint, !explained(c)
	return v
}

// census is what a tier's workloads and pods are like at one moment.
type census struct {
	pods     []corev1.Pod // ready, of the tier's image, sorted by name
	troubled []corev1.Pod // not ready
	events   []corev1.Event
	wanted   demand
	ready    bool
	hopeless bool // waiting does not help
	why      string
	hint     string
}

// census counts the tier's pods. A pod counts by the digest of the image that it runs.
func (s *Session) census(st *kube.State, t lab.Tier) census {
	c := census{events: st.Events}
	for _, p := range st.Pods {
		switch {
		case !runs(p.Spec, t.Image) || p.DeletionTimestamp != nil:
		case isReady(p) && s.genuine(p, t.Image):
			c.pods = append(c.pods, p)
		default:
			c.troubled = append(c.troubled, p)
		}
	}
	slices.SortFunc(c.pods, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	wanted, waiting := s.workloads(st, t)
	c.wanted = wanted
	if len(waiting) == 0 && len(c.pods) < wanted.pods {
		// Each kind of object is watched by itself, and a Deployment's status may be here before its pods.
		waiting = []string{fmt.Sprintf("%d of %d pods are known to be ready", len(c.pods), wanted.pods)}
	}
	switch {
	case wanted.workloads == 0 && len(c.pods)+len(c.troubled) == 0:
		c.hopeless = true
		c.why, c.hint = s.absent(st, t)
		c.troubled = podsNamed(st, t.Name)
	case len(waiting) > 0 || len(c.troubled) > 0 || len(c.pods) == 0:
		c.why = strings.Join(waiting, "; ")
		for _, p := range c.troubled {
			if why, final := Stuck(p); why != "" {
				c.why, c.hopeless, c.hint = fmt.Sprintf("pod/%s: %s", p.Name, why), final, ""
				if final {
					break
				}
				if unschedulable(p) {
					c.hint = "no node suits the pod, and `kubectl describe pods` ends with why; pods that are on their way out or of an older version still take up their nodes"
				}
			}
		}
		if c.why == "" {
			c.why = "no pod is ready"
		}
	default:
		c.ready = true
	}
	return c
}

// demand is what a tier is to consist of.
type demand struct{ workloads, pods int }

// workloads returns how many of the namespace's workloads run the tier, in how many pods, and
// what those that are not complete still wait for.
func (s *Session) workloads(st *kube.State, t lab.Tier) (wanted demand, waiting []string) {
	note := func(kind, name string, have, want int32, settled bool) {
		wanted.workloads++
		wanted.pods += int(want)
		switch {
		case want == 0:
			waiting = append(waiting, fmt.Sprintf("%s/%s asks for 0 replicas", kind, name))
		case !settled || have < want:
			waiting = append(waiting, fmt.Sprintf("%s/%s has %d of %d replicas ready", kind, name, have, want))
		}
	}
	for _, d := range st.Deployments {
		if runs(d.Spec.Template.Spec, t.Image) {
			want := valueOr(d.Spec.Replicas, 1)
			note("deployment", d.Name, d.Status.ReadyReplicas, want,
				d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == want && d.Status.Replicas == want)
		}
	}
	for _, d := range st.StatefulSets {
		if runs(d.Spec.Template.Spec, t.Image) {
			want := valueOr(d.Spec.Replicas, 1)
			note("statefulset", d.Name, d.Status.ReadyReplicas, want, d.Status.ObservedGeneration >= d.Generation)
		}
	}
	for _, d := range st.ReplicaSets {
		if len(d.OwnerReferences) == 0 && runs(d.Spec.Template.Spec, t.Image) {
			note("replicaset", d.Name, d.Status.ReadyReplicas, valueOr(d.Spec.Replicas, 1), true)
		}
	}
	return wanted, waiting
}

// absent says why no pod runs the tier's image: nothing of its name, or something else.
func (s *Session) absent(st *kube.State, t lab.Tier) (why, hint string) {
	for _, d := range st.Deployments {
		if d.Name == t.Name {
			return fmt.Sprintf("deployment/%s runs %s, not %s", d.Name, imagesOf(d.Spec.Template.Spec), t.Image),
				"set the container's image to " + t.Image
		}
	}
	for _, d := range st.StatefulSets {
		if d.Name == t.Name {
			return fmt.Sprintf("statefulset/%s runs %s, not %s", d.Name, imagesOf(d.Spec.Template.Spec), t.Image),
				"set the container's image to " + t.Image
		}
	}
	return "nothing runs " + t.Image, fmt.Sprintf("deploy %s with the image %s", t.Name, t.Image)
}

// Stuck says why a pod is not ready, and whether that is for good.
func Stuck(p corev1.Pod) (why string, final bool) {
	for _, cs := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		w := cs.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "CreateContainerConfigError":
			return fmt.Sprintf("container %s: %s: %s", cs.Name, w.Reason, w.Message), !late(w)
		case "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerError", "RunContainerError":
			return fmt.Sprintf("container %s: %s: %s", cs.Name, w.Reason, w.Message), true
		case "CrashLoopBackOff":
			return fmt.Sprintf("container %s: CrashLoopBackOff after %s", cs.Name, plural(int(cs.RestartCount), "restart")), cs.RestartCount >= 2
		case "ErrImagePull":
			return fmt.Sprintf("container %s: %s: %s", cs.Name, w.Reason, w.Message), false
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason + ": " + c.Message, false
		}
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionFalse && p.Status.Phase == corev1.PodRunning {
			why = "runs, but its readiness probe does not succeed"
		}
	}
	return why, false
}

// diagnose collects what the cluster says of pods that did not become ready.
func (s *Session) diagnose(ctx context.Context, c census) []result.Evidence {
	evidence := []result.Evidence{{From: "cluster", To: "pods", Want: "ready", Got: c.why}}
	for i, p := range c.troubled {
		if i == 2 {
			break // two pods of one workload tell the same story
		}
		evidence = append(evidence, Warnings(c.events, p.Name)...)
		for _, cs := range p.Status.ContainerStatuses {
			if cs.RestartCount == 0 && cs.State.Terminated == nil {
				continue
			}
			lines, err := s.Cluster.Logs(ctx, s.Namespace, p.Name, cs.Name, 5)
			if err != nil || lines == "" {
				continue
			}
			evidence = append(evidence, result.Evidence{From: "cluster", To: "logs of pod/" + p.Name + " container " + cs.Name, Got: bounded(lines)})
		}
	}
	return evidence
}

// Warnings are the last three warnings about an object.
func Warnings(events []corev1.Event, name string) []result.Evidence {
	var found []corev1.Event
	for _, e := range events {
		if e.Type == corev1.EventTypeWarning && e.InvolvedObject.Name == name {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	var evidence []result.Evidence
	for _, e := range found[max(0, len(found)-3):] {
		evidence = append(evidence, result.Evidence{
			From: "cluster", To: "events of " + strings.ToLower(e.InvolvedObject.Kind) + "/" + name,
			Got: bounded(e.Reason + ": " + e.Message), Count: int(e.Count),
		})
	}
	return evidence
}

// genuine tells whether the pod's containers of the image really run the fixture image.
func (s *Session) genuine(p corev1.Pod, image string) bool {
	for _, c := range p.Spec.Containers {
		if !SameImage(c.Image, image) {
			continue
		}
		for _, cs := range p.Status.ContainerStatuses {
			if cs.Name == c.Name && s.IsImage(image, cs.ImageID) {
				return true
			}
		}
	}
	return false
}

func runs(spec corev1.PodSpec, image string) bool {
	return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return SameImage(c.Image, image) })
}

// SameImage compares references as the node does: without a registry they mean docker.io.
func SameImage(a, b string) bool {
	return strings.TrimPrefix(a, "docker.io/") == strings.TrimPrefix(b, "docker.io/")
}

func imagesOf(spec corev1.PodSpec) string {
	var names []string
	for _, c := range spec.Containers {
		names = append(names, c.Image)
	}
	return strings.Join(names, ", ")
}

func isReady(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func podsNamed(st *kube.State, name string) []corev1.Pod {
	var pods []corev1.Pod
	for _, p := range st.Pods {
		if p.Name == name || strings.HasPrefix(p.Name, name+"-") {
			pods = append(pods, p)
		}
	}
	return pods
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// overdue tells that time ran out while the API server was there: what was waited for is
// missing. A server that is gone says nothing about it.
func overdue(err error) bool {
	var await *kube.AwaitError
	if errors.As(err, &await) && await.Unreachable {
		return false
	}
	return errors.Is(err, context.DeadlineExceeded)
}
