package kube

import (
	"net/http"
	"path"
	"testing"

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
