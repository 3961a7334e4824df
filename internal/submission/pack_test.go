package submission_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"labctl.dev/labctl/internal/submission"
)

const ownReport = `{"schema": "labctl.dev/result/v1", "student": "anna"}`

func TestPack(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n", "notes.txt": "x", ".labctl": "{}", "b.yaml.bak-1": "old",
		"app/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "answers.yaml": "q: a\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := submission.Pack(dir, submission.Limits{}, []byte(ownReport))
	if err != nil || !slices.Equal(p.Files, []string{"answers.yaml", "app/a.yaml", "b.yaml", "report.json"}) {
		t.Fatalf("%+v, %v", p, err)
	}
	later := os.Chtimes(filepath.Join(dir, "b.yaml"), time.Unix(1, 0), time.Unix(1, 0))
	again, err := submission.Pack(dir, submission.Limits{}, []byte(ownReport))
	if later != nil || err != nil || !bytes.Equal(p.Archive, again.Archive) {
		t.Errorf("another time, other bytes: %v, %v", later, err)
	}
	name := filepath.Join(t.TempDir(), "anna.tar.gz")
	if err := os.WriteFile(name, p.Archive, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := submission.Read(name, submission.Limits{})
	if err != nil || read.Digest != p.Digest || len(read.Objects) != 2 || read.Answers["q"][0] != "a" {
		t.Errorf("read back: %+v, %v", read, err)
	}
}

// A file of the report's name that is no report is a manifest as all others.
func TestReportIsNoManifest(t *testing.T) {
	for text, want := range map[string]bool{ownReport: true, `{"replicas": 2}`: false} {
		dir := t.TempDir()
		for name, text := range map[string]string{"report.json": text, "b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := submission.Read(dir, submission.Limits{}); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
