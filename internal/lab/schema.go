package lab

import (
	_ "embed" // lab.go, see source
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// SchemaID names the schema of a lab.yaml.
const SchemaID = "https://labctl.dev/schema/lab-v1.json"

// schemaDraft is the draft that yaml-language-server, which editors use, knows best.
const schemaDraft = "http://json-schema.org/draft-07/schema#"

// source is where the types are declared: their comments are the schema's descriptions,
// so that there is one text for both.
//
//go:embed lab.go
var source string

// Schema returns the JSON Schema of lab.yaml, made from the types and their comments.
// runs are the names of the checks written in Go. It tells an editor about fields, kinds
// of values and names that exist always; what refers to another part of a lab, such as a
// tier's name, only loading can check.
func Schema(runs []string) ([]byte, error) {
	root, err := jsonschema.ForType(reflect.TypeFor[Lab](), &jsonschema.ForOptions{
		IgnoreInvalidTypes: true, // Files is no field of lab.yaml
		TypeSchemas: map[reflect.Type]*jsonschema.Schema{
			reflect.TypeFor[Seconds](): {Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`, Examples: []any{"30s", "2m"}},
			reflect.TypeFor[Via]():     {Type: "string", Enum: texts(ways())},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make the schema of lab.yaml: %w", err)
	}
	comments, err := readComments(source)
	if err != nil {
		return nil, fmt.Errorf("read the comments on the types of lab.yaml: %w", err)
	}
	w := schemaWriter{comments: comments, rules: rules(runs)}
	w.describe(reflect.TypeFor[Lab](), root)
	if left := slices.Sorted(maps.Keys(w.rules)); len(left) > 0 {
		w.faults = append(w.faults, fmt.Sprintf("rules for fields that are not there: %s", strings.Join(left, ", ")))
	}
	if len(w.faults) > 0 {
		return nil, fmt.Errorf("make the schema of lab.yaml: %s", strings.Join(w.faults, "; "))
	}
	root.Schema, root.ID, root.Title = schemaDraft, SchemaID, "A lab of labctl (lab.yaml)"
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema of lab.yaml: %w", err)
	}
	return append(data, '\n'), nil
}

// schemaWriter completes what reflection alone knows with the comments and the rules.
type schemaWriter struct {
	comments comments
	rules    map[string]func(*jsonschema.Schema) // by "Type.field"; each is used up by its field
	faults   []string
}

// describe completes the schema of a struct, and of all that is in it.
func (w *schemaWriter) describe(t reflect.Type, s *jsonschema.Schema) {
	if s.Description == "" {
		s.Description = w.comments.types[t.Name()]
	}
	if rule, ok := w.rules[t.Name()]; ok {
		rule(s)
	}
	delete(w.rules, t.Name())
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		field := s.Properties[name]
		if field == nil {
			continue
		}
		w.field(t.Name()+"."+name, f, field)
	}
}

func (w *schemaWriter) field(key string, f reflect.StructField, s *jsonschema.Schema) {
	s.Type, s.Types = notNull(s.Type, s.Types), nil
	inner, at := f.Type, s
	for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
		if inner.Kind() == reflect.Slice {
			at = at.Items
		}
		inner = inner.Elem()
	}
	s.Description = w.comments.fields[strings.Split(key, ".")[0]+"."+f.Name]
	if s.Description == "" {
		s.Description = w.comments.types[inner.Name()]
	}
	if s.Description == "" {
		w.faults = append(w.faults, "no comment on "+key)
	}
	if rule, ok := w.rules[key]; ok {
		rule(s)
		delete(w.rules, key)
	}
	if inner.Kind() == reflect.Struct {
		w.describe(inner, at)
	}
}

// notNull leaves the one type beside null: a field without a value is left out.
func notNull(one string, several []string) string {
	for _, t := range several {
		if t != "null" {
			return t
		}
	}
	return one
}

func texts(names []string) []any {
	all := make([]any, len(names))
	for i, n := range names {
		all[i] = n
	}
	return all
}
