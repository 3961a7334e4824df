package lab_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/labs"
)

func runs() []string {
	return []string{"data-survives-restart", "rolling-update", "round-trip", "survives-pod-loss", "tiers-on-different-nodes"}
}

// folder puts a lab.yaml into a folder that has all that a lab needs beside it.
func folder(data string) fstest.MapFS {
	manifest := &fstest.MapFile{Data: []byte("kind: Service\n")}
	files := fstest.MapFS{
		"lab.yaml":             {Data: []byte(data)},
		"README.md":            {Data: []byte("# Read me\n")},
		"EXPLANATION.md":       {Data: []byte("Because.\n")},
		"starter/app.yaml":     manifest,
		"solution/app.yaml":    manifest,
		"solution/another.yml": manifest,
	}
	before, checks, _ := strings.Cut(data, "\nchecks:")
	_, steps, _ := strings.Cut(before, "\nsteps:")
	for i, m := range regexp.MustCompile(`\btitle: ([^,}\n]+)`).FindAllStringSubmatch(steps, -1) {
		files["README.md"].Data = fmt.Appendf(files["README.md"].Data, "\n## Step %d: %s\n", i+1, m[1])
	}
	for _, m := range regexp.MustCompile(`\bid: ([\w-]+)`).FindAllStringSubmatch(checks, -1) {
		files["wrong/"+m[1]+"/app.json"] = manifest
	}
	return files
}

func TestValid(t *testing.T) {
	paths, err := filepath.Glob("testdata/valid-*.yaml")
	if err != nil || len(paths) < 2 {
		t.Fatalf("find test data: %v, %v", paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			l, err := lab.Load(folder(string(data)), "labs/x", runs())
			if err != nil {
				t.Fatal(err)
			}
			if l.Points() != 100 || l.Path != "labs/x/lab.yaml" {
				t.Errorf("points %g, path %s", l.Points(), l.Path)
			}
		})
	}
}

func TestEveryFieldIsDecoded(t *testing.T) {
	data, err := os.ReadFile("testdata/valid-every-field.yaml")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Load(folder(string(data)), "labs/x", runs())
	if err != nil {
		t.Fatal(err)
	}
	if got := []any{l.ID, l.Version, l.Summary, l.Minutes, time.Duration(l.Ready)}; !cmp.Equal(got, []any{"every-field", "2.1-beta", "Text over two lines.", 90, 2 * time.Minute}) {
		t.Errorf("head: %v", got)
	}
	inside, _ := l.Check("inside")
	want := lab.Check{
		ID: "inside", Title: "Inside", Step: "first", Points: 12.5, Timeout: lab.Seconds(10 * time.Second), Hints: []string{"Gentle.", "Plain."},
		Reach: &lab.Reach{Service: "store", Tier: "store", From: "web", Via: []lab.Via{lab.ViaName, lab.ViaClusterIP}, Port: 5432, Type: "ClusterIP", Pods: 2},
	}
	if diff := cmp.Diff(want, inside); diff != "" {
		t.Errorf("check inside (-want +got):\n%s", diff)
	}
	back, _ := l.Check("there-and-back")
	if diff := cmp.Diff(&lab.Run{Name: "round-trip", With: map[string]string{"via": "nodePort", "port": "80"}}, back.Run); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if tier, ok := l.Tier("store"); !ok || tier.Port != 5432 {
		t.Errorf("tier store: %v, %v", tier, ok)
	}
}

