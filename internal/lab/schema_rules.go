package lab

import (
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// A label of Kubernetes, and the name of a Service.
const (
	labelPattern   = `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`
	servicePattern = `^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`
)

type schemaRule = func(*jsonschema.Schema)

// rules say what the types alone cannot, by "Type.field" or by the type's name.
func rules(runs []string) map[string]schemaRule {
	var (
		label   = matching(labelPattern)
		service = matching(servicePattern)
		port    = between(1, 65535)
	)
	return map[string]schemaRule{
		"Lab.apiVersion": oneOfTexts(APIVersion),
		"Lab.id":         label,
		"Lab.version":    scalar, // often a bare number
		"Lab.title":      notEmpty,
		"Lab.summary":    notEmpty,
		"Lab.category":   oneOfTexts("core", "concepts", "troubleshooting"),
		"Lab.minutes":    atLeast(1),
		"Lab.steps":      items(1, nil),
		"Lab.checks":     items(1, nil),

		"Policy.kinds":              items(0, oneOfTexts(furtherKinds()...)),
		"Policy.refusedObjectCosts": items(0, label),

		"Tier.name":     label,
		"Tier.image":    notEmpty,
		"Tier.port":     port,
		"Tier.protocol": oneOfTexts("http", "postgresql"),
		"Step.id":       label,
		"Step.title":    notEmpty,

		"Check":            exactlyOne("reach", "app", "internal", "resolve", "question", "run"),
		"Check.id":         label,
		"Check.title":      notEmpty,
		"Check.step":       label,
		"Check.points":     above(0),
		"Check.dependsOn":  items(0, label),
		"Check.hints":      items(minHints, notEmpty),
		"Check.visibility": oneOfTexts("hidden"),

		"Reach.service":  service,
		"Reach.via":      items(1, nil),
		"Reach.port":     port,
		"Reach.type":     oneOfTexts(serviceTypes()...),
		"Reach.nodePort": between(minNodePort, maxNodePort),
		"Reach.nodes":    oneOfTexts("any", "every"),
		"Reach.pods":     atLeast(0),
		"App.path":       matching("^/"),
		"Internal.tiers": items(1, label),

		"Resolve":         resolveNeeds,
		"Resolve.service": service,
		"Resolve.to":      oneOfTexts("service", "pods", "alias"),
		"Question":        questionNeeds,
		"Question.choose": items(minOptions, scalar),
		"Question.order":  items(minOrder, scalar),
		"Question.answer": scalar, // yes and no are YAML's booleans
		"Predict.service": service,
		"Predict.port":    port,

		"Run.name": oneOfTexts(runs...),
		"Run.with": func(s *jsonschema.Schema) { scalar(s.AdditionalProperties) },
	}
}

func matching(pattern string) schemaRule { return func(s *jsonschema.Schema) { s.Pattern = pattern } }

func notEmpty(s *jsonschema.Schema) { s.Pattern = `\S` }

func oneOfTexts(all ...string) schemaRule {
	return func(s *jsonschema.Schema) { s.Enum = texts(slices.Clone(all)) }
}

func between(least, most float64) schemaRule {
	return func(s *jsonschema.Schema) { s.Minimum, s.Maximum = &least, &most }
}

func atLeast(least float64) schemaRule { return func(s *jsonschema.Schema) { s.Minimum = &least } }

func above(bound float64) schemaRule {
	return func(s *jsonschema.Schema) { s.ExclusiveMinimum = &bound }
}

// items wants at least so many entries, none twice, and each as the rule says.
func items(least int, each schemaRule) schemaRule {
	return func(s *jsonschema.Schema) {
		s.UniqueItems = true
		if least > 0 {
			s.MinItems = &least
		}
		if each != nil {
			each(s.Items)
		}
	}
}

// scalar takes texts that are written bare and look like something else: port: 80.
func scalar(s *jsonschema.Schema) { s.Type, s.Types = "", []string{"string", "number", "boolean"} }

// exactlyOne of the fields is given.
func exactlyOne(fields ...string) schemaRule {
	return func(s *jsonschema.Schema) {
		for _, f := range fields {
			s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{f}})
		}
	}
}

// questionNeeds takes one way to answer, and what is right of a choice.
func questionNeeds(s *jsonschema.Schema) {
	exactlyOne("choose", "order", "predict")(s)
	s.DependencyStrings = map[string][]string{"choose": {"answer"}, "answer": {"choose"}}
}

// resolveNeeds ties the fields of a DNS check to what the name must stand for.
func resolveNeeds(s *jsonschema.Schema) {
	for _, need := range [][2]string{{"pods", "tier"}, {"alias", "target"}} {
		to, field := need[0], need[1]
		var want any = to
		s.AllOf = append(s.AllOf, &jsonschema.Schema{
			If:   &jsonschema.Schema{Required: []string{"to"}, Properties: map[string]*jsonschema.Schema{"to": {Const: &want}}},
			Then: &jsonschema.Schema{Required: []string{field}},
			Else: &jsonschema.Schema{Not: &jsonschema.Schema{Required: []string{field}}},
		})
	}
}
