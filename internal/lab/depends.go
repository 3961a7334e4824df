package lab

import (
	"fmt"
	"slices"
	"strings"
)

// dependencies reports checks that depend on what does not exist, on themselves, or on
// a later one. Checks run in the order of the file, so what a check needs stands above it.
func (p *problems) dependencies(l *Lab) {
	index := map[string]int{}
	ids := checkIDs(l)
	for i, c := range l.Checks {
		if _, ok := index[c.ID]; !ok && c.ID != "" {
			index[c.ID] = i
		}
	}
	for i, c := range l.Checks {
		seen := make(once)
		for j, on := range c.DependsOn {
			field := fmt.Sprintf("checks[%d].dependsOn[%d]", i, j)
			if !p.required(field, on) || !p.known(field, "check", on, ids) {
				continue
			}
			p.once(seen, field, on)
			if l.Checks[index[on]].Hidden() && !c.Hidden() {
				p.at(field, "%q is hidden; what students see cannot depend on it", on)
				continue
			}
			if index[on] < i {
				continue
			}
			if cycle := l.path(on, c.ID, nil); cycle != nil {
				p.at(field, "is a cycle: %s", strings.Join(append([]string{c.ID}, cycle...), " needs "))
			} else {
				p.at(field, "%q is listed later; move it above %q", on, c.ID)
			}
		}
	}
}

// path returns the checks along which one depends on the other, both included, or nil.
func (l *Lab) path(from, to string, been []string) []string {
	if from == to {
		return []string{to}
	}
	if slices.Contains(been, from) {
		return nil
	}
	c, _ := l.Check(from)
	for _, on := range c.DependsOn {
		if rest := l.path(on, to, append(been, from)); rest != nil {
			return append([]string{from}, rest...)
		}
	}
	return nil
}
