package kube

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// CreateNamespace creates the namespace and waits until pods can be made in it, which is
// when its default service account is there: before that, the first pods are refused and
// tried again only after a pause. A namespace of that name must not exist.
func (c *Client) CreateNamespace(ctx context.Context, name string, labels, annotations map[string]string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: annotations}}
	_, err := c.typed.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		return environment(err, "create namespace %s", name)
	}
	accounts := c.typed.CoreV1().ServiceAccounts(name)
	options := named("default")
	list, err := accounts.List(ctx, options)
	if err != nil {
		return environment(err, "look for the default service account of namespace %s", name)
	}
	if len(list.Items) > 0 {
		return nil
	}
	err = follow(ctx, list.ResourceVersion, options, accounts.Watch,
		func(e watch.Event) (bool, error) { return e.Type == watch.Added, nil })
	if err != nil {
		return environment(err, "wait for the default service account of namespace %s", name)
	}
	return nil
}

// DeleteNamespace deletes the namespace, and waits until it is gone where wait is set.
// One that does not exist is fine.
func (c *Client) DeleteNamespace(ctx context.Context, name string, wait bool) error {
	namespaces := c.typed.CoreV1().Namespaces()
	background := metav1.DeletePropagationBackground
	err := namespaces.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	if apierrors.IsNotFound(err) {
		return nil
	}
	// A conflict says that somebody else's deletion is under way.
	if err != nil && !apierrors.IsConflict(err) {
		return environment(err, "delete namespace %s", name)
	}
	if !wait {
		return nil
	}
	options := named(name)
	list, err := namespaces.List(ctx, options)
	if err != nil {
		return environment(err, "wait until namespace %s is gone", name)
	}
	if len(list.Items) == 0 {
		return nil
	}
	last := list.Items[0]
	err = follow(ctx, list.ResourceVersion, options, namespaces.Watch, func(e watch.Event) (bool, error) {
		if ns, ok := e.Object.(*corev1.Namespace); ok {
			last = *ns
		}
		return e.Type == watch.Deleted, nil
	})
	if err != nil {
		return environment(err, "wait until namespace %s is gone%s", name, remaining(&last))
	}
	return nil
}

// remaining says what keeps a namespace from going away.
func remaining(ns *corev1.Namespace) string {
	for _, condition := range ns.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && condition.Message != "" {
			return fmt.Sprintf(" (%s)", condition.Message)
		}
	}
	return ""
}

// named selects the one object with the name.
func named(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
}

// follow watches what options select, from the version on, until the condition holds. It
// survives lost connections and ends with ctx.
func follow(
	ctx context.Context, version string, options metav1.ListOptions,
	open func(context.Context, metav1.ListOptions) (watch.Interface, error),
	condition watchtools.ConditionFunc,
) error {
	source := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		o.FieldSelector = options.FieldSelector
		return open(ctx, o)
	}}
	_, err := watchtools.Until(ctx, version, source, func(e watch.Event) (bool, error) {
		if e.Type == watch.Error {
			return false, apierrors.FromObject(runtime.Object(e.Object))
		}
		return condition(e)
	})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Discard removes the namespace as fast as it goes: its Services at once, since others wait
// for their ports and addresses, the rest behind us, and pods without the time that they may
// have asked for to end.
func (c *Client) Discard(ctx context.Context, name string) error {
	return errors.Join(c.DeleteNamespace(ctx, name, false), c.deletePods(ctx, name), c.DeleteServices(ctx, name))
}

// deletePods asks for all pods of the namespace to end within a second, whatever time they
// were to have.
func (c *Client) deletePods(ctx context.Context, namespace string) error {
	grace := int64(1)
	err := c.typed.CoreV1().Pods(namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &grace}, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return environment(err, "delete the pods of namespace %s", namespace)
	}
	return nil
}
