package grader

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// rollingUpdate rolls the workload behind a Service out anew while requests keep coming. At
// least 95 % of them must be answered by a pod that says who it is, the rollout must end,
// and afterwards the new pods must answer.
//
// Parameters: service, port, nodePort, via, from, tier, as for round-trip.
func rollingUpdate(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	r, err := serviceOf(c.Run.With)
	if err != nil {
		return Verdict{}, err
	}
	old, trouble, err := s.ready(ctx, r.Tier)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	to, trouble, err := s.route(ctx, r)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	workloads := s.rollable(r.Tier)
	if len(workloads) == 0 {
		v := refuted(fmt.Sprintf("nothing of %s can be rolled out", r.Tier), observed("workloads of "+r.Tier, "a Deployment", "none"))
		v.Hint = "a Deployment replaces its pods step by step when its template changes; bare Pods and ReplicaSets do not"
		return v, nil
	}
	if v, err := s.calmBefore(ctx, r, to, old); err != nil || v.Status != result.Passed {
		return v, err
	}
	flow := s.flow(ctx, r, to)
	now, unfinished, err := s.rollOut(ctx, r.Tier, workloads, old)
	during, errFlow := flow.end()
	if err := errors.Join(err, errFlow); err != nil {
		return Verdict{}, err
	}
	return s.judgeRollout(ctx, r, to, now, unfinished, during, workloads)
}

// calmBefore waits until the Service answers reliably: what fails before the rollout is not
// the rollout's fault.
func (s *Session) calmBefore(ctx context.Context, r *lab.Reach, to *route, pods []corev1.Pod) (Verdict, error) {
	ask, err := s.asker(ctx, r.Tier, pods)
	if err != nil {
		return Verdict{}, err
	}
	return s.settle(ctx, s.patience(r), func(ctx context.Context, s *Session) (Verdict, error) {
		return s.reachRound(ctx, to.from, r, ask, to.ways)
	})
}

// workload is what Cluster.Restart can roll out.
type workload struct{ kind, name string }

// rollable are the workloads of a tier that roll out their template.
func (s *Session) rollable(tier string) []workload {
	t, _ := s.Lab.Tier(tier)
	st := s.Watcher.State()
	var all []workload
	for _, d := range st.Deployments {
		if runs(d.Spec.Template.Spec, t.Image) {
			all = append(all, workload{"Deployment", d.Name})
		}
	}
	for _, d := range st.StatefulSets {
		if runs(d.Spec.Template.Spec, t.Image) && d.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType {
			all = append(all, workload{"StatefulSet", d.Name})
		}
	}
	return all
}

// rollOut restarts the workloads and waits until only new pods are left, all of them ready.
// What is unfinished when time is up is the student's.
func (s *Session) rollOut(ctx context.Context, tier string, workloads []workload, old []corev1.Pod) (now []corev1.Pod, unfinished string, err error) {
	for _, w := range workloads {
		if err := s.Cluster.Restart(ctx, s.Namespace, w.kind, w.name); err != nil {
			return nil, "", err
		}
	}
	t, _ := s.Lab.Tier(tier)
	wait, cancel := context.WithTimeout(ctx, s.Timeouts.Rollout)
	defer cancel()
	var last census
	_, err = s.Watcher.Await(wait, func(st *kube.State) (bool, string) {
		last = s.census(st, t)
		if why := paused(st, workloads); why != "" {
			last.why = why
			return true, why
		}
		return last.ready && !anyOf(last.pods, old), last.why
	})
	switch {
	case err == nil && anyOf(last.pods, old):
		return last.pods, last.why, nil
	case err == nil:
		return last.pods, "", nil
	case ctx.Err() != nil || !overdue(err):
		return nil, "", fmt.Errorf("wait for the rollout of %s: %w", tier, err)
	}
	return last.pods, orElse(last.why, "pods of before are still there") + " after " + s.Timeouts.Rollout.String(), nil
}

// paused names a Deployment that will never roll out.
func paused(st *kube.State, workloads []workload) string {
	for _, d := range st.Deployments {
		for _, w := range workloads {
			if w.kind == "Deployment" && w.name == d.Name && d.Spec.Paused {
				return "deployment/" + d.Name + " is paused"
			}
		}
	}
	return ""
}

// judgeRollout judges what clients saw, then what came of the rollout, then the new pods.
func (s *Session) judgeRollout(ctx context.Context, r *lab.Reach, to *route, now []corev1.Pod, unfinished string, during flow, workloads []workload) (Verdict, error) {
	var evidence []result.Evidence
	for _, w := range workloads {
		evidence = append(evidence, result.Evidence{From: "cluster", To: w.kind + "/" + w.name, Want: "rolled out", Got: orElse(unfinished, "rolled out"), OK: unfinished == ""})
	}
	evidence = append(evidence, during.evidence(to.from.Name()))
	switch {
	case unfinished != "":
		v := refuted("the rollout did not end: " + unfinished).with(evidence)
		v.Hint, v.untimely = "kubectl rollout status shows what it waits for", true
		return v, nil
	case !during.enough() && !during.control.reaches(controlShare):
		return Verdict{}, fault.Environmentf("the machine was too busy to judge a rollout: %s of %d requests to the nodes themselves came back in time",
			during.control.share(), during.control.sent).WithRemedy("let other programs end, then grade again")
	case !during.enough():
		v := refuted(fmt.Sprintf("only %s of the requests to %s were answered during the rollout, at least %d %% should be", during.share(), during.to, flowShare)).with(evidence)
		v.Hint = s.rolloutHint(workloads)
		return v, nil
	}
	to, trouble, err := s.route(ctx, r)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}).with(evidence), err
	}
	v, err := s.everyoneAnswers(ctx, r, to, now, evidence)
	if v.Status == result.Passed {
		v.Message = fmt.Sprintf("%s of %d requests were answered while all pods of %s were replaced", during.share(), during.sent, r.Tier)
	}
	return v, err
}

// rolloutHint says what in the manifests makes clients notice.
func (s *Session) rolloutHint(workloads []workload) string {
	for _, d := range s.Watcher.State().Deployments {
		for _, w := range workloads {
			if w.kind != "Deployment" || w.name != d.Name {
				continue
			}
			switch {
			case d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
				return "strategy Recreate ends every old pod before the first new one starts; RollingUpdate keeps some answering"
			case !probed(d.Spec.Template.Spec):
				return "without a readinessProbe a new pod gets requests before it can answer them"
			}
		}
	}
	return "maxUnavailable: 0 keeps old pods until new ones are ready; a preStop sleep keeps an old pod answering until every node knows that it is gone"
}

func probed(spec corev1.PodSpec) bool {
	for _, c := range spec.Containers {
		if c.ReadinessProbe == nil {
			return false
		}
	}
	return true
}
