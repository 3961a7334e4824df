//go:build e2e

package e2e

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

// A pipeline's first run: it makes a cluster, grades, says so as GitHub wants it, and leaves
// no cluster behind.
func TestCIMakesAndRemovesItsCluster(t *testing.T) {
	const name = "e2e-ci"
	dir := t.TempDir()
	output, summary, out := filepath.Join(dir, "output"), filepath.Join(dir, "summary.md"), filepath.Join(dir, "results")
	env := []string{"GITHUB_ACTIONS=true", "GITHUB_ACTOR=anna", "GITHUB_OUTPUT=" + output, "GITHUB_STEP_SUMMARY=" + summary}
	o := startWith(t, 10*time.Minute, env, "ci", "../labs/10-clusterip/solution", "--lab", "clusterip", "--name", name, "--out", out).wait(t).want(t, 0)
	if !strings.Contains(o.stdout, "\nScore: 100/100 (100.0%)\n") || strings.Contains(o.stdout, "\n::error") {
		t.Errorf("%s", o.stdout)
	}
	outputs := text(t, output)
	for _, want := range []string{`(?m)^status<<\w+\npassed$`, `(?m)^score<<\w+\n100$`, `(?m)^max-score<<\w+\n100$`} {
		if !regexp.MustCompile(want).MatchString(outputs) {
			t.Errorf("no %s in the outputs:\n%s", want, outputs)
		}
	}
	if !strings.Contains(text(t, summary), "100 of 100") {
		t.Errorf("summary:\n%s", text(t, summary))
	}
	if r := report(t, filepath.Join(out, "clusterip", "report.json")); r.Student != "anna" || r.Score != 100 {
		t.Errorf("%+v", r)
	}
	if left := containersOf(t, name); left != "" {
		t.Errorf("the cluster is still there:\n%s", left)
	}
}

// One that finds a cluster grades there and leaves it; what fails shows in the merge request.
func TestCITellsWhatFailed(t *testing.T) {
	dir, work := t.TempDir(), t.TempDir()
	copySolution(t, "20-nodeport", work)
	replaceIn(t, filepath.Join(work, "backend.yaml"), "type: ClusterIP", "type: NodePort") // a gate of its own
	o := startWith(t, 10*time.Minute, []string{"GITLAB_CI=true", "GITLAB_USER_LOGIN=ben"},
		"ci", work, "--lab", "nodeport", "--name", cluster(), "--out", dir).wait(t).want(t, 1)
	if !regexp.MustCompile(`(?m)^Score: [1-9]\d?(\.\d+)?/100 `).MatchString(o.stdout) {
		t.Errorf("%s", o.stdout)
	}
	r := report(t, filepath.Join(dir, "nodeport", "report.json"))
	if got := check(t, r, "backends-stay-internal"); got.Status != result.Failed || r.Score <= 0 || r.Score >= 100 {
		t.Errorf("%s", told(got))
	}
	var junit struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
	}
	if err := xml.Unmarshal([]byte(text(t, filepath.Join(dir, "nodeport", "junit.xml"))), &junit); err != nil || junit.Failures != 1 || junit.Tests != len(r.Checks) {
		t.Errorf("%+v, %v", junit, err)
	}
	var found []struct {
		Description string `json:"description"`
	}
	if err := json.Unmarshal([]byte(text(t, filepath.Join(dir, "gl-code-quality-report.json"))), &found); err != nil || len(found) != 1 || !strings.Contains(found[0].Description, "backends-stay-internal") {
		t.Errorf("%+v, %v", found, err)
	}
	if containersOf(t, cluster()) == "" {
		t.Error("the cluster that was there is gone")
	}
}

func text(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
