package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// DeleteServices deletes all Services of the namespace and waits until they are gone, so
// that their node ports and load balancers are free for the next one. The namespace's own
// deletion would free them too, but only seconds later.
func (c *Client) DeleteServices(ctx context.Context, namespace string) error {
	services := c.typed.CoreV1().Services(namespace)
	list, err := services.List(ctx, metav1.ListOptions{})
	if err != nil {
		return environment(err, "list the Services of namespace %s", namespace)
	}
	left := map[string]bool{}
	for _, s := range list.Items {
		left[s.Name] = true
	}
	if len(left) == 0 {
		return nil
	}
	for name := range left {
		err := services.Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return environment(err, "delete service %s/%s", namespace, name)
		}
	}
	err = follow(ctx, list.ResourceVersion, metav1.ListOptions{}, services.Watch, func(e watch.Event) (bool, error) {
		if s, ok := e.Object.(*corev1.Service); ok && e.Type == watch.Deleted {
			delete(left, s.Name)
		}
		return len(left) == 0, nil
	})
	if err != nil {
		return environment(err, "wait until the Services of namespace %s are gone", namespace)
	}
	return nil
}

// Services returns the namespace's, or with "" all of the cluster's.
func (c *Client) Services(ctx context.Context, namespace string) ([]corev1.Service, error) {
	list, err := c.typed.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, environment(err, "list Services")
	}
	return list.Items, nil
}

// NodePorts returns the Services of all namespaces by the node ports that they hold.
func (c *Client) NodePorts(ctx context.Context) (map[int32]corev1.Service, error) {
	all, err := c.Services(ctx, metav1.NamespaceAll)
	if err != nil {
		return nil, err
	}
	holders := map[int32]corev1.Service{}
	for _, s := range all {
		for _, p := range s.Spec.Ports {
			if p.NodePort != 0 {
				holders[p.NodePort] = s
			}
		}
	}
	return holders, nil
}

// Namespaces returns the namespaces that the label selector matches.
func (c *Client) Namespaces(ctx context.Context, selector string) ([]corev1.Namespace, error) {
	list, err := c.typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, environment(err, "list the namespaces of the cluster")
	}
	return list.Items, nil
}
