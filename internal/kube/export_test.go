package kube

import (
	"maps"
	"net/http"
	"path"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"labctl.dev/labctl/internal/fault"
)

func TestExport(t *testing.T) {
	item := func(name string, metadata map[string]any) map[string]any {
		metadata["name"], metadata["uid"], metadata["resourceVersion"] = name, "u", "7"
		return map[string]any{"apiVersion": "v1", "metadata": metadata, "status": map[string]any{"x": "y"}}
	}
	lists := map[string][]any{
		"configmaps": {item("kube-root-ca.crt", map[string]any{}), item("mine", map[string]any{})},
		"pods":       {item("owned", map[string]any{"ownerReferences": []any{map[string]any{"name": "rs"}}}), item("bare", map[string]any{})},
	}
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		items := lists[path.Base(r.URL.Path)]
		for _, i := range items {
			i.(map[string]any)["kind"] = map[string]string{"configmaps": "ConfigMap", "pods": "Pod"}[path.Base(r.URL.Path)]
		}
		reply(w, http.StatusOK, map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{}, "items": items})
	})
	v1 := schema.GroupVersion{Version: "v1"}
	got, err := c.Export(t.Context(), "ns", []schema.GroupVersionKind{v1.WithKind("ConfigMap"), v1.WithKind("Unknown"), v1.WithKind("Pod")})
	if err != nil || len(got) != 2 || got[0].GetName() != "mine" || got[1].GetName() != "bare" {
		t.Fatalf("%v, %v", got, err)
	}
	for _, obj := range got {
		if obj.GetResourceVersion() != "" || obj.GetUID() != "" || obj.Object["status"] != nil {
			t.Errorf("what only the server writes was kept: %v", obj)
		}
	}
	failing := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	if _, err := failing.Export(t.Context(), "ns", []schema.GroupVersionKind{v1.WithKind("Pod")}); fault.KindOf(err) != fault.Environment || err == nil {
		t.Errorf("a server that fails: %v", err)
	}
}

func TestDiffers(t *testing.T) {
	service := func(port int64, more map[string]any) map[string]any {
		metadata := map[string]any{"name": "db", "namespace": "ns"}
		maps.Copy(metadata, more)
		return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": map[string]any{"ports": []any{map[string]any{"port": port}}}}
	}
	kubectl := map[string]any{"resourceVersion": "7", "annotations": map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "{}"}}
	refusal := map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422, "message": "no such port"}
	for name, tt := range map[string]struct {
		live, after map[string]any
		status      int // of the attempt
		differs     bool
		fails       bool
	}{
		"the same":        {service(80, kubectl), service(80, map[string]any{"generation": 3}), 200, false, false},
		"another port":    {service(80, nil), service(81, nil), 200, true, false},
		"a label":         {service(80, nil), service(80, map[string]any{"labels": map[string]any{"a": "b"}}), 200, true, false},
		"not there":       {nil, service(80, nil), 200, true, false},
		"refused":         {service(80, nil), refusal, 422, true, false},
		"a broken server": {service(80, nil), map[string]any{}, 500, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := server(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodGet && tt.live == nil:
					reply(w, http.StatusNotFound, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})
				case r.Method == http.MethodGet:
					reply(w, http.StatusOK, tt.live)
				case r.URL.Query().Get("dryRun") != "All":
					t.Errorf("%s %s changes something", r.Method, r.URL)
				default:
					reply(w, tt.status, tt.after)
				}
			})
			differs, err := c.Differs(t.Context(), "ns", &unstructured.Unstructured{Object: service(80, nil)})
			if differs != tt.differs || (err != nil) != tt.fails {
				t.Errorf("%t, %v", differs, err)
			}
		})
	}
}
