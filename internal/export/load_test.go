package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func text(t *testing.T, r result.Report, change func(*result.Report)) string {
	t.Helper()
	if change != nil {
		change(&r)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	untitled := missing("anna")
	untitled.Lab.Title, untitled.Lab.Version = "", ""
	write(t, dir, map[string]string{
		"reports/x.json": text(t, graded("zoe"), nil), "reports/y.json": text(t, untitled, nil), "reports/y.html": "no report",
		"reports/.write-1.json": "half a rep", "reports/earlier/x.json": text(t, graded("zoe"), nil), "batch.json": "{}",
	})
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Lab != graded("").Lab || len(c.Reports) != 2 || c.Reports[0].Student != "anna" || c.Reports[1].Student != "zoe" {
		t.Errorf("%+v", c)
	}
	c, err = Load(filepath.Join(dir, "reports", "x.json"))
	if err != nil || len(c.Reports) != 1 || c.Reports[0].Student != "zoe" {
		t.Errorf("%+v, %v", c, err)
	}
}

// The pairs that are alike lie beside the reports, for every later overview.
func TestPairsAreKept(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"reports/x.json": text(t, graded("zoe"), nil)})
	class := &Class{Pairs: []Pair{{A: "anna", B: "zoe", Similarity: 0.9, Shared: []string{"label tier: backnd"}}}}
	if err := class.SavePairs(dir); err != nil {
		t.Fatal(err)
	}
	c, err := Load(dir)
	if err != nil || !cmp.Equal(c.Pairs, class.Pairs) {
		t.Errorf("%+v, %v", c, err)
	}
	if err := (&Class{}).SavePairs(dir); err != nil {
		t.Fatal(err)
	}
	if c, err = Load(dir); err != nil || len(c.Pairs) != 0 {
		t.Errorf("those of before are still there: %+v, %v", c, err)
	}
	write(t, dir, map[string]string{"similar.json": "[{]"})
	if _, err := Load(dir); fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "similar.json lists no pairs") || fault.RemedyOf(err) == "" {
		t.Errorf("half a file: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	good := text(t, graded("anna"), nil)
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"no reports folder": {map[string]string{"batch.json": "{}"}, []string{"holds no reports"}},
		"an empty one":      {map[string]string{"reports/a.txt": "x"}, []string{"holds no reports"}},
		"no JSON":           {map[string]string{"reports/a.json": "100/100"}, []string{"a.json", "is no report"}},
		"half a report":     {map[string]string{"reports/a.json": good[:100]}, []string{"a.json", "is no report"}},
		"two in one file":   {map[string]string{"reports/a.json": good + good}, []string{"a.json", "something follows"}},
		"an unknown field":  {map[string]string{"reports/a.json": strings.Replace(good, `"student"`, `"bonus":1,"student"`, 1)}, []string{"a.json", "bonus"}},
		"another schema":    {map[string]string{"reports/a.json": text(t, graded("a"), func(r *result.Report) { r.Schema = "x/v2" })}, []string{"a.json", `schema is "x/v2"`}},
		"no student":        {map[string]string{"reports/a.json": text(t, graded(""), nil)}, []string{"a.json", "student is empty"}},
		"no lab":            {map[string]string{"reports/a.json": text(t, graded("a"), func(r *result.Report) { r.Lab.ID = "" })}, []string{"a.json", "lab.id is empty"}},
		"a status":          {map[string]string{"reports/a.json": text(t, graded("a"), func(r *result.Report) { r.Status = "great" })}, []string{"a.json", `status is "great"`}},
		"a verdict":         {map[string]string{"reports/a.json": text(t, graded("a"), func(r *result.Report) { r.Checks[2].Status = "meh" })}, []string{"a.json", `checks[2].status is "meh"`}},
		"a check twice":     {map[string]string{"reports/a.json": text(t, graded("a"), func(r *result.Report) { r.Checks[2].ID = "db-is-internal" })}, []string{"checks[2].id", "db-is-internal"}},
		"a check unnamed":   {map[string]string{"reports/a.json": text(t, graded("a"), func(r *result.Report) { r.Checks[2].ID = "" })}, []string{"checks[2].id is empty"}},
		"negative points":   {map[string]string{"reports/a.json": text(t, graded("a"), func(r *result.Report) { r.Checks[0].Points = -1 })}, []string{"checks[0] has -1"}},
		"a huge score":      {map[string]string{"reports/a.json": text(t, graded("a"), func(r *result.Report) { r.Score = 1e300 })}, []string{"score is 1e+300"}},
		"two labs":          {map[string]string{"reports/a.json": good, "reports/b.json": text(t, graded("b"), func(r *result.Report) { r.Lab.ID = "nodeport" })}, []string{"a.json is about lab clusterip", "b.json about lab nodeport"}},
		"two versions":      {map[string]string{"reports/a.json": good, "reports/b.json": text(t, graded("b"), func(r *result.Report) { r.Lab.Version = "3" })}, []string{"a.json was graded by version 2", "b.json by version 3"}},
		"a student twice":   {map[string]string{"reports/a.json": good, "reports/b.json": good}, []string{"a.json and ", "b.json are both about student anna"}},
		"a huge file":       {map[string]string{"reports/a.json": good + strings.Repeat(" ", maxReport)}, []string{"a.json is larger than"}},
	} {
		dir := t.TempDir()
		write(t, dir, tt.files)
		_, err := Load(dir)
		if err == nil || fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
			t.Errorf("%s: %v, remedy %q", name, err, fault.RemedyOf(err))
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", name, err, w)
			}
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); fault.KindOf(err) != fault.Input {
		t.Errorf("no folder: %v", err)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"elsewhere.json": good, "reports/a.json": good})
	if err := os.Symlink(filepath.Join(dir, "elsewhere.json"), filepath.Join(dir, "reports", "b.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "b.json is no file") {
		t.Errorf("a link: %v", err)
	}
}
