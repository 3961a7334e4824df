package export

import (
	"slices"
	"strings"

	"labctl.dev/labctl/internal/heading"
	"labctl.dev/labctl/internal/result"
)

// meaning is what a label means where students have names: in a grade book "student" is one.
func meaning(label string) heading.Meaning {
	if m := heading.Of(label); m != heading.Student {
		return m
	}
	return heading.Name
}

// roster returns what the roster says in a column of that label, or of that role.
func roster(r *result.Report, label string, want heading.Meaning) []string {
	if r.Person == nil {
		return nil
	}
	var labels []string
	for l := range r.Person.Columns {
		if heading.Squash(l) == heading.Squash(label) && label != "" || want != heading.None && meaning(l) == want {
			labels = append(labels, l)
		}
	}
	slices.Sort(labels)
	var all []string
	for _, l := range labels {
		if v := strings.TrimSpace(r.Person.Columns[l]); v != "" {
			all = append(all, v)
		}
	}
	if v := strings.TrimSpace(r.Person.Email); want == heading.Email && v != "" {
		all = append(all, v)
	}
	if v := strings.TrimSpace(r.Person.Name); want == heading.Name && v != "" {
		all = append(all, v)
	}
	return all
}

// names returns a student's first and last names: the roster's columns, or else the name taken
// apart, at its comma or before its last word.
func names(r *result.Report) (first, last string) {
	f, l := roster(r, "", heading.First), roster(r, "", heading.Last)
	if len(f) > 0 && len(l) > 0 {
		return f[0], l[0]
	}
	name := ""
	if r.Person != nil {
		name = strings.TrimSpace(r.Person.Name)
	}
	if last, first, ok := strings.Cut(name, ","); ok {
		return strings.TrimSpace(first), strings.TrimSpace(last)
	}
	if i := strings.LastIndexByte(name, ' '); i >= 0 {
		return strings.TrimSpace(name[:i]), name[i+1:]
	}
	return "", name
}
