package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/internal/fault"
)

// Env returns the environment that the pod's specification gives the container, with
// references to Secrets, ConfigMaps and the pod's own fields resolved and $(NAME)
// expanded. The image's own variables are not in it, nor those that Kubernetes adds for Services.
//
// What refers to something that does not exist is left out and named in an error of kind
// Input, beside the variables that could be resolved.
func (c *Client) Env(ctx context.Context, namespace string, pod *corev1.Pod, container string) (map[string]string, error) {
	spec := containerOf(pod, container)
	if spec == nil {
		return nil, fault.Inputf("pod %s/%s has no container %s", namespace, pod.Name, container)
	}
	r := resolver{client: c, namespace: namespace, pod: pod, env: map[string]string{}, maps: map[string]map[string]string{}}
	for i := range spec.EnvFrom {
		if err := r.addAll(ctx, &spec.EnvFrom[i]); err != nil {
			return nil, err
		}
	}
	for i := range spec.Env {
		if err := r.add(ctx, &spec.Env[i]); err != nil {
			return nil, err
		}
	}
	if len(r.missing) > 0 {
		return r.env, fault.Inputf("the environment of container %s in pod %s: %w",
			container, pod.Name, errors.Join(r.missing...))
	}
	return r.env, nil
}

func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// resolver resolves one container's environment and reads each Secret and ConfigMap once.
type resolver struct {
	client    *Client
	namespace string
	pod       *corev1.Pod
	env       map[string]string
	maps      map[string]map[string]string // "Secret/name" → data; nil where there is none
	missing   []error
}

func (r *resolver) addAll(ctx context.Context, from *corev1.EnvFromSource) error {
	kind, name, optional := "", "", (*bool)(nil)
	switch {
	case from.ConfigMapRef != nil:
		kind, name, optional = "ConfigMap", from.ConfigMapRef.Name, from.ConfigMapRef.Optional
	case from.SecretRef != nil:
		kind, name, optional = "Secret", from.SecretRef.Name, from.SecretRef.Optional
	default:
		return nil
	}
	data, err := r.data(ctx, kind, name)
	if err != nil {
		return err
	}
	if data == nil && !isTrue(optional) {
		r.missing = append(r.missing, fmt.Errorf("envFrom: there is no %s %s", kind, name))
	}
	for key, value := range data {
		r.env[from.Prefix+key] = value
	}
	return nil
}

func (r *resolver) add(ctx context.Context, v *corev1.EnvVar) error {
	from := v.ValueFrom
	switch {
	case from == nil:
		r.env[v.Name] = expand(v.Value, r.env)
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		return r.addKey(ctx, v.Name, "ConfigMap", ref.Name, ref.Key, ref.Optional)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		return r.addKey(ctx, v.Name, "Secret", ref.Name, ref.Key, ref.Optional)
	case from.FieldRef != nil:
		value, ok := fieldOf(r.pod, from.FieldRef.FieldPath)
		if !ok {
			r.missing = append(r.missing, fmt.Errorf("%s: field %s is not known to labctl", v.Name, from.FieldRef.FieldPath))
			return nil
		}
		r.env[v.Name] = value
	}
	return nil
}

func (r *resolver) addKey(ctx context.Context, variable, kind, name, key string, optional *bool) error {
	data, err := r.data(ctx, kind, name)
	if err != nil {
		return err
	}
	value, ok := data[key]
	switch {
	case ok:
		r.env[variable] = value
	case isTrue(optional):
	case data == nil:
		r.missing = append(r.missing, fmt.Errorf("%s: there is no %s %s", variable, kind, name))
	default:
		r.missing = append(r.missing, fmt.Errorf("%s: %s %s has no key %s", variable, kind, name, key))
	}
	return nil
}

// data returns what the object holds, and nil where there is none.
func (r *resolver) data(ctx context.Context, kind, name string) (map[string]string, error) {
	id := kind + "/" + name
	if data, known := r.maps[id]; known {
		return data, nil
	}
	data, err := r.read(ctx, kind, name)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, environment(err, "read %s of namespace %s", id, r.namespace)
	}
	r.maps[id] = data
	return data, nil
}

func (r *resolver) read(ctx context.Context, kind, name string) (map[string]string, error) {
	core := r.client.typed.CoreV1()
	data := map[string]string{}
	if kind == "Secret" {
		secret, err := core.Secrets(r.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		for key, value := range secret.Data {
			data[key] = string(value)
		}
		return data, nil
	}
	found, err := core.ConfigMaps(r.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	for key, value := range found.Data {
		data[key] = value
	}
	return data, nil
}

// fieldOf returns what the downward API gives for the path.
func fieldOf(pod *corev1.Pod, path string) (string, bool) {
	if key, ok := subscript(path, "metadata.labels"); ok {
		return pod.Labels[key], true
	}
	if key, ok := subscript(path, "metadata.annotations"); ok {
		return pod.Annotations[key], true
	}
	switch path {
	case "metadata.name":
		return pod.Name, true
	case "metadata.namespace":
		return pod.Namespace, true
	case "metadata.uid":
		return string(pod.UID), true
	case "spec.nodeName":
		return pod.Spec.NodeName, true
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, true
	case "status.podIP", "status.podIPs":
		return pod.Status.PodIP, true
	case "status.hostIP", "status.hostIPs":
		return pod.Status.HostIP, true
	}
	return "", false
}

// subscript returns the key of "base['key']".
func subscript(path, base string) (string, bool) {
	key, ok := strings.CutPrefix(path, base+"['")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(key, "']")
}

// expand replaces $(NAME) by the variable of that name, where there is one; $$ is a
// literal dollar. This is the rule of the API's documentation for a container's env.
func expand(value string, env map[string]string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(value, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "("), ")")
		switch known, ok := env[name]; {
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			value = rest[1:]
		case strings.HasPrefix(rest, "(") && closed && ok:
			out.WriteString(known)
			value = after
		default:
			out.WriteByte('$')
			value = rest
		}
	}
}

func isTrue(b *bool) bool { return b != nil && *b }
