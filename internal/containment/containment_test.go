package containment

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
)

var _ API = (*kube.Client)(nil)

// api enforces after some questions, or never.
type api struct {
	mu        sync.Mutex
	installed []*unstructured.Unstructured
	asked     int
	after     int // questions after which it enforces; below 0: never
	forbidden bool
	user      string
}

func (a *api) Install(_ context.Context, objs []*unstructured.Unstructured) error {
	a.installed = objs
	return nil
}

func (a *api) Try(_ context.Context, user, _ string, obj *unstructured.Unstructured) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	a.user = user
	if a.forbidden {
		return errors.New("services is forbidden: User cannot patch")
	}
	spec, _, _ := unstructured.NestedMap(obj.Object, "spec")
	if a.after < 0 || a.asked <= a.after {
		return nil
	}
	switch {
	case obj.GetKind() == "Pod":
		return errors.New("ValidatingAdmissionPolicy 'submission-pods.labctl.dev' denied")
	case spec["externalIPs"] != nil:
		return errors.New("ValidatingAdmissionPolicy 'submission-services.labctl.dev' denied")
	case len(obj.GetFinalizers()) > 0:
		return errors.New("ValidatingAdmissionPolicy 'submission-metadata.labctl.dev' denied")
	}
	return nil
}

func TestContainGoesOnWhenItIsEnforced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{after: 9}
		if err := Contain(t.Context(), a, "ns", nil); err != nil {
			t.Fatal(err)
		}
		if a.asked <= 9 || a.user != "labctl:submission:ns" {
			t.Errorf("asked %d times as %q", a.asked, a.user)
		}
		var kinds []string
		for _, o := range a.installed {
			kinds = append(kinds, o.GetKind())
			inCluster := strings.HasPrefix(o.GetKind(), "ValidatingAdmissionPolicy")
			if (o.GetNamespace() == "") != inCluster || o.GetName() == "" {
				t.Errorf("%s %q is for namespace %q", o.GetKind(), o.GetName(), o.GetNamespace())
			}
		}
		for _, kind := range []string{"LimitRange", "ResourceQuota", "ServiceAccount", "Role", "RoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
			if !slices.Contains(kinds, kind) {
				t.Errorf("no %s among %q", kind, kinds)
			}
		}
	})
}

// A lab that allows a further kind widens the role by it, and by nothing else.
func TestContainAllowsFurtherKinds(t *testing.T) {
	resources := func(further ...string) (all []string) {
		a := &api{}
		if err := Contain(t.Context(), a, "ns", further); err != nil {
			t.Fatal(err)
		}
		for _, o := range a.installed {
			rules, _, _ := unstructured.NestedSlice(o.Object, "rules")
			for _, r := range rules {
				some, _, _ := unstructured.NestedStringSlice(r.(map[string]any), "resources")
				all = append(all, some...)
			}
		}
		return all
	}
	plain, wide := resources(), resources("EndpointSlice")
	if slices.Contains(plain, "endpointslices") || len(plain) == 0 {
		t.Errorf("every lab allows %q", plain)
	}
	if !slices.Equal(wide, append(plain, "endpointslices")) {
		t.Errorf("%q, where every lab allows %q", wide, plain)
	}
}

// Where it is not enforced, nothing may be applied, and it is no fault of the submission.
func TestContainRefusesAClusterThatDoesNot(t *testing.T) {
	for name, a := range map[string]*api{"refuses nothing": {after: -1}, "lets nobody in": {forbidden: true}} {
		synctest.Test(t, func(t *testing.T) {
			err := Contain(t.Context(), a, "ns", nil)
			if fault.KindOf(err) != fault.Environment || err == nil || fault.RemedyOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestAnnotationsKnowAnImageByAllItsNames(t *testing.T) {
	got := strings.Fields(Annotations([]string{"labctl/db:v1", "example.com/x/y:2"})[imagesAnnotation])
	want := []string{"index.docker.io/labctl/db", "labctl/db", "docker.io/labctl/db", "example.com/x/y"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
