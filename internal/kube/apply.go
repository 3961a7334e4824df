package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"labctl.dev/labctl/internal/fault"
)

// ApplyError says that the API server refused an object for what is in it: whoever wrote
// the manifest has to change it. It comes wrapped in a fault.Error of kind Input.
type ApplyError struct {
	Object string // "Deployment/frontend"
	Field  string // "spec.template.spec.containers[0].image"; "" where the server names none
	Reason string // one line
}

func (e *ApplyError) Error() string {
	if e.Field == "" {
		return e.Object + ": " + e.Reason
	}
	return e.Object + ": " + e.Field + ": " + e.Reason
}

// ApplyErrors returns every ApplyError in err's tree.
func ApplyErrors(err error) []*ApplyError {
	if found, ok := err.(*ApplyError); ok { //nolint:errorlint // this is the walk itself
		return []*ApplyError{found}
	}
	switch e := err.(type) { //nolint:errorlint // this is the walk itself
	case interface{ Unwrap() error }:
		return ApplyErrors(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*ApplyError
		for _, inner := range e.Unwrap() {
			all = append(all, ApplyErrors(inner)...)
		}
		return all
	}
	return nil
}

// Apply brings the objects into the namespace by server-side apply, whatever namespace they
// name. What others refer to goes first: configuration, then Services, then workloads;
// objects of one class go at the same time.
//
// All objects are tried, so that the error names everything that is wrong with them: it is
// a fault.Error of kind Input around one or more ApplyErrors. Where the API server itself
// fails, that error comes back alone, and the kind is Environment.
func (c *Client) Apply(ctx context.Context, namespace string, objs []*unstructured.Unstructured) error {
	var refused []error
	for _, class := range classes(objs) {
		failures := make([]error, len(class))
		var group sync.WaitGroup
		for i, obj := range class {
			group.Go(func() { failures[i] = c.applyOne(ctx, namespace, obj) })
		}
		group.Wait()
		for _, err := range failures {
			var input *ApplyError
			switch {
			case err == nil:
			case errors.As(err, &input):
				refused = append(refused, err)
			default:
				return err
			}
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Input, Err: errors.Join(refused...)}
}

// classes sorts the objects into what can be applied at the same time, in order.
func classes(objs []*unstructured.Unstructured) [][]*unstructured.Unstructured {
	byRank := map[int][]*unstructured.Unstructured{}
	for _, obj := range objs {
		rank := rankOf(obj.GetKind())
		byRank[rank] = append(byRank[rank], obj)
	}
	ranks := make([]int, 0, len(byRank))
	for rank := range byRank {
		ranks = append(ranks, rank)
	}
	sort.Ints(ranks)
	ordered := make([][]*unstructured.Unstructured, 0, len(ranks))
	for _, rank := range ranks {
		ordered = append(ordered, byRank[rank])
	}
	return ordered
}

func rankOf(kind string) int {
	switch kind {
	case "ConfigMap", "Secret", "PersistentVolumeClaim", "ServiceAccount", "Role", "RoleBinding",
		"LimitRange", "ResourceQuota", "NetworkPolicy":
		return 0
	case "Service", "EndpointSlice", "Endpoints":
		return 1 // a pod's environment lists the Services that existed when it started
	default:
		return 2
	}
}

// applyOne applies one object; its error is an ApplyError, or the environment's.
func (c *Client) applyOne(ctx context.Context, namespace string, obj *unstructured.Unstructured) error {
	name := obj.GetKind() + "/" + obj.GetName()
	resource, refusal, err := c.resourceFor(obj, namespace)
	if err != nil {
		return environment(err, "apply %s", name)
	}
	if refusal != "" {
		return &ApplyError{Object: name, Reason: refusal}
	}
	_, err = patch(ctx, resource, prepared(obj, namespace))
	if err == nil {
		return nil
	}
	if refused := refusalOf(name, err); refused != nil {
		return refused
	}
	return environment(err, "apply %s to namespace %s", name, namespace)
}

// resourceFor finds where objects of this kind live. A refusal is the manifest's fault.
func (c *Client) resourceFor(obj *unstructured.Unstructured, namespace string) (_ dynamic.ResourceInterface, refusal string, _ error) {
	gvk := obj.GroupVersionKind()
	switch {
	case gvk.Kind == "" || gvk.Version == "":
		return nil, "apiVersion and kind are both needed", nil
	case obj.GetName() == "":
		return nil, "metadata.name is missing", nil
	case len(content.IsPathSegmentName(obj.GetName())) > 0:
		return nil, "metadata.name " + strings.Join(content.IsPathSegmentName(obj.GetName()), ", "), nil
	}
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return nil, fmt.Sprintf("the cluster knows no kind %s in apiVersion %s", gvk.Kind, obj.GetAPIVersion()), nil
	}
	if err != nil {
		return nil, "", err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return nil, fmt.Sprintf("a %s belongs to the whole cluster and cannot be part of a submission", gvk.Kind), nil
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(namespace), "", nil
}

// prepared returns a copy for the namespace without what only the server writes, so that
// the output of "kubectl get -o yaml" can be applied as it is.
func prepared(obj *unstructured.Unstructured, namespace string) *unstructured.Unstructured {
	obj = obj.DeepCopy()
	obj.SetNamespace(namespace)
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(obj.Object, "status")
	return obj
}

// refusalOf returns the ApplyError behind the API server's answer, or nil where the answer
// does not blame the object.
func refusalOf(object string, err error) *ApplyError {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	s := status.Status()
	refused := &ApplyError{Object: object, Reason: oneLine(s.Message)}
	switch s.Code {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusForbidden, http.StatusRequestEntityTooLarge:
	case http.StatusInternalServerError:
		// Server-side apply reports a field that the schema does not have as its own failure.
		if !strings.Contains(s.Message, "failed to create typed patch object") {
			return nil
		}
	default:
		return nil
	}
	if s.Details != nil && len(s.Details.Causes) > 0 {
		first, others := s.Details.Causes[0], s.Details.Causes[1:]
		refused.Field, refused.Reason = first.Field, oneLine(first.Message)
		for _, other := range others {
			refused.Reason += fmt.Sprintf("; %s: %s", other.Field, oneLine(other.Message))
		}
		return refused
	}
	if field, reason, ok := undeclared(s.Message); ok {
		refused.Field, refused.Reason = field, reason
	}
	return refused
}

// undeclared reads the message with which server-side apply refuses unknown or ill-typed
// fields: "failed to create typed patch object (ns/name; apps/v1, Kind=Deployment):
// .spec.replica: field not declared in schema". Several come on lines of their own, after "errors:".
func undeclared(message string) (field, reason string, ok bool) {
	_, list, ok := strings.Cut(message, "failed to create typed patch object (")
	if !ok {
		return "", "", false
	}
	if _, list, ok = strings.Cut(list, "): "); !ok {
		return "", "", false
	}
	// A value is shown as the server's own Go type.
	shown := regexp.MustCompile(`&value\.valueUnstructured\{Value:(.*?)\}`)
	var each []string
	for line := range strings.Lines(strings.TrimPrefix(list, "errors:")) {
		if line = strings.TrimPrefix(oneLine(line), "."); line != "" {
			each = append(each, shown.ReplaceAllString(line, "$1"))
		}
	}
	if len(each) == 0 {
		return "", "", false
	}
	field, reason, ok = strings.Cut(each[0], ": ")
	if !ok {
		return "", strings.Join(each, "; "), true
	}
	return field, strings.Join(append([]string{reason}, each[1:]...), "; "), true
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
