package submission

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/internal/result"
)

// decode returns the objects of all manifests, or those that the kustomization makes.
func (r *reader) decode() []Object {
	if name, ok := r.tree.kustomization(); ok {
		return r.kustomize(name)
	}
	var objects []Object
	for _, name := range r.tree.names() {
		switch {
		case r.tree.isAnswers(name):
		case slices.Contains(answersNames(), path.Base(name)):
			r.refuse(r.tree.display(name), "lies in a folder; answers are read from the top of the submission only")
		case isKustomization(name):
			r.refuse(r.tree.display(name), "is a kustomization below the top of the submission; put it at the top, or leave it out")
		default:
			objects = append(objects, r.file(name)...)
		}
	}
	return objects
}

// file decodes the documents of one manifest.
func (r *reader) file(name string) []Object {
	var objects []Object
	docs := split(r.tree.files[name], r.limits.Objects)
	if len(docs) > r.limits.Objects {
		r.refuse(r.tree.display(name), "has more than %d documents", r.limits.Objects)
		return nil
	}
	for i, doc := range docs {
		at := result.Finding{File: r.tree.display(name), Document: i + 1}
		data, err := yaml.YAMLToJSONStrict(doc.text)
		if err != nil {
			at.Message = notYAML(err, doc.before)
			r.findings = append(r.findings, at)
			continue
		}
		if string(data) == "null" {
			continue // comments only
		}
		objects = append(objects, r.object(at, data)...)
	}
	return objects
}

// object decodes one document, or refuses it. A List becomes its items.
func (r *reader) object(at result.Finding, data []byte) []Object {
	refuse := func(format string, args ...any) []Object {
		at.Message = fmt.Sprintf(format, args...)
		r.findings = append(r.findings, at)
		return nil
	}
	var head struct {
		APIVersion any               `json:"apiVersion"`
		Kind       any               `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}
	if len(data) == 0 || data[0] != '{' {
		return refuse("is not a Kubernetes object: %.40s is no mapping with apiVersion and kind", data)
	}
	if err := json.Unmarshal(data, &head); err != nil && head.Kind == "List" {
		return refuse("is a List whose items are no list")
	}
	version, _ := head.APIVersion.(string)
	kind, _ := head.Kind.(string)
	switch {
	case version == "" && kind == "":
		return refuse("is not a Kubernetes object: it has no apiVersion and no kind")
	case version == "":
		return refuse("is not a Kubernetes object: it has no apiVersion")
	case kind == "":
		return refuse("is not a Kubernetes object: it has no kind")
	case version == "v1" && kind == "List":
		return r.items(at, head.Items)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(data); err != nil {
		return refuse("is not a Kubernetes object: %v", err)
	}
	return []Object{{File: at.File, Document: at.Document, Object: object}}
}

// items decodes a List's items. A List within a List is refused with them: nobody writes
// one, and it could be nested without end.
func (r *reader) items(at result.Finding, items []json.RawMessage) []Object {
	var objects []Object
	for i, item := range items {
		at := at
		at.Field = fmt.Sprintf("items[%d]", i)
		found := r.object(at, bytes.TrimSpace(item))
		objects = append(objects, found...)
		if len(objects) > r.limits.Objects {
			return objects
		}
	}
	return objects
}

// document is one YAML document of a file.
type document struct {
	text   []byte
	before int // lines of the file before the text
}

// split returns a file's YAML documents, without one that is only the comment before the
// first separator. It gives up after one more than the limit.
func split(data []byte, limit int) []document {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // some editors begin with a byte order mark
	var docs []document
	var doc document
	begun := false // by a separator, so that even an empty document counts
	lines := 0
	end := func() {
		if begun || !blank(doc.text) {
			docs = append(docs, doc)
		}
		doc = document{before: lines}
	}
	for line := range bytes.Lines(data) {
		switch mark := bytes.TrimRight(line, " \t\r\n"); {
		case bytes.Equal(mark, []byte("---")), bytes.HasPrefix(mark, []byte("--- ")):
			end()
			begun = true
			doc.text = append(doc.text, line[len("---"):]...)
		case bytes.Equal(mark, []byte("...")):
			end()
			begun = false
			doc.text = append(doc.text, '\n')
		default:
			doc.text = append(doc.text, line...)
		}
		if lines++; len(docs) > limit {
			return docs
		}
	}
	end()
	return docs
}

// blank tells whether a document holds nothing but comments and empty lines.
func blank(doc []byte) bool {
	for line := range bytes.Lines(doc) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// notYAML puts what the YAML parser says of a text into one line. Its line numbers become
// those of the file, which has so many lines before the text.
func notYAML(err error, before int) string {
	message := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "yaml: ", "unmarshal errors:"} {
		message = strings.TrimPrefix(message, prefix)
	}
	lines := strings.Split(strings.TrimSpace(message), "\n")
	lineNumber := regexp.MustCompile(`\bline [0-9]{1,8}\b`)
	for i := range lines {
		lines[i] = lineNumber.ReplaceAllStringFunc(strings.TrimSpace(lines[i]), func(found string) string {
			n, _ := strconv.Atoi(strings.TrimPrefix(found, "line ")) // digits, says the expression
			return fmt.Sprintf("line %d", n+before)
		})
	}
	message = "is not YAML: " + strings.Join(lines, "; ")
	if strings.Contains(message, "cannot start any token") {
		message += " (a tab? YAML is indented with spaces)"
	}
	return message
}
