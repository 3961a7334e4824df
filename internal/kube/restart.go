package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// restartedAt is the annotation by which kubectl rollout restart changes a pod template.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// Restart rolls the workload out anew, as kubectl rollout restart does: its pod template
// gets an annotation and is otherwise as it was. The kind is Deployment or StatefulSet.
func (c *Client) Restart(ctx context.Context, namespace, kind, name string) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{restartedAt: time.Now().UTC().Format(time.RFC3339Nano)}},
	}}})
	if err != nil {
		return fmt.Errorf("encode the restart of %s/%s: %w", kind, name, err)
	}
	options := metav1.PatchOptions{FieldManager: manager}
	switch kind {
	case "Deployment":
		_, err = c.typed.AppsV1().Deployments(namespace).Patch(ctx, name, types.StrategicMergePatchType, patch, options)
	case "StatefulSet":
		_, err = c.typed.AppsV1().StatefulSets(namespace).Patch(ctx, name, types.StrategicMergePatchType, patch, options)
	default:
		return fmt.Errorf("restart %s/%s: a %s is not rolled out", kind, name, kind)
	}
	if err != nil {
		return environment(err, "restart %s/%s in namespace %s", kind, name, namespace)
	}
	return nil
}
