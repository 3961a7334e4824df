package lab

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"labctl.dev/labctl/internal/fault"
)

// CheckID returns a fault.Input where the id cannot be a lab's: it is part of the names of
// namespaces, folders and labels. A namespace that every cluster has cannot be a lab's own.
func CheckID(id string) error {
	if len(validation.IsDNS1123Label(id)) > 0 {
		return fault.Inputf("%q cannot be a lab's id: it must be lower-case letters, digits and '-', at most 63 of them, and start and end with a letter or a digit", id)
	}
	if id == "default" || strings.HasPrefix(id, "kube-") {
		return fault.Inputf("%q cannot be a lab's id: it is the name of a namespace that every cluster has", id)
	}
	return nil
}
