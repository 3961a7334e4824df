package lab

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/util/validation"
)

// The bounds of a lab. A ready or timeout beyond them would hold up a whole class.
const (
	maxReady   = 10 * time.Minute
	maxTimeout = 5 * time.Minute
	minHints   = 2 // from gentle to plain needs both
	fullMarks  = 100.0
)

// validate reports what the types alone cannot tell: whether values make sense, and
// whether names that are referred to exist.
func (p *problems) validate(l *Lab, runs []string) {
	p.head(l)
	p.tiers(l)
	p.steps(l)
	p.checks(l, runs)
	p.dependencies(l)
	p.policy(l)
	if sum := l.Points(); len(l.Checks) > 0 && !p.hasAny(".points") && math.Abs(sum-fullMarks) > 1e-9 {
		p.at("checks", "points sum to %g, not to %g", sum, fullMarks)
	}
}

func (p *problems) head(l *Lab) {
	if p.required("apiVersion", l.APIVersion) && l.APIVersion != APIVersion {
		p.at("apiVersion", "must be %q, not %q", APIVersion, l.APIVersion)
	}
	if p.required("id", l.ID) {
		p.label("id", l.ID)
	}
	p.required("version", l.Version)
	p.required("title", l.Title)
	p.required("summary", l.Summary)
	if p.required("category", l.Category) {
		p.known("category", "category", l.Category, categories())
	}
	if l.Minutes <= 0 {
		p.at("minutes", "must be a whole number above 0: how long a student needs")
	}
	p.between("ready", l.Ready, maxReady, false)
}

func (p *problems) tiers(l *Lab) {
	if len(l.Tiers) == 0 && !l.answersOnly() {
		p.at("tiers", "is missing; name at least one tier")
	}
	names := make(once)
	for i, t := range l.Tiers {
		at := fmt.Sprintf("tiers[%d]", i)
		if p.required(at+".name", t.Name) && p.label(at+".name", t.Name) {
			p.once(names, at+".name", t.Name)
		}
		if p.required(at+".image", t.Image) {
			p.image(at+".image", t.Image)
		}
		p.port(at+".port", t.Port)
		if t.Protocol != "" {
			p.known(at+".protocol", "protocol", t.Protocol, []string{"http", "postgresql"})
		}
	}
}

func (p *problems) steps(l *Lab) {
	if len(l.Steps) == 0 {
		p.at("steps", "is missing; name at least one step")
	}
	ids := make(once)
	for i, s := range l.Steps {
		at := fmt.Sprintf("steps[%d]", i)
		if p.required(at+".id", s.ID) && p.label(at+".id", s.ID) {
			p.once(ids, at+".id", s.ID)
		}
		p.required(at+".title", s.Title)
		if !slices.ContainsFunc(l.Checks, func(c Check) bool { return c.Step == s.ID }) {
			p.at(at+".id", "no check belongs to step %q", s.ID)
		}
	}
}

func (p *problems) checks(l *Lab, runs []string) {
	if len(l.Checks) == 0 {
		p.at("checks", "is missing; a lab needs at least one check")
	}
	ids := make(once)
	for i, c := range l.Checks {
		at := fmt.Sprintf("checks[%d]", i)
		if p.required(at+".id", c.ID) && p.label(at+".id", c.ID) {
			p.once(ids, at+".id", c.ID)
		}
		p.required(at+".title", c.Title)
		if p.required(at+".step", c.Step) {
			p.known(at+".step", "step", c.Step, stepIDs(l))
		}
		if c.Points <= 0 || math.IsInf(c.Points, 0) || math.IsNaN(c.Points) {
			p.at(at+".points", "must be a number above 0")
		}
		p.between(at+".timeout", c.Timeout, maxTimeout, true)
		p.hints(at+".hints", c.Hints)
		if c.Visibility != "" {
			p.known(at+".visibility", "visibility", c.Visibility, []string{"hidden"})
		}
		p.body(at, l, c, runs)
	}
}

