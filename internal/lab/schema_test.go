package lab_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/internal/lab"
)

func schema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	data, err := lab.Schema(runs())
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
	return resolved
}

// validate holds a lab.yaml against the schema; known is false where it is no YAML at all.
func validate(t *testing.T, s *jsonschema.Resolved, path string) (known bool, err error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		return false, nil
	}
	return true, s.Validate(value)
}

func TestSchemaAcceptsEveryValidLab(t *testing.T) {
	s := schema(t)
	paths, err := filepath.Glob("testdata/valid-*.yaml")
	if err != nil || len(paths) < 2 {
		t.Fatalf("find test data: %v, %v", paths, err)
	}
	for _, path := range paths {
		if known, err := validate(t, s, path); err != nil || !known {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// What is wrong with a lab's structure the schema refuses; what only a look at the whole
// lab shows is left to loading. The list of those is complete, so that it does not grow unseen.
func TestSchemaRefusesInvalidLabs(t *testing.T) {
	s := schema(t)
	onlyLoading := []string{"invalid-no-tiers.yaml", "invalid-points-sum.yaml", "invalid-two-documents.yaml"}
	paths, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(paths) < 10 {
		t.Fatalf("find test data: %v, %v", paths, err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		known, err := validate(t, s, path)
		switch {
		case !known: // nothing to hold against a schema
		case err == nil && !slices.Contains(onlyLoading, name):
			t.Errorf("%s: the schema accepts it", name)
		case err != nil && slices.Contains(onlyLoading, name):
			t.Errorf("%s: the schema refuses it: %v", name, err)
		}
	}
}

// One mistake at a time, each on top of a lab that is valid.
func TestSchemaRefusesEachMistake(t *testing.T) {
	s := schema(t)
	data, err := os.ReadFile("testdata/valid-every-field.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new string }{
		"unknown category":  {"category: ", "category: un"},
		"another version":   {"labctl.dev/lab/v1", "labctl.dev/lab/v2"},
		"upper-case id":     {"id: every-field", "id: Every"},
		"unknown field":     {"minutes: 90", "minutes: 90\ncolour: green"},
		"missing field":     {"minutes: 90", ""},
		"no number":         {"minutes: 90", "minutes: long"},
		"bad duration":      {"ready: 2m", "ready: 2 minutes"},
		"no port":           {"port: 5432\n    protocol", "port: 70000\n    protocol"},
		"unknown protocol":  {"protocol: postgresql", "protocol: mysql"},
		"no points":         {"points: 25", "points: 0"},
		"one hint":          {"hints: [Gentle., Plain., Plainer.]", "hints: [Gentle.]"},
		"empty hint":        {"hints: [Gentle., Plain., Plainer.]", `hints: [Gentle., " "]`},
		"unknown way":       {"via: [nodePort]", "via: [nodeport]"},
		"unknown type":      {"type: NodePort", "type: Nodeport"},
		"node port too low": {"nodePort: 32767", "nodePort: 80"},
		"two bodies":        {"internal: {tiers: [store]}", "internal: {tiers: [store]}\n    run: {name: round-trip}"},
		"no body":           {"internal: {tiers: [store]}", ""},
		"unknown check":     {"name: round-trip", "name: round-tripp"},
		"choice, no answer": {"      answer: NodePort\n", ""},
		"answer, no choice": {"order: [client, node, pod]", "order: [client, node, pod], answer: pod"},
		"short order":       {"order: [client, node, pod]", "order: [client, node]"},
		"two questions":     {"order: [client, node, pod]", "order: [client, node, pod], choose: [a, b], answer: a"},
		"half visible":      {"visibility: hidden", "visibility: half"},
		"name of no pods":   {"to: pods, tier: store", "to: pods"},
		"alias of nothing":  {"to: alias, target: store", "to: alias"},
		"pods of a service": {"to: service}", "to: service, tier: store}"},
		"relative path":     {"path: /readyz", "path: readyz"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(string(data), c.old, c.new, 1)
			if changed == string(data) {
				t.Fatalf("%q is not in the test data", c.old)
			}
			var value any
			if err := yaml.Unmarshal([]byte(changed), &value); err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(value); err == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}
