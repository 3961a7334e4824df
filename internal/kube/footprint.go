package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Footprint lists the objects that belong to no namespace, but for namespaces that the selector
// does not select, and the nodes' labels and taints. It is the same before and after a
// submission that stayed where it belongs. Volumes are left out: a claim in a namespace has
// one, and they go together.
func (c *Client) Footprint(ctx context.Context, namespaces string) ([]string, error) {
	kinds, err := c.typed.Discovery().ServerPreferredResources()
	all, err := overKinds(kinds, err, func(r metav1.APIResource) bool { return !r.Namespaced && !passing(r.Name) },
		func(kind schema.GroupVersionResource) ([]string, error) { return c.list(ctx, kind, namespaces) })
	if err != nil {
		return nil, err
	}
	slices.Sort(all)
	return all, nil
}

// passing tells the kinds whose objects come and go by themselves.
func passing(resource string) bool {
	return slices.Contains([]string{"persistentvolumes", "componentstatuses", "ipaddresses", "volumeattachments", "certificatesigningrequests"}, resource)
}

func (c *Client) list(ctx context.Context, kind schema.GroupVersionResource, namespaces string) ([]string, error) {
	options := metav1.ListOptions{}
	if kind.Resource == "namespaces" {
		options.LabelSelector = namespaces
	}
	list, err := c.dynamic.Resource(kind).List(ctx, options)
	if err != nil {
		return nil, environment(err, "list the %s", kind.Resource)
	}
	var all []string
	for _, o := range list.Items {
		line := kind.Resource + "/" + o.GetName()
		if kind.Resource == "nodes" {
			spec, _ := o.Object["spec"].(map[string]any)
			line += " " + fmt.Sprint(o.GetLabels(), lasting(spec["taints"]), spec["unschedulable"])
		}
		all = append(all, line)
	}
	return all, nil
}

// lasting returns those of a node's taints that its condition does not bring and take: a new node
// has some until it is ready, and a busy one may have some for a moment.
func lasting(taints any) []any {
	all, _ := taints.([]any)
	return slices.DeleteFunc(slices.Clone(all), func(t any) bool {
		taint, _ := t.(map[string]any)
		key, _ := taint["key"].(string)
		return strings.HasPrefix(key, "node.kubernetes.io/")
	})
}