func (p *problems) policy(l *Lab) {
	for i, kind := range l.Policy.Kinds {
		p.known(fmt.Sprintf("policy.kinds[%d]", i), "kind", kind, furtherKinds())
	}
	given := make(once)
	for i, id := range l.Policy.RefusedObjectCosts {
		at := fmt.Sprintf("policy.refusedObjectCosts[%d]", i)
		if p.known(at, "check", id, checkIDs(l)) {
			p.once(given, at, id)
		}
	}
}

func (p *problems) hints(at string, hints []string) {
	for i, h := range hints {
		if strings.TrimSpace(h) == "" {
			p.at(fmt.Sprintf("%s[%d]", at, i), "is empty")
		}
	}
	if len(hints) < minHints {
		p.at(at, "has %d of at least %d hints, from gentle to plain", len(hints), minHints)
	}
}

// required reports an empty field, and tells whether there is something to look at.
func (p *problems) required(field, value string) bool {
	if strings.TrimSpace(value) != "" {
		return true
	}
	p.at(field, "is missing")
	return false
}

// label reports a name that could not be part of Kubernetes names, labels and file names.
func (p *problems) label(field, value string) bool {
	if len(validation.IsDNS1123Label(value)) == 0 {
		return true
	}
	p.at(field, "%q must be lower-case letters, digits and '-', at most 63 of them, and start and end with a letter or a digit", value)
	return false
}

// once remembers where each name was given first.
type once map[string]string

// once reports a name that was given before.
func (p *problems) once(seen once, field, value string) {
	if first, ok := seen[value]; ok {
		p.at(field, "%q is given twice; first in %s on line %d", value, first, p.line(first))
		return
	}
	seen[value] = field
}

// known reports a name that is none of those that exist. That none at all exists is
// reported where they belong.
func (p *problems) known(field, what, value string, all []string) bool {
	if slices.Contains(all, value) || len(all) == 0 {
		return len(all) > 0
	}
	p.at(field, "unknown %s %q%s%s", what, value, choice(all), suggest(value, all))
	return false
}

// choice lists what there is to choose from, where that fits into a line.
func choice(all []string) string {
	if len(all) == 0 || len(all) > 8 {
		return ""
	}
	return " (known: " + strings.Join(all, ", ") + ")"
}

// between reports a duration that is missing, though it must not be, or out of bounds.
func (p *problems) between(field string, s Seconds, most time.Duration, optional bool) {
	d := time.Duration(s)
	_, given := p.lines[field]
	switch {
	case !given && optional:
	case !given:
		p.at(field, "is missing")
	case d <= 0 || d > most:
		p.at(field, "must be above 0 and at most %s", most)
	}
}

func (p *problems) port(field string, n int) {
	if n < 1 || n > 65535 {
		p.at(field, "must be a port, 1 to 65535")
	}
}

// image reports a reference that is not exact: without a tag it would be :latest, which
// is always pulled.
func (p *problems) image(field, ref string) {
	_, err := name.ParseReference(ref)
	switch last := ref[strings.LastIndex(ref, "/")+1:]; {
	case err != nil:
		p.at(field, "%q is not an image name such as labctl/frontend:v1", ref)
	case !strings.ContainsAny(last, ":@"):
		p.at(field, "%q names no tag; write it as %s:v1", ref, ref)
	}
}

// categories are the parts of the catalogue, in their order.
func categories() []string { return []string{"core", "concepts", "troubleshooting"} }

func checkIDs(l *Lab) []string {
	var ids []string
	for _, c := range l.Checks {
		if c.ID != "" {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// furtherKinds are those that a lab may allow beyond what every lab allows.
func furtherKinds() []string { return []string{"EndpointSlice"} }

func tierNames(l *Lab) []string {
	var names []string
	for _, t := range l.Tiers {
		if t.Name != "" {
			names = append(names, t.Name)
		}
	}
	return names
}

func stepIDs(l *Lab) []string {
	var ids []string
	for _, s := range l.Steps {
		if s.ID != "" {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
