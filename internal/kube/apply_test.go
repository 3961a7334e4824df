package kube

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"labctl.dev/labctl/internal/fault"
)

// server is a fake API server.
func server(t *testing.T, handle http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	c, err := newClient(&rest.Config{Host: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	c.mapper = kinds()
	return c
}

// kinds is what the fake API server's discovery would say.
func kinds() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	v1 := schema.GroupVersion{Version: "v1"}
	for _, kind := range []string{"ConfigMap", "Secret", "Service", "Pod"} {
		m.Add(v1.WithKind(kind), meta.RESTScopeNamespace)
	}
	m.Add(v1.WithKind("Namespace"), meta.RESTScopeRoot)
	m.Add(schema.GroupVersion{Group: "apps", Version: "v1"}.WithKind("Deployment"), meta.RESTScopeNamespace)
	return m
}

func object(apiVersion, kind, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name},
	}}
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, s metav1.Status) {
	s.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	s.Status = metav1.StatusFailure
	reply(w, int(s.Code), s)
}

func TestApplyOrder(t *testing.T) {
	var mu sync.Mutex
	var order []string
	pair := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		// a and b are of one class: each answers only when the other has arrived too.
		if mine, ok := pair[name]; ok {
			close(mine)
			other := pair[map[string]string{"a": "b", "b": "a"}[name]]
			select {
			case <-other:
			case <-time.After(10 * time.Second):
				t.Errorf("%s was applied alone", name)
			}
		}
		mu.Lock()
		order = append(order, name)
		mu.Unlock()
		reply(w, http.StatusOK, object("v1", "Pod", name))
	})
	err := c.Apply(t.Context(), "ns", []*unstructured.Unstructured{
		object("apps/v1", "Deployment", "web"), object("v1", "Service", "svc"),
		object("v1", "Secret", "a"), object("v1", "ConfigMap", "b"),
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(order[:2])
	if want := []string{"a", "b", "svc", "web"}; !slices.Equal(order, want) {
		t.Errorf("applied %q, want %q", order, want)
	}
}

func TestApplyRequest(t *testing.T) {
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodPatch || r.Header.Get("Content-Type") != "application/apply-patch+yaml" {
			t.Errorf("%s %s", r.Method, r.Header.Get("Content-Type"))
		}
		if q.Get("fieldManager") != "labctl" || q.Get("force") != "true" || q.Get("fieldValidation") != "Strict" {
			t.Errorf("options %v", q)
		}
		if r.URL.Path != "/api/v1/namespaces/ns/services/web" {
			t.Errorf("path %s", r.URL.Path)
		}
		var sent unstructured.Unstructured
		if err := json.NewDecoder(r.Body).Decode(&sent.Object); err != nil {
			t.Error(err)
		}
		if sent.GetNamespace() != "ns" || sent.GetResourceVersion() != "" || sent.GetUID() != "" ||
			len(sent.GetManagedFields()) > 0 || sent.Object["status"] != nil || sent.GetLabels()["kept"] != "yes" {
			t.Errorf("sent %v", sent.Object)
		}
		reply(w, http.StatusOK, sent.Object)
	})
	obj := object("v1", "Service", "web")
	obj.SetNamespace("elsewhere")
	obj.SetLabels(map[string]string{"kept": "yes"})
	obj.SetResourceVersion("7")
	obj.SetUID("abc")
	obj.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubectl"}})
	obj.Object["status"] = map[string]any{"loadBalancer": map[string]any{}}
	if err := c.Apply(t.Context(), "ns", []*unstructured.Unstructured{obj}); err != nil {
		t.Fatal(err)
	}
	if obj.GetNamespace() != "elsewhere" || obj.Object["status"] == nil {
		t.Error("the caller's object was changed")
	}
}

