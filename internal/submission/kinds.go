package submission

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kinds returns the kinds of objects that a submission may be made of, by name.
func Kinds() []schema.GroupVersionKind {
	var all []schema.GroupVersionKind
	for kind, group := range allowedKinds() {
		all = append(all, group.WithKind(kind))
	}
	slices.SortFunc(all, func(a, b schema.GroupVersionKind) int { return strings.Compare(a.Kind, b.Kind) })
	return all
}
