package kube

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestReleaseTakesOnlyWhatKeepsObjects(t *testing.T) {
	var mu sync.Mutex
	var patched []string
	item := func(name, more string) string {
		return `{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"ns","name":"` + name + `"` + more + `}}`
	}
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPatch:
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			patched = append(patched, r.URL.Path+" "+string(body))
			mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, item("stuck", ""))
		case r.URL.Path == "/api":
			reply(w, 200, metav1.APIVersions{Versions: []string{"v1"}})
		case r.URL.Path == "/apis":
			reply(w, 200, metav1.APIGroupList{})
		case r.URL.Path == "/api/v1":
			verbs := metav1.Verbs{"list", "patch"}
			reply(w, 200, metav1.APIResourceList{GroupVersion: "v1", APIResources: []metav1.APIResource{
				{Name: "services", Kind: "Service", Namespaced: true, Verbs: verbs},
				{Name: "services/status", Kind: "Service", Namespaced: true, Verbs: metav1.Verbs{"patch"}},
				{Name: "bindings", Kind: "Binding", Namespaced: true, Verbs: metav1.Verbs{"create"}},
				{Name: "namespaces", Kind: "Namespace", Verbs: verbs},
			}})
		case r.URL.Path == "/api/v1/namespaces/ns/services":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"ServiceList","metadata":{},"items":[`+strings.Join([]string{
				item("stuck", `,"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["example.com/never"]`),
				item("going", `,"deletionTimestamp":"2026-01-01T00:00:00Z"`),
				item("guarded", `,"finalizers":["example.com/never"]`),
			}, ",")+`]}`)
		default:
			http.NotFound(w, r)
		}
	})
	got, err := c.Release(t.Context(), "ns")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Service/stuck (example.com/never)"}; !slices.Equal(got, want) {
		t.Errorf("released %q, want %q", got, want)
	}
	if want := []string{`/api/v1/namespaces/ns/services/stuck {"metadata":{"finalizers":null}}`}; !slices.Equal(patched, want) {
		t.Errorf("patched %q, want %q", patched, want)
	}
}
