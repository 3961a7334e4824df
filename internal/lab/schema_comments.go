package lab

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
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
	c.types[name] = line(group.Doc, t.Doc)
	fields, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range fields.Fields.List {
		for _, n := range f.Names {
			c.fields[name+"."+n.Name] = line(f.Doc, f.Comment)
		}
	}
}

// line joins comments to one line.
func line(groups ...*ast.CommentGroup) string {
	var words []string
	for _, g := range groups {
		words = append(words, strings.Fields(g.Text())...)
	}
	return strings.Join(words, " ")
}
