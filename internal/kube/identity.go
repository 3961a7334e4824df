package kube

import (
	"context"
	"encoding/json"
	"errors"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"labctl.dev/labctl/internal/fault"
)

// as returns the client that applies with the rights of the user alone.
func (c *Client) as(user string) (*Client, error) {
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	acting, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fault.Environmentf("prepare to act as %s: %w", user, err)
	}
	bounded := *c
	bounded.dynamic = acting
	return &bounded, nil
}

// ApplyAs is Apply with the rights of the user alone.
func (c *Client) ApplyAs(ctx context.Context, user, namespace string, objs []*unstructured.Unstructured) error {
	acting, err := c.as(user)
	if err != nil {
		return err
	}
	return acting.Apply(ctx, namespace, objs)
}

// Try asks whether the user could apply the object in the namespace; nothing is changed.
// The error is the API server's own.
func (c *Client) Try(ctx context.Context, user, namespace string, obj *unstructured.Unstructured) error {
	acting, err := c.as(user)
	if err != nil {
		return err
	}
	resource, refusal, err := acting.resourceFor(obj, namespace)
	switch {
	case err != nil:
		return environment(err, "try %s", obj.GetKind())
	case refusal != "":
		return errors.New(refusal)
	}
	_, err = patch(ctx, resource, prepared(obj, namespace), metav1.DryRunAll)
	return err
}

// Install applies labctl's own objects as the cluster's administrator, all at the same time,
// whether they live in a namespace (the one that they name) or in the whole cluster.
func (c *Client) Install(ctx context.Context, objs []*unstructured.Unstructured) error {
	var group errgroup.Group
	for _, obj := range objs {
		group.Go(func() error {
			gvk := obj.GroupVersionKind()
			mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
			if err == nil {
				_, err = patch(ctx, c.dynamic.Resource(mapping.Resource).Namespace(obj.GetNamespace()), obj)
			}
			if err != nil {
				return environment(err, "install %s/%s", obj.GetKind(), obj.GetName())
			}
			return nil
		})
	}
	return group.Wait()
}

// patch applies one object by server-side apply, and returns what came of it. Fields that its kind
// does not have are errors.
func patch(ctx context.Context, resource dynamic.ResourceInterface, obj *unstructured.Unstructured, dryRun ...string) (after *unstructured.Unstructured, err error) {
	body, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	force := true
	options := metav1.PatchOptions{FieldManager: manager, Force: &force, FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		after, err = resource.Patch(ctx, obj.GetName(), types.ApplyPatchType, body, options)
		return err
	})
	return after, err
}
