package submission

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	"labctl.dev/labctl/internal/result"
)

// police returns the objects that a submission may contain, in the order in which they are
// to be applied, and refuses the others.
func (r *reader) police(objects []Object) []Object {
	if len(objects) > r.limits.Objects {
		r.refuse(r.path, "has more than %d objects", r.limits.Objects)
		return nil
	}
	first := map[string]Object{}
	var allowed []Object
	for _, o := range objects {
		refuse := func(field, format string, args ...any) {
			r.findings = append(r.findings, result.Finding{
				File: o.File, Document: o.Document, Field: field, Rule: "allowed-kinds-and-names", Message: fmt.Sprintf(format, args...),
			})
		}
		if why := r.limits.refusedKind(o.Object.GroupVersionKind()); why != "" {
			refuse("kind", "%s", why)
			continue
		}
		name := o.Object.GetName()
		switch {
		case name == "" && o.Object.GetGenerateName() != "":
			refuse("metadata.generateName", "leaves the name open; give the object a metadata.name")
			continue
		case name == "":
			refuse("metadata.name", "is missing")
			continue
		case len(validation.IsDNS1123Subdomain(name)) > 0:
			refuse("metadata.name", "%q is no name: lower-case letters, digits, '-' and '.'", name)
			continue
		}
		if ns := o.Object.GetNamespace(); ns != "" && ns != r.limits.Namespace {
			refuse("metadata.namespace", "%s %q is for namespace %q; leave the namespace out, the grader chooses it",
				o.Object.GetKind(), name, ns)
			continue
		}
		o.Object.SetNamespace("")
		key := o.Object.GetKind() + "/" + name
		if other, ok := first[key]; ok {
			refuse("metadata.name", "%s %q is given twice; first in %s, document %d", o.Object.GetKind(), name, other.File, other.Document)
			continue
		}
		first[key] = o
		if found := breaches(o, r.limits); len(found) > 0 {
			r.findings = append(r.findings, found...)
			continue
		}
		allowed = append(allowed, o)
	}
	slices.SortStableFunc(allowed, func(a, b Object) int { return rank(a) - rank(b) })
	return allowed
}

// rank orders objects for applying: a pod whose Secret is not there yet is tried again
// only seconds later, and an address takes the longest, so Services go before pods.
func rank(o Object) int {
	switch o.Object.GetKind() {
	case "Secret", "ConfigMap", "PersistentVolumeClaim", "NetworkPolicy", "EndpointSlice":
		return 0
	case "Service":
		return 1
	}
	return 2
}

// allowedKinds is what a submission may be made of, by the name of the kind.
func allowedKinds() map[string]schema.GroupVersion {
	core, apps := schema.GroupVersion{Version: "v1"}, schema.GroupVersion{Group: "apps", Version: "v1"}
	return map[string]schema.GroupVersion{
		"Deployment": apps, "StatefulSet": apps, "ReplicaSet": apps,
		"Pod": core, "Service": core, "ConfigMap": core, "Secret": core, "PersistentVolumeClaim": core,
		"NetworkPolicy": {Group: "networking.k8s.io", Version: "v1"},
		"Job":           {Group: "batch", Version: "v1"},
	}
}

// furtherKinds are those that a lab may allow.
func furtherKinds() map[string]schema.GroupVersion {
	return map[string]schema.GroupVersion{"EndpointSlice": {Group: "discovery.k8s.io", Version: "v1"}}
}

// refusedKind says why objects of the kind are not allowed, or "" where they are.
func (l Limits) refusedKind(gvk schema.GroupVersionKind) string {
	allowed := allowedKinds()
	for kind, version := range furtherKinds() {
		if slices.Contains(l.Kinds, kind) {
			allowed[kind] = version
		}
	}
	if want, ok := allowed[gvk.Kind]; ok {
		if want == gvk.GroupVersion() {
			return ""
		}
		return fmt.Sprintf("%s of apiVersion %q is not known here; write apiVersion: %s", gvk.Kind, gvk.GroupVersion(), want)
	}
	for kind := range allowed {
		if strings.EqualFold(kind, gvk.Kind) {
			return fmt.Sprintf("%q is not a kind; write kind: %s", gvk.Kind, kind)
		}
	}
	return fmt.Sprintf("%s (%s) is not allowed in a submission: %s", gvk.Kind, gvk.GroupVersion(), whyRefused(gvk.Kind))
}

// whyRefused gives the reason against a kind, and where there is one, the way out.
func whyRefused(kind string) string {
	switch kind {
	case "Namespace":
		return "the grader makes the namespace"
	case "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount":
		return "no lab needs rights in the cluster"
	case "PersistentVolume", "StorageClass":
		return "it is the whole cluster's; ask for storage with a PersistentVolumeClaim"
	case "DaemonSet":
		return "it takes a place on every node; use a Deployment"
	case "CronJob":
		return "it would run later than the grader looks; use a Job"
	case "Endpoints", "EndpointSlice":
		return "the cluster makes it from a Service's selector"
	case "Ingress", "Gateway", "HTTPRoute":
		return "labs lead traffic in by Services alone"
	case "CustomResourceDefinition", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		"APIService", "PriorityClass", "RuntimeClass", "Node":
		return "it changes the whole cluster"
	case "ResourceQuota", "LimitRange":
		return "the grader bounds the namespace"
	}
	return "submissions hold Deployment, StatefulSet, ReplicaSet, Pod, Job, Service, NetworkPolicy, ConfigMap, Secret and PersistentVolumeClaim"
}
