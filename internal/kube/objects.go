package kube

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// maxLog bounds what is read of a container's log, in bytes.
const maxLog = 256 << 10

// Decode reads manifests, YAML documents or JSON, as they are and without any policy.
func Decode(manifests io.Reader) ([]*unstructured.Unstructured, error) {
	var objs []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(manifests, 4096); ; {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return objs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode manifest %d: %w", len(objs)+1, err)
		}
		objs = append(objs, o)
	}
}

// DeletePod deletes the pod, with its own grace period. One that does not exist is fine.
func (c *Client) DeletePod(ctx context.Context, namespace, name string) error {
	err := c.typed.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return environment(err, "delete pod %s/%s", namespace, name)
	}
	return nil
}

// Logs returns the last lines of the container's log; where the container has been
// restarted and has written nothing yet, those of the run before.
func (c *Client) Logs(ctx context.Context, namespace, pod, container string, tail int64) (string, error) {
	text, err := c.logs(ctx, namespace, pod, container, tail, false)
	if err == nil && text != "" {
		return text, nil
	}
	if before, errBefore := c.logs(ctx, namespace, pod, container, tail, true); errBefore == nil && before != "" {
		return before, nil
	}
	if err != nil {
		return "", environment(err, "read the log of container %s in pod %s/%s", container, namespace, pod)
	}
	return text, nil
}

func (c *Client) logs(ctx context.Context, namespace, pod, container string, tail int64, previous bool) (string, error) {
	limit := int64(maxLog)
	stream, err := c.typed.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: container, TailLines: &tail, LimitBytes: &limit, Previous: previous,
	}).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(stream)
	if err != nil {
		return "", fmt.Errorf("read on: %w", err)
	}
	return string(text), nil
}

// ConfigMap returns the data of a ConfigMap; IsNotFound tells that there is none.
func (c *Client) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	found, err := c.typed.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, environment(err, "read ConfigMap %s/%s", namespace, name)
	}
	return found.Data, nil
}

// PutConfigMap creates the ConfigMap or replaces the data that labctl put into it.
func (c *Client) PutConfigMap(ctx context.Context, namespace, name string, data map[string]string) error {
	_, err := c.typed.CoreV1().ConfigMaps(namespace).Apply(ctx,
		corev1ac.ConfigMap(name, namespace).WithData(data),
		metav1.ApplyOptions{FieldManager: manager, Force: true})
	if err != nil {
		return environment(err, "write ConfigMap %s/%s", namespace, name)
	}
	return nil
}
