//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/result"
)

// lenient writes a lab that is clusterip with another policy, and returns its folder's parent.
func lenient(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "lenient"), os.DirFS("../labs/10-clusterip")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "lenient", "lab.yaml")
	replaceIn(t, file, "id: clusterip\n", "id: lenient\n")
	replaceIn(t, file, "\nchecks:\n", "\npolicy:\n  kinds: [EndpointSlice]\n  refusedObjectCosts: [not-reachable-from-outside]\nchecks:\n")
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A lab chooses what a refused object costs: the rest is applied, and proven by traffic.
func TestRefusedObjectCostsWhatTheLabSays(t *testing.T) {
	labs := lenient(t)
	dir := t.TempDir()
	copySolution(t, "10-clusterip", dir)
	write(t, filepath.Join(dir, "extra.yaml"), "apiVersion: v1\nkind: Service\nmetadata: {name: extra}\nspec: {externalIPs: [192.0.2.1], ports: [{port: 80}]}\n")
	r, o := grade(t, 1, "lenient", dir, "--labs", labs)
	if r.Status != result.Graded || len(r.Findings) != 1 || r.Findings[0].Field != "spec.externalIPs" {
		t.Errorf("status %s, findings %v", r.Status, r.Findings)
	}
	const costs = "not-reachable-from-outside"
	for _, c := range r.Checks {
		if (c.Status == result.Failed) != (c.ID == costs) || c.Status == result.Skipped {
			t.Errorf("check %s %s: %s", c.ID, c.Status, told(c))
		}
	}
	if want := r.MaxScore - check(t, r, costs).MaxPoints; r.Score != want {
		t.Errorf("score %v, want %v", r.Score, want)
	}
	if !strings.Contains(o.stdout, "spec.externalIPs") {
		t.Errorf("no finding is shown:\n%s", o.stdout)
	}
}

// An EndpointSlice that a lab allows is applied.
func TestAllowedEndpointSlice(t *testing.T) {
	labs := lenient(t)
	dir := t.TempDir()
	copySolution(t, "10-clusterip", dir)
	write(t, filepath.Join(dir, "slice.yaml"), `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: manual, labels: {kubernetes.io/service-name: manual}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.250]}]
ports: [{port: 8080}]
`)
	if r, _ := grade(t, 0, "lenient", dir, "--labs", labs); r.Score != r.MaxScore || len(r.Findings) > 0 {
		t.Errorf("score %v, findings %v", r.Score, r.Findings)
	}
}
