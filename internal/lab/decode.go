package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decode fills the lab from YAML and reports whatever does not fit the types: unknown
// and repeated fields, and values of another kind. It goes on after each problem, so
// that an author sees all of them at once. It returns false where there is no lab to
// look at any further.
func (p *problems) decode(data []byte, into *Lab) bool {
	p.lines[""] = 1
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		p.at("", "is empty")
		return false
	} else if err != nil {
		p.syntax(err)
		return false
	}
	if err := decoder.Decode(new(yaml.Node)); err == nil {
		p.at("", "holds more than one YAML document; a lab is a single one")
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		p.at("", "must be a mapping of fields such as id, title and checks")
		return false
	}
	p.structure(root, reflect.ValueOf(into).Elem(), "")
	return true
}

// syntax reports what the YAML parser says, on the line that it names.
func (p *problems) syntax(err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			p.lines[""], message = n, text
		}
	}
	p.at("", "is not YAML: %s", message)
}

// value decodes one node into v, which is the field of that name.
func (p *problems) value(n *yaml.Node, v reflect.Value, field string) {
	p.lines[field] = n.Line
	if n.Kind == yaml.AliasNode {
		p.at(field, "is an alias (*%s); write the value out", n.Value)
		return
	}
	if n.Tag == "!!null" {
		return // as if the field were absent: validation says whether it may be
	}
	if _, ok := v.Interface().(Seconds); ok {
		p.seconds(n, v, field)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		p.value(n, v.Elem(), field)
	case reflect.Struct:
		p.structure(n, v, field)
	case reflect.Slice:
		p.sequence(n, v, field)
	case reflect.Map:
		p.table(n, v, field)
	default:
		p.scalar(n, v, field)
	}
}

// structure decodes a mapping into a struct, by the names in the struct's json tags.
func (p *problems) structure(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.MappingNode {
		p.at(field, "must be a mapping, not %s", kind(n))
		return
	}
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name != "-" {
			fields[name] = i
			names = append(names, name)
		}
	}
	p.entries(n, field, func(name, at string, value *yaml.Node) {
		if i, ok := fields[name]; ok {
			p.value(value, v.Field(i), at)
			return
		}
		p.at(at, "unknown field%s", suggest(name, names))
	})
}

// entries calls do for each entry of a mapping, and reports repeated and odd keys.
func (p *problems) entries(n *yaml.Node, field string, do func(name, at string, value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := key.Value
		if field != "" {
			at = field + "." + key.Value
		}
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			p.lines[at] = key.Line
			p.at(at, "is not a plain key")
			continue
		}
		if first, ok := seen[key.Value]; ok {
			p.lines[at] = key.Line
			p.at(at, "is given twice; first on line %d", first)
			continue
		}
		seen[key.Value] = key.Line
		p.lines[at] = key.Line
		do(key.Value, at, value)
		p.lines[at] = key.Line // the key is where an author looks, not the start of its value
	}
}

// sequence decodes a sequence into a slice.
func (p *problems) sequence(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.SequenceNode {
		p.at(field, "must be a list, not %s", kind(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		p.value(item, v.Index(i), fmt.Sprintf("%s[%d]", field, i))
	}
}

// table decodes a mapping into a map of strings.
func (p *problems) table(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.MappingNode {
		p.at(field, "must be a mapping, not %s", kind(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	p.entries(n, field, func(name, at string, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		p.value(value, item, at)
		v.SetMapIndex(reflect.ValueOf(name), item)
	})
}

// scalar decodes a text, a number or a truth value.
func (p *problems) scalar(n *yaml.Node, v reflect.Value, field string) {
	want := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Int: "a whole number", reflect.Float64: "a number", reflect.Bool: "true or false",
	}[v.Kind()]
	// Texts are often written bare; a table's values (port: 80) are texts, too.
	if n.Kind == yaml.ScalarNode && v.Kind() == reflect.String {
		v.SetString(n.Value)
		return
	}
	if n.Kind != yaml.ScalarNode || n.Decode(v.Addr().Interface()) != nil {
		p.at(field, "must be %s, not %s", want, kind(n))
	}
}

// seconds decodes a duration.
func (p *problems) seconds(n *yaml.Node, v reflect.Value, field string) {
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		p.at(field, `must be a duration such as "30s" or "2m", not %s`, kind(n))
		return
	}
	v.SetInt(int64(d))
}

// kind describes a node to the author of the file.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return strconv.Quote(n.Value)
	}
}
