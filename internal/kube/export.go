package kube

import (
	"context"
	"strings"

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

func madeByOthers(obj *unstructured.Unstructured) bool {
	return len(obj.GetOwnerReferences()) > 0 ||
		obj.GetKind() == "ConfigMap" && strings.HasPrefix(obj.GetName(), "kube-root-ca")
}