func TestInvalid(t *testing.T) {
	paths, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(paths) < 10 {
		t.Fatalf("find test data: %v, %v", paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = lab.Load(folder(string(data)), "labs/x", runs())
			var problems *lab.Error
			if !errors.As(err, &problems) || fault.KindOf(err) != fault.Input {
				t.Fatalf("want problems of kind Input, got %v", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

func TestFolder(t *testing.T) {
	data, err := os.ReadFile("testdata/valid-minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(fstest.MapFS)
		want   string
	}{
		"complete":          {func(fstest.MapFS) {}, ""},
		"no lab.yaml":       {func(f fstest.MapFS) { delete(f, "lab.yaml") }, "labs/x/lab.yaml: is missing"},
		"no README":         {func(f fstest.MapFS) { delete(f, "README.md") }, "labs/x/README.md: is missing; it holds the lab's instructions"},
		"empty README":      {func(f fstest.MapFS) { f["README.md"] = &fstest.MapFile{} }, "labs/x/README.md: is empty; it holds the lab's instructions"},
		"no explanation":    {func(f fstest.MapFS) { delete(f, "EXPLANATION.md") }, "labs/x/EXPLANATION.md: is missing; it holds what students read when they have solved the lab"},
		"empty explanation": {func(f fstest.MapFS) { f["EXPLANATION.md"] = &fstest.MapFile{Data: []byte(" \n")} }, "labs/x/EXPLANATION.md: is empty; it holds what students read when they have solved the lab"},
		"answers alone": {func(f fstest.MapFS) {
			delete(f, "wrong/answers/app.json")
			f["wrong/answers/answers.yaml"] = &fstest.MapFile{}
		}, "labs/x/wrong/answers: has answers and no manifest; it holds a submission that check answers fails"},
		"no starter": {func(f fstest.MapFS) { delete(f, "starter/app.yaml") }, "labs/x/starter: is missing; it holds what the student begins with"},
		"empty solution": {func(f fstest.MapFS) {
			delete(f, "solution/app.yaml")
			delete(f, "solution/another.yml")
			f["solution/notes.txt"] = &fstest.MapFile{}
		}, "labs/x/solution: has no manifest; it holds what scores full marks"},
		"no wrong":         {func(f fstest.MapFS) { delete(f, "wrong/answers/app.json") }, "labs/x/wrong/answers: is missing; it holds a submission that check answers fails"},
		"wrong for nobody": {func(f fstest.MapFS) { f["wrong/answrs/app.yaml"] = &fstest.MapFile{} }, `labs/x/wrong/answrs: names no check of this lab; did you mean "answers"?`},
	} {
		t.Run(name, func(t *testing.T) {
			files := folder(string(data))
			c.change(files)
			_, err := lab.Load(files, "labs/x", runs())
			if got := text(err); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// A lab of questions alone needs no manifest, and a question's wrong submission never does.
func TestFolderOfQuestions(t *testing.T) {
	for _, name := range []string{"valid-answers-only.yaml", "valid-every-field.yaml"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files := folder(string(data))
		answers := &fstest.MapFile{Data: []byte("which: x\n")}
		if name == "valid-answers-only.yaml" {
			for path := range files {
				if strings.HasPrefix(path, "starter/") || strings.HasPrefix(path, "solution/") {
					delete(files, path)
				}
			}
			files["starter/answers.yaml"], files["solution/answers.yml"] = answers, answers
		}
		delete(files, "wrong/which/app.json")
		files["wrong/which/answers.yaml"] = answers
		l, err := lab.Load(files, "labs/x", runs())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := l.AnswersSuffice(), name == "valid-answers-only.yaml"; got != want {
			t.Errorf("%s: answers suffice: %v, want %v", name, got, want)
		}
	}
}

func TestQuestions(t *testing.T) {
	data, err := os.ReadFile("testdata/valid-every-field.yaml")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Load(folder(string(data)), "labs/x", runs())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Questions(), []string{"which", "hops", "prophecy", "secret"}; !cmp.Equal(got, want) {
		t.Errorf("questions %v, want %v", got, want)
	}
	if c, _ := l.Check("secret"); !c.Hidden() {
		t.Error("the hidden check is not")
	}
	balanced := &lab.Lab{Checks: []lab.Check{{Question: &lab.Question{Predict: &lab.Predict{Via: lab.ViaLoadBalancer}}}}}
	if !balanced.NeedsLoadBalancer() {
		t.Error("a prediction about a load balancer needs none")
	}
}

func TestLoadDir(t *testing.T) {
	if _, err := lab.LoadDir("testdata/nowhere", runs()); fault.KindOf(err) != fault.Input {
		t.Errorf("a folder that is not there: %v", err)
	}
	l, err := lab.LoadDir("../../labs/10-clusterip", runs())
	if err != nil || l.ID != "clusterip" {
		t.Errorf("got %v, %v", l, err)
	}
}

func TestCatalog(t *testing.T) {
	c, err := lab.NewCatalog(labs.Files(), nil, runs())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, l := range c.Labs {
		ids = append(ids, l.ID)
		for _, name := range []string{"README.md", "EXPLANATION.md"} {
			if _, err := fs.Stat(l.Files, name); err != nil {
				t.Errorf("lab %s: %v", l.ID, err)
			}
		}
	}
	if len(ids) < 5 || !cmp.Equal(ids[:5], []string{"clusterip", "nodeport", "loadbalancer", "three-tier", "which-type"}) {
		t.Errorf("labs in order: %v", ids)
	}
	_, err = c.Lab("loadbalancr")
	if want := `did you mean "loadbalancer"?`; !strings.Contains(text(err), want) || fault.KindOf(err) != fault.Input {
		t.Errorf("an unknown lab: %v", err)
	}
}

func TestCatalogWithOwnLabs(t *testing.T) {
	data, err := os.ReadFile("testdata/valid-minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write := func(dir, yaml string) string {
		if err := os.CopyFS(dir, folder(yaml)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	own := t.TempDir()
	write(filepath.Join(own, "90-tiny"), string(data))
	one := write(t.TempDir(), strings.Replace(string(data), "id: tiny", "id: clusterip", 1))
	broken := write(t.TempDir(), strings.Replace(string(data), "points: 100", "points: 10", 1))

	c, err := lab.NewCatalog(labs.Files(), []string{own, one}, runs())
	if err != nil {
		t.Fatal(err)
	}
	if l, err := c.Lab("tiny"); err != nil || !strings.HasSuffix(l.Path, "90-tiny/lab.yaml") {
		t.Errorf("a folder of labs: %v, %v", l, err)
	}
	if l, err := c.Lab("clusterip"); err != nil || l.Title != "The smallest lab" || l != c.Labs[0] {
		t.Errorf("a lab in the place of a built-in one: %v, %v", l, err)
	}
	// A folder of labs that only replaces built-in ones is no empty folder.
	around := t.TempDir()
	write(filepath.Join(around, "mine"), strings.Replace(string(data), "id: tiny", "id: clusterip", 1))
	if c, err := lab.NewCatalog(labs.Files(), []string{around}, runs()); err != nil || c.Labs[0].Title != "The smallest lab" {
		t.Errorf("a folder with a lab in the place of a built-in one: %v", err)
	}
	for name, dirs := range map[string][]string{
		"is the id of":    {own, own},
		"sum to 10":       {broken},
		"no lab.yaml":     {t.TempDir()},
		"is not a folder": {filepath.Join(own, "nowhere")},
	} {
		if _, err := lab.NewCatalog(labs.Files(), dirs, runs()); !strings.Contains(text(err), name) || fault.KindOf(err) != fault.Input {
			t.Errorf("want %q, got %v", name, err)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if update := flag.Lookup("update"); update.Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what comes out to the golden files")
	flag.Parse()
	os.Exit(m.Run())
}
