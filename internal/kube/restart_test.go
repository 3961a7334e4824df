package kube

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"labctl.dev/labctl/internal/fault"
)

func TestRestartChangesTheTemplateAlone(t *testing.T) {
	at := metav1.ObjectMeta{Name: "web", Namespace: "ns"}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"own": "kept"}}}
	c := &Client{typed: fake.NewClientset(
		&appsv1.Deployment{ObjectMeta: at, Spec: appsv1.DeploymentSpec{Template: template}},
		&appsv1.StatefulSet{ObjectMeta: at, Spec: appsv1.StatefulSetSpec{Template: template}},
	)}
	var last string
	for range 2 {
		for _, kind := range []string{"Deployment", "StatefulSet"} {
			if err := c.Restart(t.Context(), "ns", kind, "web"); err != nil {
				t.Fatal(err)
			}
		}
		d, err := c.typed.AppsV1().Deployments("ns").Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		now := d.Spec.Template.Annotations
		if now["own"] != "kept" || now[restartedAt] == "" || now[restartedAt] == last {
			t.Errorf("annotations %v after %q", now, last)
		}
		last = now[restartedAt]
	}
	s, err := c.typed.AppsV1().StatefulSets("ns").Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil || s.Spec.Template.Annotations[restartedAt] == "" {
		t.Errorf("StatefulSet: %v, %v", s.Spec.Template.Annotations, err)
	}
}

func TestRestartOfWhatIsNotThere(t *testing.T) {
	c := &Client{typed: fake.NewClientset()}
	err := c.Restart(t.Context(), "ns", "Deployment", "web")
	if fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "restart Deployment/web in namespace ns") {
		t.Errorf("got %v", err)
	}
	if err := c.Restart(t.Context(), "ns", "Pod", "web"); err == nil || !strings.Contains(err.Error(), "is not rolled out") {
		t.Errorf("a pod: %v", err)
	}
}
