package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Footprint lists what is there of the cluster beside the namespaces that the selector leaves out: the
// objects that belong to no namespace, and the nodes' labels and taints. It is the same before
// and after a submission that stayed where it belongs. Volumes are left out: a claim in a
// namespace has one, and they go together.
func (c *Client) Footprint(ctx context.Context, ignored string) ([]string, error) {
	kinds, err := c.typed.Discovery().ServerPreferredResources()
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
			if r.Namespaced || passing(r.Name) || !slices.Contains(r.Verbs, "list") {
				continue
			}
			found, err := c.list(ctx, version.WithResource(r.Name), ignored)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	slices.Sort(all)
	return all, nil
}

// passing tells the kinds whose objects come and go by themselves.
func passing(resource string) bool {
	return slices.Contains([]string{"persistentvolumes", "componentstatuses", "ipaddresses", "volumeattachments", "certificatesigningrequests"}, resource) ||
		strings.Contains(resource, "/")
}

func (c *Client) list(ctx context.Context, kind schema.GroupVersionResource, ignored string) ([]string, error) {
	options := metav1.ListOptions{}
	if kind.Resource == "namespaces" {
		options.LabelSelector = ignored
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
			line += fmt.Sprint(o.GetLabels(), spec["taints"], spec["unschedulable"])
		}
		all = append(all, line)
	}
	return all, nil
}
