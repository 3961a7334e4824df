package lab

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"unicode"
	"unicode/utf8"
)

// comments are the texts on types, by name, and on fields, by "Type.Field".
type comments struct {
	types, fields map[string]string
}

// readComments reads the comments above and behind the declarations of a Go file.
func readComments(source string) (comments, error) {
	c := comments{types: map[string]string{}, fields: map[string]string{}}
	file, err := parser.ParseFile(token.NewFileSet(), "lab.go", source, parser.ParseComments)
	if err != nil {
		return c, err
	}
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.TYPE {
			continue
		}
		for _, spec := range group.Specs {
			c.read(group, spec.(*ast.TypeSpec))
		}
	}
	return c, nil
}

func (c *comments) read(group *ast.GenDecl, t *ast.TypeSpec) {
	name := t.Name.Name
	c.types[name] = sentence(group.Doc, t.Doc)
	fields, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range fields.Fields.List {
		for _, n := range f.Names {
			c.fields[name+"."+n.Name] = sentence(f.Doc, f.Comment)
		}
	}
}

// sentence joins comments to one line that begins with a capital letter.
func sentence(groups ...*ast.CommentGroup) string {
	var parts []string
	for _, g := range groups {
		if text := strings.Join(strings.Fields(g.Text()), " "); text != "" {
			parts = append(parts, text)
		}
	}
	text := strings.Join(parts, " ")
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + text[size:]
}
