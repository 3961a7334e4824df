//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

func TestClusterIsComplete(t *testing.T) {
	var status struct {
		Cluster struct {
			Healthy bool `json:"healthy"`
			Nodes   []struct {
				Ready bool `json:"ready"`
			} `json:"nodes"`
		} `json:"cluster"`
	}
	out := run(t, time.Minute, "status", "--json").want(t, 0).stdout
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ready := 0
	for _, n := range status.Cluster.Nodes {
		if n.Ready {
			ready++
		}
	}
	if !status.Cluster.Healthy || ready != 3 {
		t.Errorf("healthy %v, %d nodes ready, want true and 3", status.Cluster.Healthy, ready)
	}
	if classes := kubectl(t, "get", "storageclass"); !strings.Contains(classes, "(default)") {
		t.Errorf("no default StorageClass:\n%s", classes)
	}
}

// Every submission of the three labs that everything else builds upon: solution full,
// starter less, wrong exactly its check.
func TestCoreLabsAreProven(t *testing.T) {
	o := run(t, 40*time.Minute, "lab", "verify", "clusterip", "nodeport", "loadbalancer")
	t.Log(o.stdout)
	o.want(t, 0)
}

// The rest of the catalogue by its solutions, each graded twice. "make verify" proves all of
// it, which takes most of an hour on a small machine.
func TestSolutionsOfTheCatalogue(t *testing.T) {
	var catalogue []struct {
		ID string `json:"id"`
	}
	out := run(t, time.Minute, "labs", "--json").want(t, 0).stdout
	if err := json.Unmarshal([]byte(out), &catalogue); err != nil || len(catalogue) < 16 {
		t.Fatalf("%d labs: %v\n%s", len(catalogue), err, out)
	}
	args := []string{"lab", "verify", "--only", "solution"}
	for _, l := range catalogue {
		if !slices.Contains([]string{"clusterip", "nodeport", "loadbalancer"}, l.ID) {
			args = append(args, l.ID)
		}
	}
	o := run(t, 40*time.Minute, args...)
	t.Log(o.stdout)
	o.want(t, 0)
}

// What never becomes ready fails the checks that need it, with the reason; the rest is graded.
func TestUnreadyWorkloads(t *testing.T) {
	for _, tc := range []struct {
		name   string
		file   string
		change func(string) string
		failed string   // a check that needs the workload
		says   []string // in its message and evidence
		passed string   // a check that does not
	}{
		{
			"image that cannot be pulled", "backend.yaml",
			func(s string) string { return strings.ReplaceAll(s, "labctl/backend:v1", "labctl/backend:v9") },
			"backend-is-internal", []string{"labctl/backend:v9"}, "db-is-internal",
		},
		{
			"crash loop", "db.yaml",
			func(s string) string {
				return strings.Replace(s, "image: labctl/db:v1", "image: labctl/db:v1\n          args: [postgres, -c, no_such_setting=1]", 1)
			},
			"db-is-internal", []string{"CrashLoopBackOff", "no_such_setting"}, "backend-is-internal",
		},
		{
			"never ready", "backend.yaml",
			func(s string) string { return strings.ReplaceAll(s, "path: /healthz", "path: /nowhere") },
			"backend-is-internal", []string{"readiness probe", "Unhealthy"}, "db-is-internal",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			copySolution(t, "10-clusterip", dir)
			file := filepath.Join(dir, tc.file)
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			after := tc.change(string(before))
			if after == string(before) {
				t.Fatalf("%s did not change", tc.file)
			}
			if err := os.WriteFile(file, []byte(after), 0o600); err != nil {
				t.Fatal(err)
			}
			r, _ := grade(t, 1, "clusterip", dir)
			c := check(t, r, tc.failed)
			if c.Status != result.Failed {
				t.Errorf("%s is %s: %s", c.ID, c.Status, c.Message)
			}
			for _, want := range tc.says {
				if !strings.Contains(told(c), want) {
					t.Errorf("%s does not say %q:\n%s", c.ID, want, told(c))
				}
			}
			if other := check(t, r, tc.passed); other.Status != result.Passed {
				t.Errorf("%s is %s: %s", other.ID, other.Status, other.Message)
			}
		})
	}
}

func copySolution(t *testing.T, lab, dir string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "labs", lab, "solution"))); err != nil {
		t.Fatal(err)
	}
}

// Ginkgo's own command runs the same specs on a namespace that is already there.
func TestGinkgoSuite(t *testing.T) {
	_, o := grade(t, 0, "clusterip", "../labs/10-clusterip/solution", "--keep")
	_, namespace, found := strings.Cut(o.stderr, "kept namespace ")
	if !found {
		t.Fatalf("no namespace was kept:\n%s", o.stderr)
	}
	namespace = strings.Fields(namespace)[0]
	t.Cleanup(func() { kubectl(t, "delete", "namespace", namespace, "--wait=false") })
	junit := filepath.Join(t.TempDir(), "junit.xml")
	goTool(t, "run", "github.com/onsi/ginkgo/v2/ginkgo", "run", "--label-filter", "step:backend", "--junit-report", junit, "../grader/suite", "--",
		"-lab", "clusterip", "-namespace", namespace)
	xml, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(xml), "backend-reaches-db") || strings.Contains(string(xml), `failures="1"`) {
		t.Errorf("unexpected JUnit report:\n%.2000s", xml)
	}
}
