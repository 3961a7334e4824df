package ci

import (
	"regexp"
	"slices"
	"strings"
)

// secretName tells the variables that hold secrets by their names.
var secretName = regexp.MustCompile(`(?i)token|secret|passw|credential|private|api_?key|access_?key|kubeconfig|_auth`)

// shortest is the length from which a value is a secret: shorter ones are words that
// occur everywhere.
const shortest = 8

// Redactor returns a function that takes the values of secret variables out of a text:
// what goes into an artefact is seen by more people than the job's own settings. environ is
// os.Environ.
func Redactor(environ []string) func(string) string {
	var values []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if secretName.MatchString(name) && len(strings.TrimSpace(value)) >= shortest {
			values = append(values, strings.TrimSpace(value))
		}
	}
	// The longest first: one may be a part of another.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(values))
	for _, v := range values {
		pairs = append(pairs, v, "[redacted]")
	}
	return strings.NewReplacer(pairs...).Replace
}
