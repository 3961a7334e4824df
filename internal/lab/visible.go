package lab

import (
	"strconv"

	"labctl.dev/labctl/internal/fault"
)

// Visible returns the checks that students see, in their order.
func (l *Lab) Visible() []Check {
	var all []Check
	for _, c := range l.Checks {
		if !c.Hidden() {
			all = append(all, c)
		}
	}
	return all
}

// VisiblePoints returns the sum over the checks that students see.
func (l *Lab) VisiblePoints() float64 {
	sum := 0.0
	for _, c := range l.Visible() {
		sum += c.Points
	}
	return sum
}

// StepChecks returns the checks of a step that students see, in their order.
func (l *Lab) StepChecks(step string) []Check {
	var all []Check
	for _, c := range l.Visible() {
		if c.Step == step {
			all = append(all, c)
		}
	}
	return all
}

// FindCheck returns the check with the id as a student may name it, or a fault.Input that
// names the nearest. A hidden check is unknown.
func (l *Lab) FindCheck(id string) (Check, error) {
	var ids []string
	for _, c := range l.Visible() {
		if c.ID == id {
			return c, nil
		}
		ids = append(ids, c.ID)
	}
	return Check{}, fault.Inputf("lab %s has no check %q%s%s", l.ID, id, choice(ids), suggest(id, ids)).
		WithRemedy("labctl show all")
}

// FindStep returns the step with the id or the 1-based number, and its number; or a
// fault.Input that names the nearest.
func (l *Lab) FindStep(name string) (Step, int, error) {
	var ids []string
	for i, s := range l.Steps {
		if s.ID == name || strconv.Itoa(i+1) == name {
			return s, i + 1, nil
		}
		ids = append(ids, s.ID)
	}
	return Step{}, 0, fault.Inputf("lab %s has no step %q: there are %d%s%s", l.ID, name, len(ids), choice(ids), suggest(name, ids)).
		WithRemedy("labctl show all")
}

// Suggest returns `; did you mean "x"?` for the known name that is nearest to the unknown
// one, or "" where none is near enough to be a slip of the pen.
func Suggest(unknown string, known []string) string { return suggest(unknown, known) }
