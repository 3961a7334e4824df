package lab_test

import (
	"os"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/labs"
)

const readme = "# Title\n\nWhy.\n\n## Before you start\n\n```sh\n## Step 1: no heading\n```\n\n" +
	"## Step 1: First\n\nDo `this`.\n\n````\n```\n## Step 9: quoted\n````\n\n" +
	"## Step 2: Second\n\nDo that.\n\n## When it does not work\n\nLook.\n"

func TestParseInstructions(t *testing.T) {
	i := lab.ParseInstructions(readme)
	if i.All() != readme {
		t.Errorf("together again: %q", i.All())
	}
	if len(i.Steps) != 2 {
		t.Fatalf("steps: %+v", i.Steps)
	}
	for n, title := range []string{"First", "Second"} {
		if s := i.Steps[n]; s.Number != n+1 || s.Title != title || !strings.HasPrefix(s.Text, "## Step ") {
			t.Errorf("step %d: %+v", n+1, s)
		}
	}
	if !strings.HasSuffix(i.Intro, "no heading\n```\n\n") || !strings.Contains(i.Steps[0].Text, "quoted") || !strings.HasPrefix(i.After, "## When") {
		t.Errorf("cut at the wrong places: %+v", i)
	}
	if i := lab.ParseInstructions("no heading at all"); i.Intro != "no heading at all" || len(i.Steps) != 0 || i.After != "" {
		t.Errorf("without headings: %+v", i)
	}
}

func TestInstructionsMustMatchSteps(t *testing.T) {
	data, err := os.ReadFile("testdata/valid-minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ readme, want string }{
		"none":            {"# Title\n", "labs/x/README.md: has no heading for step 1; write: ## Step 1: The only step"},
		"another title":   {"# Title\n\n## Step 1: The one step\n", `labs/x/README.md:3: says "Step 1: The one step" where lab.yaml has step 1, "only"; write: ## Step 1: The only step`},
		"another number":  {"## Step 2: The only step\n", `labs/x/README.md:1: says "Step 2: The only step" where lab.yaml has step 1`},
		"one too many":    {"## Step 1: The only step\n## Step 2: More\n", `labs/x/README.md:2: says "Step 2: More", which is no step of lab.yaml`},
		"in a code block": {"```\n## Step 1: The only step\n```\n", "has no heading for step 1"},
		"as it should be": {"# Title\n\n## Step 1: The only step\n", ""},
	} {
		files := folder(string(data))
		files["README.md"].Data = []byte(tt.readme)
		_, err := lab.Load(files, "labs/x", runs())
		if got := text(err); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// Each built-in lab's text is led by the same steps as its checks.
func TestBuiltInInstructions(t *testing.T) {
	c, err := lab.NewCatalog(labs.Files(), nil, runs())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range c.Labs {
		i, err := l.Instructions()
		if err != nil || len(i.Steps) != len(l.Steps) || i.Intro == "" {
			t.Errorf("lab %s: %d of %d steps, %v", l.ID, len(i.Steps), len(l.Steps), err)
		}
	}
}

func TestWhatStudentsSee(t *testing.T) {
	l := &lab.Lab{
		ID: "x", Steps: []lab.Step{{ID: "first", Title: "First"}, {ID: "second", Title: "Second"}},
		Checks: []lab.Check{
			{ID: "open", Step: "first", Points: 60},
			{ID: "closed", Step: "first", Points: 30, Visibility: "hidden"},
			{ID: "late", Step: "second", Points: 10},
		},
	}
	if len(l.Visible()) != 2 || l.VisiblePoints() != 70 || len(l.StepChecks("first")) != 1 {
		t.Errorf("%d checks, %v points, %d of the first step", len(l.Visible()), l.VisiblePoints(), len(l.StepChecks("first")))
	}
	if c, err := l.FindCheck("late"); err != nil || c.Points != 10 {
		t.Errorf("a check by its id: %v, %v", c, err)
	}
	for id, want := range map[string]string{"opn": `did you mean "open"?`, "closed": `no check "closed"`} {
		_, err := l.FindCheck(id)
		if !strings.Contains(text(err), want) || fault.KindOf(err) != fault.Input || strings.Contains(text(err), `mean "closed"`) {
			t.Errorf("check %s: %v", id, err)
		}
	}
	for name, number := range map[string]int{"first": 1, "2": 2} {
		if s, n, err := l.FindStep(name); err != nil || n != number || s.ID != l.Steps[number-1].ID {
			t.Errorf("step %s: %v, %d, %v", name, s, n, err)
		}
	}
	for _, name := range []string{"0", "3", "frst", "-1"} {
		if _, _, err := l.FindStep(name); err == nil || fault.KindOf(err) != fault.Input {
			t.Errorf("step %s was found", name)
		}
	}
}
