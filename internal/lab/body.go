package lab

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// The range that a cluster takes node ports from, unless it was told otherwise.
const (
	minNodePort = 30000
	maxNodePort = 32767
)

// body reports what is wrong with the part of a check that says what is done.
func (p *problems) body(at string, l *Lab, c Check, runs []string) {
	var given []string
	if c.Reach != nil {
		given = append(given, "reach")
		p.reach(at+".reach", l, c.Reach)
	}
	if c.App != nil {
		given = append(given, "app")
		p.app(at+".app", l, c.App)
	}
	if c.Internal != nil {
		given = append(given, "internal")
		p.internal(at+".internal", l, c.Internal)
	}
	if c.Resolve != nil {
		given = append(given, "resolve")
		p.resolve(at+".resolve", l, c.Resolve)
	}
	if c.Question != nil {
		given = append(given, "question")
		p.question(at+".question", l, c.Question)
	}
	if c.Run != nil {
		given = append(given, "run")
		if p.required(at+".run.name", c.Run.Name) {
			p.known(at+".run.name", "check in Go", c.Run.Name, runs)
		}
	}
	switch {
	case len(given) > 1:
		p.at(at, "has %s; a check has exactly one of reach, app, internal, resolve, question and run", strings.Join(given, " and "))
	case len(given) == 0:
		p.at(at, "does not say what to do; a check has exactly one of reach, app, internal, resolve, question and run")
	}
}

func (p *problems) reach(at string, l *Lab, r *Reach) {
	if p.required(at+".service", r.Service) && len(validation.IsDNS1035Label(r.Service)) > 0 {
		p.at(at+".service", "%q cannot be the name of a Service", r.Service)
	}
	p.tier(at+".tier", l, r.Tier)
	if r.From != "" {
		p.tier(at+".from", l, r.From)
	}
	p.ways(at, r)
	p.sticky(at, r)
	p.port(at+".port", r.Port)
	if types := serviceTypes(); r.Type != "" && p.known(at+".type", "type", r.Type, types) {
		p.typeAllows(at, r)
	}
	if r.NodePort != 0 && (r.NodePort < minNodePort || r.NodePort > maxNodePort) {
		p.at(at+".nodePort", "must be %d to %d, not %d", minNodePort, maxNodePort, r.NodePort)
	}
	if r.NodePort != 0 && !slices.Contains(r.Via, ViaNodePort) {
		p.at(at+".nodePort", "goes only with via nodePort")
	}
	if r.Nodes != "" && p.known(at+".nodes", "choice of nodes", r.Nodes, []string{"any", "every"}) &&
		!slices.Contains(r.Via, ViaNodePort) {
		p.at(at+".nodes", "goes only with via nodePort")
	}
	if r.Pods < 0 {
		p.at(at+".pods", "must not be below 0")
	}
	if r.Assigned && !slices.Equal(r.Via, []Via{ViaLoadBalancer}) {
		p.at(at+".assigned", "goes only with via [loadBalancer]")
	}
}

// ways reports unknown and repeated ways, and those that do not start where the check
// asks from: names and virtual IPs exist inside only, the others are the ways in.
func (p *problems) ways(at string, r *Reach) {
	if len(r.Via) == 0 {
		p.at(at+".via", "is missing; name at least one of name, clusterIP, nodePort, loadBalancer")
	}
	seen := make(once)
	for i, via := range r.Via {
		field := fmt.Sprintf("%s.via[%d]", at, i)
		if !p.known(field, "way", string(via), ways()) {
			continue
		}
		p.once(seen, field, string(via))
		inside := via == ViaName || via == ViaClusterIP
		if inside && r.From == "" {
			p.at(field, "%s works only from inside; say from which tier's pods (from)", via)
		}
		if !inside && r.From != "" {
			p.at(field, "%s is asked from outside; leave out from", via)
		}
	}
}

// typeAllows reports ways that a Service of the required type does not have.
func (p *problems) typeAllows(at string, r *Reach) {
	for i, via := range r.Via {
		if via == ViaNodePort && r.Type == "ClusterIP" || via == ViaLoadBalancer && r.Type != "LoadBalancer" {
			p.at(fmt.Sprintf("%s.via[%d]", at, i), "a Service of type %s has no %s", r.Type, via)
		}
	}
}

// sticky reports what cannot be asked for together with answers by one pod alone.
func (p *problems) sticky(at string, r *Reach) {
	if r.Sticky && r.Pods != 0 {
		p.at(at+".sticky", "asks for answers by one pod, and pods for several; leave one of them out")
	}
	if r.Sticky && r.Assigned {
		p.at(at+".sticky", "looks at who answers, and assigned does not; leave one of them out")
	}
}

func (p *problems) app(at string, l *Lab, a *App) {
	p.tier(at+".tier", l, a.Tier)
	p.tier(at+".answered", l, a.Answered)
	if p.required(at+".path", a.Path) && !strings.HasPrefix(a.Path, "/") {
		p.at(at+".path", "%q must begin with /", a.Path)
	}
}

func (p *problems) internal(at string, l *Lab, in *Internal) {
	if len(in.Tiers) == 0 {
		p.at(at+".tiers", "is missing; name at least one tier")
	}
	seen := make(once)
	for i, t := range in.Tiers {
		field := fmt.Sprintf("%s.tiers[%d]", at, i)
		if p.tier(field, l, t) {
			p.once(seen, field, t)
		}
	}
}

// tier reports a tier that is missing or does not exist.
func (p *problems) tier(field string, l *Lab, tier string) bool {
	return p.required(field, tier) && p.known(field, "tier", tier, tierNames(l))
}

func ways() []string {
	return []string{string(ViaName), string(ViaClusterIP), string(ViaNodePort), string(ViaLoadBalancer)}
}

func serviceTypes() []string { return []string{"ClusterIP", "NodePort", "LoadBalancer"} }
