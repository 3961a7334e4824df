package cli_test

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

const errorsDoc = "../../docs/errors.md"

const errorsHead = `# Errors and their remedies

Every error of labctl's that names a remedy, by what it says; … stands for what differs. The remedy is
the line ` + "`labctl: hint: `" + ` below the error. Exit code 2: what was given to labctl has to change. Exit
code 3: the machine, the engine or the cluster has to; no marks are given or taken.

This page is made from the source: ` + "`go test ./internal/cli -run TestErrorsAreDocumented -update`" + `.

| error | remedy | exit |
|---|---|--:|
`

// TestErrorsAreDocumented holds docs/errors.md against the errors in the source.
func TestErrorsAreDocumented(t *testing.T) {
	rows := errorRows(t)
	if len(rows) < 150 {
		t.Errorf("found only %d errors", len(rows))
	}
	want := errorsHead + strings.Join(rows, "")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(errorsDoc, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(errorsDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/errors.md is not what the source says: go test ./internal/cli -run TestErrorsAreDocumented -update")
	}
}

// errorRows are the table's rows, sorted by what the error says.
func errorRows(t *testing.T) []string {
	t.Helper()
	packages := map[string][]*ast.File{}
	for _, root := range []string{"../../internal", "../../grader", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	type row struct{ message, text string }
	var rows []row
	for _, files := range packages {
		p := faultReader{constants: constantsOf(files)}
		for _, file := range files {
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
					p.function(f.Body)
				}
			}
		}
		for _, f := range p.found {
			rows = append(rows, row{strings.ToLower(strings.TrimLeft(f.message, "…\" ")), fmt.Sprintf("| %s | %s | %d |\n", escaped(f.message), escaped(f.remedy), f.kind)})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.message, b.message), cmp.Compare(a.text, b.text)) })
	var all []string
	for _, r := range slices.Compact(rows) {
		all = append(all, r.text)
	}
	return all
}

func escaped(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(text)
}

// constantsOf are the package's texts by their names.
func constantsOf(files []*ast.File) map[string]ast.Expr {
	all := map[string]ast.Expr{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == len(v.Values) {
				for i, name := range v.Names {
					all[name.Name] = v.Values[i]
				}
			}
			return true
		})
	}
	return all
}

type foundFault struct {
	message, remedy string
	kind            fault.Kind
}

// faultReader finds the errors that a package makes.
type faultReader struct {
	constants map[string]ast.Expr
	found     []foundFault
}

// function looks for calls of WithRemedy, on an error that is made there or just before.
func (p *faultReader) function(body *ast.BlockStmt) {
	made := map[string]ast.Expr{} // what variables were given
	ast.Inspect(body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, left := range a.Lhs {
				if name, ok := left.(*ast.Ident); ok {
					made[name.Name] = a.Rhs[i]
				}
			}
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || method.Sel.Name != "WithRemedy" {
			return true
		}
		if message, kind := p.message(method.X, made); message != "" && message != "…" {
			p.found = append(p.found, foundFault{message, p.format(call.Args), kind})
		}
		return true
	})
}

// message is what the error says that an expression makes.
func (p *faultReader) message(e ast.Expr, made map[string]ast.Expr) (string, fault.Kind) {
	if name, ok := e.(*ast.Ident); ok && made[name.Name] != nil {
		e = made[name.Name]
	}
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return "", 0
	}
	maker, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", 0
	}
	switch maker.Sel.Name {
	case "Inputf":
		return p.format(call.Args), fault.Input
	case "Environmentf":
		return p.format(call.Args), fault.Environment
	}
	return "", 0
}

// format is a format with its texts, and … for all that is known only when it happens.
func (p *faultReader) format(args []ast.Expr) string {
	if len(args) == 0 {
		return ""
	}
	format, ok := p.text(args[0])
	if !ok {
		return "…"
	}
	next := 0
	format = regexp.MustCompile(`%(?:[-+#.0-9]*[a-zA-Z]|%)`).ReplaceAllStringFunc(format, func(verb string) string {
		if verb == "%%" {
			return "%"
		}
		next++
		text := "…"
		if next < len(args) {
			if known, ok := p.text(args[next]); ok {
				text = known
			}
		}
		if strings.HasSuffix(verb, "q") {
			return strconv.Quote(text)
		}
		return text
	})
	return strings.TrimSuffix(strings.TrimSpace(regexp.MustCompile(`…+`).ReplaceAllString(format, "…")), ": …")
}

// text is a text that the source has as it is.
func (p *faultReader) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		if constant := p.constants[e.Name]; constant != nil && constant != e {
			return p.text(constant)
		}
	case *ast.BinaryExpr:
		left, ok := p.text(e.X)
		right, okRight := p.text(e.Y)
		if !okRight {
			right = "…"
		}
		return left + right, ok
	}
	return "", false
}

// The test of the errors can fail: it finds what the source says.
func TestErrorsAreFound(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
const remedy = "look at " + "it"
func f(name string) error {
	err := fault.Environmentf("the engine %q ended: %w", name, err)
	if name == "" {
		return fault.Inputf("%d%% of %s is | missing", 1, name).WithRemedy(remedy)
	}
	return err.WithRemedy("%s, or labctl repair", remedy)
}`, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := faultReader{constants: constantsOf([]*ast.File{file})}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			p.function(f.Body)
		}
	}
	want := []foundFault{
		{"…% of … is | missing", "look at it", fault.Input},
		{`the engine "…" ended`, "look at it, or labctl repair", fault.Environment},
	}
	if !slices.Equal(p.found, want) {
		t.Errorf("%+v, want %+v", p.found, want)
	}
}
