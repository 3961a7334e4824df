package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/internal/cli/lab/schema"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/ui"
)

const checkedIn = "../../../../docs/schema/lab-v1.json"

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what comes out to the file that is checked in")
	flag.Parse()
	os.Exit(m.Run())
}

func TestCheckedInSchemaIsUpToDate(t *testing.T) {
	var got bytes.Buffer
	if err := schema.Run(t.Context(), &schema.Options{Streams: ui.Streams{Out: &got}}); err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(checkedIn, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(checkedIn)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s is out of date; go test -update writes it (-want +got):\n%s", checkedIn, diff)
	}
}

// Every lab that labctl comes with is valid by the schema that its first line names.
func TestBuiltInLabsNameTheSchemaAndFollowIt(t *testing.T) {
	data, err := os.ReadFile(checkedIn)
	if err != nil {
		t.Fatal(err)
	}
	s := new(jsonschema.Schema)
	if err := json.Unmarshal(data, s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("../../../../labs/*/" + lab.FileName)
	if err != nil || len(paths) < 3 {
		t.Fatalf("find the labs: %v, %v", paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		if named, ok := strings.CutPrefix(first, "# yaml-language-server: $schema="); !ok {
			t.Errorf("%s: the first line names no schema", path)
		} else if !sameFile(filepath.Join(filepath.Dir(path), named), checkedIn) {
			t.Errorf("%s: the first line names %s, which is not docs/schema/lab-v1.json", path, named)
		}
		var value any
		if err := yaml.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(value); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

func TestOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lab-v1.json")
	var out, progress bytes.Buffer
	opts := &schema.Options{Streams: ui.Streams{Out: &out, Err: &progress}, Out: file}
	if err := schema.Run(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil || !json.Valid(data) || out.Len() > 0 {
		t.Errorf("file %q, %v; standard output %q", data, err, out.String())
	}
	opts.Out = filepath.Join(file, "below-a-file.json")
	if err := schema.Run(t.Context(), opts); fault.KindOf(err) != fault.Input {
		t.Errorf("a place that cannot be written to: %v", err)
	}
}
