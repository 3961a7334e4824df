package kube

import (
	"io"
	"net/http"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What a node's condition brings and takes is no trace of a submission; everything else is.
func TestFootprintOfNodes(t *testing.T) {
	footprint := func(spec string) []string {
		c := server(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/api":
				reply(w, 200, metav1.APIVersions{Versions: []string{"v1"}})
			case "/apis":
				reply(w, 200, metav1.APIGroupList{})
			case "/api/v1":
				reply(w, 200, metav1.APIResourceList{GroupVersion: "v1", APIResources: []metav1.APIResource{
					{Name: "nodes", Kind: "Node", Verbs: metav1.Verbs{"list"}},
				}})
			case "/api/v1/nodes":
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"NodeList","metadata":{},"items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"worker"},"spec":`+spec+`}]}`)
			default:
				http.NotFound(w, r)
			}
		})
		lines, err := c.Footprint(t.Context(), "")
		if err != nil || len(lines) != 1 {
			t.Fatalf("%q, %v", lines, err)
		}
		return lines
	}
	clean := footprint(`{}`)
	for spec, same := range map[string]bool{
		`{"taints":[]}`: true,
		`{"taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"}]}`:    true,
		`{"taints":[{"key":"example.com/mine","effect":"NoSchedule"}]}`:                false,
		`{"taints":[{"key":"node-role.kubernetes.io/mine","effect":"NoSchedule"}]}`:    false,
		`{"unschedulable":true,"taints":[{"key":"node.kubernetes.io/unschedulable"}]}`: false,
	} {
		if now := footprint(spec); slices.Equal(now, clean) != same {
			t.Errorf("%s: %q, and clean is %q", spec, now, clean)
		}
	}
}
