package grader

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
)

// imitate adds a pod of another image behind the tier's Service.
func (w *world) imitate(tier string) *corev1.Pod {
	w.pods(tier, 1)
	p := &w.state.Pods[len(w.state.Pods)-1]
	p.Spec.Containers[0].Image = image("frontend")
	w.slices()
	return p
}

// Restart replaces the pods of the workload's tier.
func (w *world) Restart(_ context.Context, _, kind, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restarted = append(w.restarted, kind+"/"+name)
	w.rolling = 1
	if w.unfinished {
		return nil
	}
	w.state.Pods = slices.Clone(w.state.Pods)
	for i := range w.state.Pods {
		if p := &w.state.Pods[i]; p.Labels["app"] == name {
			p.Name += "-v2"
			p.UID += "-v2"
		}
	}
	w.slices()
	return nil
}

// deploy gives the tier a Deployment.
func (w *world) deploy(tier string) *appsv1.Deployment {
	n := int32(len(w.where(func(p corev1.Pod) bool { return p.Labels["app"] == tier })))
	w.state.Deployments = append(w.state.Deployments, appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: tier},
		Spec: appsv1.DeploymentSpec{Replicas: &n, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: tier, Image: image(tier)}},
		}}},
		Status: appsv1.DeploymentStatus{Replicas: n, ReadyReplicas: n, UpdatedReplicas: n},
	})
	return &w.state.Deployments[len(w.state.Deployments)-1]
}

// lookUp answers as the cluster's DNS does.
func (w *world) lookUp(name string) probe.Attempt {
	if records, ok := w.records[name]; ok {
		return probe.Attempt{Records: records}
	}
	svc := w.svc(name)
	for svc != nil && svc.Spec.Type == corev1.ServiceTypeExternalName {
		target, _, _ := strings.Cut(svc.Spec.ExternalName, ".")
		svc = w.svc(target)
	}
	switch {
	case svc == nil:
		return probe.Attempt{Class: probe.DNS, Error: "no such host"}
	case svc.Spec.ClusterIP != corev1.ClusterIPNone:
		return probe.Attempt{Records: []string{svc.Spec.ClusterIP}}
	}
	ready, _ := addresses(&w.state, svc.Name)
	if len(ready) == 0 {
		return probe.Attempt{Class: probe.DNS, Error: "no such host"}
	}
	return probe.Attempt{Records: ready}
}

// grade returns the verdicts on the checks in the world.
func (w *world) grade(t *testing.T, checks ...lab.Check) map[string]Verdict {
	t.Helper()
	s := w.session(checks...)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var ids []string
	for _, c := range checks {
		ids = append(ids, c.ID)
	}
	s.Start(ctx, ids)
	verdicts := map[string]Verdict{}
	for _, id := range ids {
		verdicts[id] = s.Await(ctx, id)
	}
	return verdicts
}
