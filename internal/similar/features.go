package similar

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The bounds of one submission, far above what anybody writes.
const (
	maxFeatures = 5000
	maxValue    = 300 // bytes of a value; the rest of it counts as a digest
	maxComments = 500
	maxPath     = 600 // bytes; what lies deeper is no Kubernetes object's
)

// named stands for every name that a student may choose.
const named = "‹name›"

// feature is one thing that submissions may share: a value at a path, a line of a text, the
// values of one mapping together, or a comment.
type feature struct {
	text  string   // says it in words, and is equal where it is
	place string   // where it is: what is in one place says little more than once
	parts []string // the texts that it is made of, where it is a combination
}

// extractor gathers the features of one submission. Order, names and white space are lost.
type extractor struct {
	names    map[string]bool // of objects, as the student chose them
	found    map[string]feature
	skeleton []string // of the combination that is being made
}

// features returns the features of a submission by their text.
func features(s Submission) map[string]feature {
	x := &extractor{names: map[string]bool{}, found: map[string]feature{}}
	for _, o := range s.Objects {
		if o != nil {
			x.names[o.GetName()] = true
		}
	}
	for _, o := range s.Objects {
		if o != nil {
			x.object(o)
		}
	}
	for i, c := range s.Comments {
		if c = normalComment(c); c != "" && i < maxComments {
			x.add(feature{text: "comment: " + c, place: "comment: " + c})
		}
	}
	return x.found
}

func (x *extractor) add(f feature) {
	if len(x.found) < maxFeatures {
		x.found[f.text] = f
	}
}

// CommentLines returns the comments of a YAML file. One behind a value that is in quotes is left
// out, as it may be a part of it.
func CommentLines(file []byte) []string {
	var all []string
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSpace(line)
		if _, comment, found := strings.Cut(" "+line, " #"); found && (line[0] == '#' || !strings.ContainsAny(line, `"'`)) {
			if strings.Trim(comment, "# ") != "" {
				all = append(all, "#"+comment)
			}
		}
	}
	return all
}

// normalComment is a comment without its marks and white space. What is too short for anything
// to be said with it is none.
func normalComment(c string) string {
	c = strings.Join(strings.Fields(strings.ToLower(strings.ToValidUTF8(strings.TrimLeft(c, "# \t"), "�"))), " ")
	letters := 0
	for _, r := range c {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	if letters < 8 {
		return ""
	}
	return bounded(c)
}

func (x *extractor) object(o *unstructured.Unstructured) {
	kind := o.GetKind()
	x.add(feature{text: kind, place: kind})
	for _, key := range sortedKeys(o.Object) {
		switch key {
		case "apiVersion", "kind", "status":
		default:
			x.value(kind, key, key, o.Object[key])
		}
	}
}

// value takes what is at a path. Lists have no order, so their items have the same path.
func (x *extractor) value(kind, path, key string, v any) {
	if len(path) > maxPath {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		x.mapping(kind, path, key, v)
	case []any:
		for _, item := range v {
			x.value(kind, path+"[]", key, item)
		}
	case string:
		x.text(kind, path, key, v)
	default:
		x.leaf(kind, path, fmt.Sprint(v))
	}
}

// mapping takes the values of a mapping, and all plain ones together.
func (x *extractor) mapping(kind, path, key string, m map[string]any) {
	outer := x.skeleton
	x.skeleton = nil
	for _, k := range sortedKeys(m) {
		if isLabels(key) {
			if _, plain := m[k].(string); plain { // labels only have to fit each other
				x.leaf(kind, path+"."+k, named)
				continue
			}
		}
		x.value(kind, path+"."+k, k, m[k])
	}
	parts := x.skeleton
	x.skeleton = outer
	if len(parts) < 2 {
		return
	}
	short := make([]string, len(parts))
	for i, p := range parts {
		short[i] = strings.TrimPrefix(p, kind+": "+path+".")
	}
	x.add(feature{text: bounded(kind + ": " + path + " with " + strings.Join(short, " and ")), place: kind + ": " + path, parts: parts})
}

// isLabels tells whether the values below a key are labels.
func isLabels(key string) bool { return key == "labels" || key == "matchLabels" || key == "selector" }

func (x *extractor) leaf(kind, path, value string) {
	text := kind + ": " + path + " = " + value
	x.skeleton = append(x.skeleton, text)
	parent := path
	if i := strings.LastIndexAny(path, ".]"); i > 0 {
		parent = path[:i]
	}
	x.add(feature{text: text, place: kind + ": " + parent})
}

// text takes a string: a name, a line, or a text of several lines.
func (x *extractor) text(kind, path, key, v string) {
	v = strings.ToValidUTF8(v, "�")
	switch {
	case isName(path, key):
		x.leaf(kind, path, named)
	case key == "image":
		x.leaf(kind, path, bounded(strings.TrimSpace(v)))
	case strings.Contains(strings.TrimSpace(v), "\n"):
		for line := range strings.Lines(v) {
			if line = strings.Join(strings.Fields(line), " "); len(line) > 2 {
				text := kind + ": " + path + " has the line " + bounded(x.unnamed(line))
				x.add(feature{text: text, place: text})
			}
		}
	default:
		x.leaf(kind, path, bounded(x.unnamed(strings.Join(strings.Fields(v), " "))))
	}
}

// isName tells whether a string is a name that the student chose, or refers to one.
func isName(path, key string) bool {
	switch key {
	case "name", "generateName":
		// The name of a variable of the environment means something to the program.
		return !strings.HasSuffix(path, "env[].name")
	case "claimName", "secretName", "serviceName", "serviceAccountName":
		return true
	case "port", "targetPort": // which is no number then
		return true
	default:
		return false
	}
}

// unnamed replaces the names of the student's objects in a string, as in "http://backend:80".
func (x *extractor) unnamed(s string) string {
	var b strings.Builder
	for s != "" {
		n := strings.IndexFunc(s, func(r rune) bool { return !inName(r) })
		if n < 0 {
			n = len(s)
		}
		word := s[:n]
		if x.names[word] && strings.ContainsFunc(word, unicode.IsLetter) {
			word = named
		}
		b.WriteString(word)
		if s = s[n:]; s == "" {
			break
		}
		m := strings.IndexFunc(s, inName)
		if m < 0 {
			m = len(s)
		}
		b.WriteString(s[:m])
		s = s[m:]
	}
	return b.String()
}

func inName(r rune) bool { return r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// bounded shortens a value, and keeps it different from all others.
func bounded(s string) string {
	if len(s) <= maxValue {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:maxValue], "") + "… (" + hex.EncodeToString(sum[:6]) + ")"
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
