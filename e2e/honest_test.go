//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/result"
)

// overSolution lays a folder of changes over the solution, in a folder of its own. OTHER in
// it stands for another student's namespace.
func overSolution(t *testing.T, changes, other string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range []string{solution, changes} {
		entries, err := os.ReadDir(from)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(from, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, e.Name()), []byte(strings.ReplaceAll(string(data), "OTHER", other)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func folders(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, filepath.Join(dir, e.Name()))
	}
	return all
}

// Whoever pretends gains nothing: the check that would be fooled fails, beside another
// student's application that works.
func TestForgeriesGainNothing(t *testing.T) {
	_, o := grade(t, 0, "clusterip", solution, "--keep")
	_, kept, _ := strings.Cut(o.stderr, "kept namespace ")
	other := strings.Fields(kept)[0]
	t.Cleanup(func() { kubectl(t, "delete", "namespace", other, "--wait=false") })
	forged := folders(t, "../fixtures/forged")
	if len(forged) < 8 {
		t.Fatalf("%d forgeries", len(forged))
	}
	for _, dir := range forged {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			head, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(head), "# Fails: ")
			fails, _, _ := strings.Cut(rest, "\n")
			work := overSolution(t, dir, other)
			if fails == "rejected" {
				if r, _ := grade(t, 2, "clusterip", work); r.Status != result.Rejected {
					t.Errorf("status %s", r.Status)
				}
				return
			}
			r, _ := grade(t, 1, "clusterip", work)
			if c := check(t, r, fails); r.Status != result.Graded || c.Status != result.Failed {
				t.Errorf("status %s, check %s %s: %s", r.Status, fails, c.Status, told(c))
			}
		})
	}
}

// How a correct submission is written costs no marks.
func TestOddStylesGetFullMarks(t *testing.T) {
	odd := folders(t, "../fixtures/odd")
	if len(odd) < 10 {
		t.Fatalf("%d styles", len(odd))
	}
	for _, dir := range odd {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			began := time.Now()
			grade(t, 0, "clusterip", dir)
			t.Logf("full marks after %s", time.Since(began).Round(time.Second))
		})
	}
}
