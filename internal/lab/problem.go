package lab

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"labctl.dev/labctl/internal/fault"
)

// Problem is one thing that is wrong with a lab.
type Problem struct {
	File    string // as in "labs/10-clusterip/lab.yaml"
	Line    int    // 1-based; 0 where no line is to blame
	Field   string // as in "checks[2].points"; "" where no field is
	Message string
}

func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
	}
	if p.Field != "" {
		s += ": " + p.Field
	}
	return s + ": " + p.Message
}

// Error holds every problem of a lab, or of several, in the order of their places.
type Error struct {
	Problems []Problem
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// inputError turns problems into an error that names whose they are, or nil without any.
func inputError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Input, Err: &Error{Problems: problems}}
}

// problems collects what is wrong with one lab, and knows the line of each field.
type problems struct {
	file  string
	lines map[string]int // by field; filled while lab.yaml is decoded
	list  []Problem
}

// at reports a problem of a field, on its own line or on that of the nearest field
// around it: a field that is missing has no line. A field's first problem is its only
// one, and that of the fields in it: what does not decode would look like missing values.
func (p *problems) at(field, format string, args ...any) {
	for _, q := range p.list {
		rest, within := strings.CutPrefix(field, q.Field)
		if q.Field != "" && within && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return
		}
	}
	p.list = append(p.list, Problem{
		File: p.file, Line: p.line(field), Field: field, Message: fmt.Sprintf(format, args...),
	})
}

// hasAny tells whether a field with that ending was reported.
func (p *problems) hasAny(ending string) bool {
	return slices.ContainsFunc(p.list, func(q Problem) bool { return strings.HasSuffix(q.Field, ending) })
}

// line returns the line of the field, or of the nearest one around it that has one.
func (p *problems) line(field string) int {
	for field != "" {
		if n, ok := p.lines[field]; ok {
			return n
		}
		cut := strings.LastIndexAny(field, ".[")
		if cut < 0 {
			break
		}
		field = field[:cut]
	}
	return p.lines[""]
}

// inFile reports a problem of a file or folder beside lab.yaml.
func (p *problems) inFile(name, format string, args ...any) {
	dir := p.file[:strings.LastIndex(p.file, "/")+1]
	p.list = append(p.list, Problem{File: dir + name, Message: fmt.Sprintf(format, args...)})
}

// sorted returns the problems in lab.yaml by line, then those of other files.
func (p *problems) sorted() []Problem {
	sort.SliceStable(p.list, func(i, j int) bool {
		a, b := p.list[i], p.list[j]
		if (a.File == p.file) != (b.File == p.file) {
			return a.File == p.file
		}
		return a.Line < b.Line
	})
	return p.list
}