func TestApplyRefusals(t *testing.T) {
	typed := `failed to create typed patch object (ns/x; apps/v1, Kind=Deployment): `
	tests := map[string]struct {
		status metav1.Status
		want   ApplyError
	}{
		"invalid value": {
			metav1.Status{Code: 422, Message: "Service is invalid: …", Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
				{Field: "spec.ports[0].nodePort", Message: "Invalid value: 99: not in the\n range"},
				{Field: "spec.type", Message: "Unsupported value"},
			}}},
			ApplyError{"Service/x", "spec.ports[0].nodePort", "Invalid value: 99: not in the range; spec.type: Unsupported value"},
		},
		"unknown field": {
			metav1.Status{Code: 500, Message: typed + ".spec.replica: field not declared in schema"},
			ApplyError{"Service/x", "spec.replica", "field not declared in schema"},
		},
		"two unknown fields": {
			metav1.Status{Code: 500, Message: typed + "errors:\n  .spec.a: field not declared in schema\n  .spec.b: field not declared in schema\n"},
			ApplyError{"Service/x", "spec.a", "field not declared in schema; spec.b: field not declared in schema"},
		},
		"wrong type": {
			metav1.Status{Code: 400, Message: typed + `.spec.ports[port=80].targetPort: expected string, got &value.valueUnstructured{Value:true}`},
			ApplyError{"Service/x", "spec.ports[port=80].targetPort", "expected string, got true"},
		},
		"policy": {
			metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Message: `pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged`},
			ApplyError{"Service/x", "", `pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := server(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, tt.status) })
			err := c.Apply(t.Context(), "ns", []*unstructured.Unstructured{object("v1", "Service", "x")})
			got := ApplyErrors(err)
			if len(got) != 1 || *got[0] != tt.want {
				t.Fatalf("got %+v (%v), want %+v", got, err, tt.want)
			}
			if fault.KindOf(err) != fault.Input {
				t.Errorf("kind %d", fault.KindOf(err))
			}
			if !strings.Contains(err.Error(), "Service/x: "+tt.want.Field) {
				t.Errorf("message %q", err)
			}
		})
	}
}

func TestApplyReportsEverythingAtOnce(t *testing.T) {
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "bad") {
			refuse(w, metav1.Status{Code: 422, Message: "no"})
			return
		}
		reply(w, http.StatusOK, object("v1", "Pod", "x"))
	})
	err := c.Apply(t.Context(), "ns", []*unstructured.Unstructured{
		object("v1", "Namespace", "mine"), object("v2", "Deploy", "web"), object("v1", "Service", ""),
		object("v1", "ConfigMap", "bad"), object("v1", "Pod", "good"), object("apps/v1", "Deployment", "bad"),
		{Object: map[string]any{"kind": "Pod", "metadata": map[string]any{"name": "x"}}},
	})
	var got []string
	for _, e := range ApplyErrors(err) {
		got = append(got, e.Object)
	}
	want := []string{"ConfigMap/bad", "Service/", "Namespace/mine", "Deploy/web", "Deployment/bad", "Pod/x"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestApplyFailuresOfTheEnvironment(t *testing.T) {
	terminating := metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Details: &metav1.StatusDetails{
		Causes: []metav1.StatusCause{{Type: "NamespaceTerminating"}},
	}}
	for name, status := range map[string]metav1.Status{
		"server error":          {Code: 500, Message: "etcdserver: leader changed"},
		"no namespace":          {Code: 404, Reason: metav1.StatusReasonNotFound},
		"namespace terminating": terminating,
		"not allowed in":        {Code: 401, Reason: metav1.StatusReasonUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			c := server(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, status) })
			err := c.Apply(t.Context(), "ns", []*unstructured.Unstructured{object("v1", "Namespace", "mine"), object("v1", "Service", "x")})
			if err == nil || len(ApplyErrors(err)) > 0 || fault.KindOf(err) != fault.Environment {
				t.Errorf("got %v, kind %d", err, fault.KindOf(err))
			}
		})
	}
}

func TestApplyAfterAConflict(t *testing.T) {
	var tries int
	c := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries == 1 {
			refuse(w, metav1.Status{Code: 409, Reason: metav1.StatusReasonConflict})
			return
		}
		reply(w, http.StatusOK, object("v1", "Service", "x"))
	})
	if err := c.Apply(t.Context(), "ns", []*unstructured.Unstructured{object("v1", "Service", "x")}); err != nil || tries != 2 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

func TestApplyToNoServer(t *testing.T) {
	c := server(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	err := c.Apply(t.Context(), "ns", []*unstructured.Unstructured{object("v1", "Service", "x")})
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Environment {
		t.Errorf("got %v", err)
	}
}
