// Package containment is what the cluster enforces on a submission by itself, which holds
// even where the policy of internal/submission is wrong: an identity that may create the
// allowed kinds in one namespace and nothing else, a quota and limits, Pod Security, an
// admission policy, and no way out of the cluster's own networks.
package containment

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
)

//go:embed admission.yaml
var admission []byte

//go:embed namespace.yaml
var namespaced []byte

const (
	// label marks the namespaces in which the policies hold: those of submissions. A student's
	// own namespace is the student's.
	label = "labctl.dev/contained"
	// imagesAnnotation lists the repositories that containers may come from.
	imagesAnnotation = "labctl.dev/images"

	// patience bounds the wait until the API server enforces policies that are new to it.
	patience = 20 * time.Second
)

// API is what containment needs of the cluster, as its administrator.
type API interface {
	// Install applies labctl's own objects, cluster-scoped ones included.
	Install(ctx context.Context, objs []*unstructured.Unstructured) error
	// Try asks whether the user could apply the object; nothing is changed.
	Try(ctx context.Context, user, namespace string, obj *unstructured.Unstructured) error
}

// User is the identity that applies what is submitted to the namespace.
func User(namespace string) string { return "labctl:submission:" + namespace }

// Labels are what the namespace of a submission must be created with, so that nothing is ever
// admitted to it without the policies.
func Labels() map[string]string {
	return map[string]string{label: "submission", "pod-security.kubernetes.io/enforce": "baseline"}
}

// Annotations tell the policies the lab's images.
func Annotations(images []string) map[string]string {
	var allowed []string
	for _, image := range images {
		ref, err := name.ParseReference(image)
		if err != nil {
			continue // it cannot be run either
		}
		full := ref.Context().Name() // "index.docker.io/labctl/db"
		short := strings.TrimPrefix(full, name.DefaultRegistry+"/")
		allowed = append(allowed, full)
		if short != full {
			allowed = append(allowed, short, path.Join("docker.io", short))
		}
	}
	return map[string]string{imagesAnnotation: strings.Join(allowed, " ")}
}

// policies are the cluster-wide objects.
func policies() ([]*unstructured.Unstructured, error) {
	objs, err := kube.Decode(bytes.NewReader(admission))
	if err != nil {
		return nil, err
	}
	for _, policy := range objs[:len(objs):len(objs)] {
		objs = append(objs, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": policy.GetAPIVersion(), "kind": "ValidatingAdmissionPolicyBinding",
			"metadata": map[string]any{"name": policy.GetName()},
			"spec": map[string]any{
				"policyName": policy.GetName(), "validationActions": []any{"Deny"},
				"matchResources": map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{label: "submission"}}},
			},
		}})
	}
	return objs, nil
}

// Contain bounds the namespace, which was created with Labels and Annotations, and returns
// when the API server is seen to enforce it. Call it before anything is applied. Further are the
// kinds that the lab allows beyond what every lab does.
func Contain(ctx context.Context, api API, namespace string, further []string) error {
	objs, err := kube.Decode(bytes.NewReader(namespaced))
	if err != nil {
		return err
	}
	for _, o := range objs {
		o.SetNamespace(namespace)
		if o.GetKind() == "Role" {
			allow(o, further)
		}
	}
	objs = append(objs, binding(namespace))
	clusterWide, err := policies()
	if err != nil {
		return err
	}
	if err := api.Install(ctx, append(clusterWide, objs...)); err != nil {
		return err
	}
	return enforced(ctx, api, namespace)
}

// allow adds what the further kinds need to the role of who applies the submission.
func allow(role *unstructured.Unstructured, further []string) {
	rules, _, _ := unstructured.NestedSlice(role.Object, "rules")
	if slices.Contains(further, "EndpointSlice") {
		rules = append(rules, map[string]any{
			"apiGroups": []any{"discovery.k8s.io"}, "resources": []any{"endpointslices"}, "verbs": []any{"get", "create", "patch"},
		})
	}
	// It is there as a list in the file beside this one, so setting it cannot fail.
	_ = unstructured.SetNestedSlice(role.Object, rules, "rules")
}

func binding(namespace string) *unstructured.Unstructured {
	const group = "rbac.authorization.k8s.io"
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/v1", "kind": "RoleBinding",
		"metadata": map[string]any{"name": "labctl-submission", "namespace": namespace},
		"roleRef":  map[string]any{"apiGroup": group, "kind": "Role", "name": "labctl-submission"},
		"subjects": []any{map[string]any{"apiGroup": group, "kind": "User", "name": User(namespace)}},
	}}
}

// enforced waits until what must be refused is, and what must be allowed is: the API server
// learns of new roles and policies by watching, a moment after they were written.
func enforced(ctx context.Context, api API, namespace string) error {
	tries := attempts()
	answers := make([]error, len(tries))
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var group errgroup.Group
		for i, t := range tries {
			group.Go(func() error {
				answers[i] = t.judge(api.Try(ctx, User(namespace), namespace, t.object))
				return nil
			})
		}
		_ = group.Wait() // the answers say it
		return errors.Join(answers...) == nil, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fault.Environmentf("the cluster does not contain submissions: namespace %s: %w", namespace, errors.Join(answers...)).
			WithRemedy("labctl status, then labctl repair")
	}
	return err
}

// attempt is something that a submission could try.
type attempt struct {
	object  *unstructured.Unstructured
	refused string // the policy that must refuse it; "" where it is allowed
}

func attempts() []attempt {
	service := func(meta, spec map[string]any) *unstructured.Unstructured {
		meta["name"], spec["ports"] = "labctl-try", []any{map[string]any{"port": int64(80), "protocol": "TCP"}}
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}}
	}
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "labctl-try"},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "try", "image": "example.invalid/try"}}},
	}}
	return []attempt{
		{service(map[string]any{}, map[string]any{}), ""},
		{service(map[string]any{}, map[string]any{"externalIPs": []any{"192.0.2.1"}}), "submission-services.labctl.dev"},
		{service(map[string]any{"finalizers": []any{"example.com/never"}}, map[string]any{}), "submission-metadata.labctl.dev"},
		{pod, "submission-pods.labctl.dev"},
	}
}

// judge returns nil where the API server answered as it must.
func (a attempt) judge(err error) error {
	switch {
	case a.refused == "":
		return err
	case err == nil:
		return fmt.Errorf("%s refuses nothing", a.refused)
	case !strings.Contains(err.Error(), a.refused):
		return err
	}
	return nil
}
