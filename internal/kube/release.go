package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Release takes the finalizers off all objects of a namespace that are being deleted, whoever
// put them there, so that the namespace can go. It returns what they were on and which, as
// "Service/frontend (service.kubernetes.io/load-balancer-cleanup)". Only for a namespace that
// has been on its way out for longer than whoever honours finalizers needs.
func (c *Client) Release(ctx context.Context, namespace string) ([]string, error) {
	kinds, err := c.typed.Discovery().ServerPreferredNamespacedResources()
	return overKinds(kinds, err, func(r metav1.APIResource) bool { return slices.Contains(r.Verbs, "patch") },
		func(kind schema.GroupVersionResource) ([]string, error) { return c.release(ctx, kind, namespace) })
}

// overKinds calls do for every kind that can be listed and is wanted, and gathers what it
// returns up to the first error. err is what came with the kinds, which may be some of them.
func overKinds(
	kinds []*metav1.APIResourceList, err error, wanted func(metav1.APIResource) bool, do func(schema.GroupVersionResource) ([]string, error),
) ([]string, error) {
	if err != nil && len(kinds) == 0 {
		return nil, environment(err, "list the kinds of objects")
	}
	var all []string
	for _, group := range kinds {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			continue // not one that could be asked for
		}
		for _, r := range group.APIResources {
			if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") || !wanted(r) {
				continue
			}
			found, err := do(version.WithResource(r.Name))
			if err != nil {
				return all, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

func (c *Client) release(ctx context.Context, kind schema.GroupVersionResource, namespace string) ([]string, error) {
	objects := c.dynamic.Resource(kind).Namespace(namespace)
	list, err := objects.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, environment(err, "list the %s of namespace %s", kind.Resource, namespace)
	}
	var released []string
	for _, obj := range list.Items {
		if obj.GetDeletionTimestamp() == nil || len(obj.GetFinalizers()) == 0 {
			continue
		}
		_, err := objects.Patch(ctx, obj.GetName(), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{FieldManager: manager})
		if err != nil && !IsNotFound(err) {
			return released, environment(err, "release %s", kept(obj))
		}
		released = append(released, kept(obj))
	}
	return released, nil
}

func kept(obj unstructured.Unstructured) string {
	return fmt.Sprintf("%s/%s (%s)", obj.GetKind(), obj.GetName(), strings.Join(obj.GetFinalizers(), ", "))
}
