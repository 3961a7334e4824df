package kube

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Export returns the namespace's objects of the kinds, as manifests: without what only the
// server writes, and without objects that another makes (a Deployment's pods) or that every
// namespace has.
func (c *Client) Export(ctx context.Context, namespace string, kinds []schema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, kind := range kinds {
		mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, environment(err, "look for objects in namespace %s", namespace)
		}
		list, err := c.dynamic.Resource(mapping.Resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, environment(err, "list objects of kind %s in namespace %s", kind.Kind, namespace)
		}
		for i := range list.Items {
			if obj := &list.Items[i]; !madeByOthers(obj) {
				all = append(all, prepared(obj, namespace))
			}
		}
	}
	return all, nil
}

// Differs tells whether to apply the object would change the one of its name, or make it, or be
// refused. Nothing is changed.
func (c *Client) Differs(ctx context.Context, namespace string, obj *unstructured.Unstructured) (bool, error) {
	name := obj.GetKind() + "/" + obj.GetName()
	resource, refusal, err := c.resourceFor(obj, namespace)
	if err != nil {
		return false, environment(err, "look at %s", name)
	}
	if refusal != "" {
		return true, nil
	}
	live, err := resource.Get(ctx, obj.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, environment(err, "read %s", name)
	}
	after, err := patch(ctx, resource, prepared(obj, namespace), metav1.DryRunAll)
	if err != nil && refusalOf(name, err) != nil {
		return true, nil
	}
	if err != nil {
		return false, environment(err, "try to apply %s", name)
	}
	bare := func(o *unstructured.Unstructured) map[string]any {
		o = prepared(o, namespace)
		// What kubectl remembers is no part of what is there.
		unstructured.RemoveNestedField(o.Object, "metadata", "annotations", corev1.LastAppliedConfigAnnotation)
		if len(o.GetAnnotations()) == 0 {
			o.SetAnnotations(nil)
		}
		return o.Object
	}
	return !equality.Semantic.DeepEqual(bare(live), bare(after)), nil
}

func madeByOthers(obj *unstructured.Unstructured) bool {
	return len(obj.GetOwnerReferences()) > 0 ||
		obj.GetKind() == "ConfigMap" && strings.HasPrefix(obj.GetName(), "kube-root-ca")
}
