package gradescope

import (
	"slices"
	"strings"
	"testing"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/labs"
)

func catalog(t *testing.T) *lab.Catalog {
	t.Helper()
	c, err := lab.NewCatalog(labs.Files(), nil, grader.RunNames())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func limits(l *lab.Lab) submission.Limits {
	return submission.Limits{Namespace: l.ID, Images: l.Images(), Questions: l.Questions(), AnswersSuffice: l.AnswersSuffice()}
}

// examine reads a folder of the lab and returns the report.
func examine(t *testing.T, l *lab.Lab, dir string) result.Report {
	t.Helper()
	sub, err := submission.ReadFS(l.Files, dir, limits(l))
	if err != nil {
		t.Fatalf("lab %s, %s: %v", l.ID, dir, err)
	}
	var r result.Report
	Examine(l, sub, 5, &r)
	return r
}

// failedIn are the ids of what a submission lacks or what strikes one.
func failedIn(r result.Report) []string {
	var ids []string
	for _, c := range r.Checks {
		if c.Status != result.Passed {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// What a lab leaves out of the grading is told, and costs the points for what can be graded.
func TestRefusedObjectsAreTold(t *testing.T) {
	l, err := catalog(t).Lab("clusterip")
	if err != nil {
		t.Fatal(err)
	}
	sub, err := submission.ReadFS(l.Files, lab.SolutionDir, limits(l))
	if err != nil {
		t.Fatal(err)
	}
	sub.Refused = []result.Finding{{File: "extra.yaml", Document: 1, Field: "spec.externalIPs", Message: "leave it out"}}
	var r result.Report
	Examine(l, sub, 5, &r)
	if !slices.Equal(failedIn(r), []string{"readable"}) || r.Score != 0 || len(r.Findings) != 1 {
		t.Errorf("failed %q, score %g, findings %v", failedIn(r), r.Score, r.Findings)
	}
}

// Every lab's solution can be graded, and nothing strikes one about it.
func TestSolutionsAreComplete(t *testing.T) {
	for _, l := range catalog(t).Labs {
		r := examine(t, l, lab.SolutionDir)
		if failed := failedIn(r); len(failed) > 0 || r.Score != 5 || r.MaxScore != 5 || r.Status != result.Graded {
			t.Errorf("lab %s: score %g, %v", l.ID, r.Score, failed)
		}
		if len(r.Checks) < 2 {
			t.Errorf("lab %s asks for nothing", l.ID)
		}
	}
}

// What is missing is said, and costs the points. What only strikes one does not.
func TestExamine(t *testing.T) {
	const workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %N}\nspec: {selector: {matchLabels: {app: %N}}, template: {metadata: {labels: {app: %N}}, spec: {containers: [{name: c, image: 'labctl/%N:v1'}]}}}\n---\n"
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: %N}\nspec: {selector: {app: %N}, ports: [{port: 80}]}\n---\n"
	all := func(text string) string {
		var b strings.Builder
		for _, name := range []string{"frontend", "backend", "db"} {
			b.WriteString(strings.ReplaceAll(text, "%N", name))
		}
		return b.String()
	}
	complete := all(workload) + all(service)
	for name, tt := range map[string]struct {
		text   string
		failed []string
		score  float64
	}{
		"complete":         {complete, nil, 5},
		"another tag":      {strings.ReplaceAll(complete, "labctl/db:v1", "docker.io/labctl/db:v9"), nil, 5},
		"no Services":      {all(workload), []string{"service-db", "service-backend", "service-frontend"}, 0},
		"no workload":      {all(service), []string{"workload-frontend", "workload-backend", "workload-db", "selector-db", "selector-backend", "selector-frontend"}, 0},
		"a Job is none":    {strings.Replace(strings.ReplaceAll(complete, "apps/v1", "batch/v1"), "Deployment", "Job", 1), nil, -1},
		"selects nothing":  {strings.Replace(complete, "{selector: {app: db}", "{selector: {app: dv}", 1), []string{"selector-db"}, 5},
		"no selector":      {strings.Replace(complete, "{selector: {app: db}, ports", "{ports", 1), nil, 5},
		"of another type":  {strings.Replace(complete, "{selector: {app: db}", "{type: NodePort, selector: {app: db}", 1), []string{"type-db"}, 5},
		"as the lab asks":  {strings.Replace(complete, "{selector: {app: db}", "{type: ClusterIP, selector: {app: db}", 1), nil, 5},
		"a Pod is enough":  {strings.Replace(all(workload), "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: db}\nspec: {selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: 'labctl/db:v1'}]}}}", "apiVersion: v1\nkind: Pod\nmetadata: {name: db, labels: {app: db}}\nspec: {containers: [{name: c, image: 'labctl/db:v1'}]}", 1) + all(service), nil, 5},
		"half of a labels": {strings.Replace(complete, "{selector: {app: db}", "{selector: {app: db, tier: data}", 1), []string{"selector-db"}, 5},
	} {
		l, err := catalog(t).Lab("clusterip")
		if err != nil {
			t.Fatal(err)
		}
		root := put(t, map[string]string{"submission/all.yaml": tt.text})
		sub, err := submission.Read(root.Submission(), limits(l))
		if tt.score < 0 {
			if err == nil {
				t.Errorf("%s: was not refused", name)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var r result.Report
		Examine(l, sub, 5, &r)
		if failed := failedIn(r); !slices.Equal(failed, tt.failed) || r.Score != tt.score {
			t.Errorf("%s: score %g, failed %v, want %g, %v", name, r.Score, failed, tt.score, tt.failed)
		}
	}
}

// In a troubleshooting lab, what is wrong with the starter is for students to find.
func TestNothingIsGivenAway(t *testing.T) {
	for _, l := range catalog(t).Labs {
		if l.Category == "core" {
			continue
		}
		for _, c := range examine(t, l, lab.StarterDir).Checks {
			if c.Step == foundStep {
				t.Errorf("lab %s: %s: %s", l.ID, c.ID, c.Message)
			}
		}
	}
	l, err := catalog(t).Lab("nobody-answers")
	if err != nil {
		t.Fatal(err)
	}
	if failed := failedIn(examine(t, l, lab.StarterDir)); !slices.Equal(failed, []string{"answers"}) {
		t.Errorf("the starter lacks %v", failed)
	}
}

// What only a hidden check names is not named.
func TestHiddenChecksNameNothing(t *testing.T) {
	l, err := catalog(t).Lab("clusterip")
	if err != nil {
		t.Fatal(err)
	}
	hidden := *l
	hidden.Checks = slices.Clone(l.Checks)
	for i, c := range hidden.Checks {
		if c.Reach != nil && c.Reach.Service == "backend" {
			hidden.Checks[i].Visibility = "hidden"
		}
	}
	for _, c := range examine(t, &hidden, lab.StarterDir).Checks {
		if c.ID == "service-backend" {
			t.Errorf("%+v", c)
		}
	}
	if !slices.Contains(failedIn(examine(t, l, lab.StarterDir)), "service-backend") {
		t.Error("with the check shown, the Service is not asked for")
	}
}
