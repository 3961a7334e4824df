package grader

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
)

// taken is a cluster in which another namespace has the node port.
type taken struct {
	API
	holder corev1.Namespace
}

func (c *taken) ApplyAs(context.Context, string, string, []*unstructured.Unstructured) error {
	return fault.Inputf("refused: %w", &kube.ApplyError{Object: "Service/frontend", Reason: "provided port is already allocated"})
}

func (c *taken) NodePorts(context.Context) (map[int32]corev1.Service, error) {
	return map[int32]corev1.Service{30080: {ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: c.holder.Name}}}, nil
}

func (c *taken) Namespaces(context.Context, string) ([]corev1.Namespace, error) {
	return []corev1.Namespace{c.holder}, nil
}

// Whoever is told that a port is taken is not told to throw away a student's work.
func TestTakenNodePort(t *testing.T) {
	frontend := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "frontend"},
		"spec": map[string]any{"ports": []any{map[string]any{"port": int64(80), "nodePort": int64(30080)}}},
	}}
	for purpose, want := range map[string]string{
		purposeKept:    "kubectl --context kind-x -n holder delete service web",
		PurposeStudent: "grade in another cluster: labctl up --name grading",
	} {
		g := &Grading{
			Lab: &lab.Lab{ID: "nodeport"}, Objects: []*unstructured.Unstructured{frontend}, Target: Target{Namespace: "own", Context: "kind-x"},
			API: &taken{holder: corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "holder", Labels: map[string]string{PurposeLabel: purpose}}}},
		}
		err := g.apply(t.Context())
		if fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "node port 30080 is held by service/web of namespace holder") {
			t.Errorf("%s: %v", purpose, err)
		}
		if got := fault.RemedyOf(err); !strings.HasPrefix(got, want) {
			t.Errorf("%s: remedy %q", purpose, got)
		}
	}
}
