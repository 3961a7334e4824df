// Package exercise sets a lab up for a student in a cluster: the namespace, and in it the
// objects that the lab begins with.
package exercise

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/submission"
)

// LabLabel names the lab of a namespace that a student works in.
const LabLabel = "labctl.dev/lab"

// lastApplied is where kubectl keeps what it applied. With it, "kubectl apply" removes what
// a student takes out of a manifest; without it, it warns and leaves it there.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// API is what an exercise needs of the cluster.
type API interface {
	Namespaces(ctx context.Context, selector string) ([]corev1.Namespace, error)
	CreateNamespace(ctx context.Context, name string, labels, annotations map[string]string) error
	DeleteNamespace(ctx context.Context, name string, wait bool) error
	Apply(ctx context.Context, namespace string, objs []*unstructured.Unstructured) error
	NodePorts(ctx context.Context) (map[int32]corev1.Service, error)
	Export(ctx context.Context, namespace string, kinds []schema.GroupVersionKind) ([]*unstructured.Unstructured, error)
	Differs(ctx context.Context, namespace string, obj *unstructured.Unstructured) (bool, error)
}

// Exercise is one lab in one cluster.
type Exercise struct {
	API     API
	Context string // of the cluster, for commands in messages
	Lab     *lab.Lab
	// Begin shows progress.
	Begin func(step string) (end func(error))
}

// Namespace returns the name of the namespace that the student works in, which manifests may
// name.
func (e *Exercise) Namespace() string { return e.Lab.ID }

// Look tells whether the namespace is there. One of the name that labctl did not make, or
// made for something else, is refused.
func (e *Exercise) Look(ctx context.Context) (bool, error) {
	found, err := e.find(ctx)
	return found != nil && found.DeletionTimestamp == nil, err
}

// find returns the namespace, nil where there is none.
func (e *Exercise) find(ctx context.Context) (*corev1.Namespace, error) {
	name := e.Namespace()
	found, err := e.API.Namespaces(ctx, corev1.LabelMetadataName+"="+name)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	ns := &found[0]
	if ns.Labels[grader.PurposeLabel] != grader.PurposeStudent || ns.Labels[LabLabel] != e.Lab.ID {
		return nil, fault.Inputf("there is a namespace %q that labctl did not make for this lab: nothing was touched", name).
			WithRemedy("remove it yourself when you do not need it: kubectl --context %s delete namespace %s", e.Context, name)
	}
	return ns, nil
}

// Prepare sees to it that the namespace is there, and tells whether it made it.
func (e *Exercise) Prepare(ctx context.Context) (made bool, err error) {
	ns, err := e.find(ctx)
	if err != nil || ns != nil && ns.DeletionTimestamp == nil {
		return false, err
	}
	end := e.Begin("create namespace " + e.Namespace())
	if ns != nil { // on its way out
		err = e.API.DeleteNamespace(ctx, e.Namespace(), true)
	}
	if err == nil {
		err = e.API.CreateNamespace(ctx, e.Namespace(), e.labels(), nil)
	}
	end(err)
	return err == nil, err
}

// Remove removes the namespace with all that is in it, and waits until it is gone.
func (e *Exercise) Remove(ctx context.Context) error {
	ns, err := e.find(ctx)
	if err != nil || ns == nil {
		return err
	}
	end := e.Begin("remove namespace " + e.Namespace())
	err = e.API.DeleteNamespace(ctx, e.Namespace(), true)
	end(err)
	return err
}

func (e *Exercise) labels() map[string]string {
	return map[string]string{
		grader.PurposeLabel: grader.PurposeStudent, LabLabel: e.Lab.ID,
		"pod-security.kubernetes.io/enforce": "baseline",
	}
}

// Applied is one of the objects that the lab begins with, and what became of it.
type Applied struct {
	Object string // "Service/frontend"; the file where that could not be read
	// Refused is why the API server does not take the object: to find out is part of the exercise.
	Refused string
	// Held names the Service of another namespace that has the object's node port: that is no
	// part of the exercise.
	Held string
}

// Apply applies what the lab begins with, in the order of its manifests, one by one: which
// of two that exclude each other comes first is always the same. Where only is not nil, it
// chooses the files. An object that is refused is reported and is no error.
func (e *Exercise) Apply(ctx context.Context, only func(file string) bool) ([]Applied, error) {
	objects, refused, err := e.starter()
	if err != nil {
		return nil, err
	}
	end := e.Begin("apply what the lab begins with")
	all, err := e.apply(ctx, objects, only)
	end(err)
	return append(all, refused...), err
}

// starter reads what the lab begins with. What is wrong with it is part of the exercise.
func (e *Exercise) starter() ([]submission.Object, []Applied, error) {
	sub, err := submission.ReadFS(e.Lab.Files, lab.StarterDir, submission.Limits{Namespace: e.Lab.ID, Kinds: e.Lab.Policy.Kinds})
	var broken *submission.Error
	if errors.As(err, &broken) {
		var refused []Applied
		for _, f := range broken.Findings {
			refused = append(refused, Applied{Object: InStarter(f.File), Refused: strings.TrimPrefix(f.Field+": ", ": ") + f.Message})
		}
		return nil, refused, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return sub.Objects, nil, nil
}

// InStarter returns a file's name as the student has it in the working folder.
func InStarter(file string) string {
	return strings.TrimPrefix(path.Clean(file), lab.StarterDir+"/")
}

func (e *Exercise) apply(ctx context.Context, objects []submission.Object, only func(string) bool) ([]Applied, error) {
	var all []Applied
	for _, o := range objects {
		if only != nil && !only(InStarter(o.File)) {
			continue
		}
		done := Applied{Object: nameOf(o.Object)}
		obj, err := asApplied(o.Object, e.Namespace())
		if err != nil {
			return all, err
		}
		err = e.API.Apply(ctx, e.Namespace(), []*unstructured.Unstructured{obj})
		refusals := kube.ApplyErrors(err)
		if err != nil && len(refusals) == 0 {
			return all, err
		}
		for _, r := range refusals {
			done.Refused = strings.TrimPrefix(r.Field+": ", ": ") + r.Reason
		}
		if done.Refused != "" {
			if done.Held, err = e.holder(ctx, o.Object); err != nil {
				return all, err
			}
		}
		all = append(all, done)
	}
	return all, nil
}

// holder returns the Service of another namespace that has a node port of the object,
// "namespace/name", or "".
func (e *Exercise) holder(ctx context.Context, obj *unstructured.Unstructured) (string, error) {
	ports, _, _ := unstructured.NestedSlice(obj.Object, "spec", "ports")
	if obj.GetKind() != "Service" || len(ports) == 0 {
		return "", nil
	}
	taken, err := e.API.NodePorts(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range ports {
		fields, _ := p.(map[string]any)
		number, _ := fields["nodePort"].(int64)
		if svc, ok := taken[int32(number)]; ok && svc.Namespace != e.Namespace() {
			return svc.Namespace + "/" + svc.Name, nil
		}
	}
	return "", nil
}

// asApplied returns a copy that looks as if kubectl had applied it.
func asApplied(obj *unstructured.Unstructured, namespace string) (*unstructured.Unstructured, error) {
	obj = obj.DeepCopy()
	obj.SetNamespace(namespace)
	data, err := obj.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", obj.GetKind(), obj.GetName(), err)
	}
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[lastApplied] = string(data)
	obj.SetAnnotations(annotations)
	return obj, nil
}

// Others returns the objects in the namespace that are none of those that the lab begins
// with, as "Service/db".
func (e *Exercise) Others(ctx context.Context) ([]string, error) {
	objects, _, err := e.starter()
	if err != nil {
		return nil, err
	}
	known := make([]*unstructured.Unstructured, len(objects))
	for i, o := range objects {
		known[i] = o.Object
	}
	others, err := e.beyond(ctx, known)
	return names(others), err
}

// Apart holds the manifests against what runs in the namespace, as "Service/db": what runs and is
// in none of them, and what to apply them would change.
func (e *Exercise) Apart(ctx context.Context, manifests []*unstructured.Unstructured) (loose, changed []string, err error) {
	others, err := e.beyond(ctx, manifests)
	if err != nil {
		return nil, nil, err
	}
	others = slices.DeleteFunc(others, func(o *unstructured.Unstructured) bool { return claimed(o, manifests) })
	var stale []*unstructured.Unstructured
	for _, o := range manifests {
		differs, err := e.API.Differs(ctx, e.Namespace(), o)
		if err != nil {
			return nil, nil, err
		}
		if differs {
			stale = append(stale, o)
		}
	}
	return names(others), names(stale), nil
}

// beyond returns the objects in the namespace that are none of the known ones.
func (e *Exercise) beyond(ctx context.Context, known []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	live, err := e.Live(ctx)
	mine := names(known)
	return slices.DeleteFunc(live, func(o *unstructured.Unstructured) bool { return slices.Contains(mine, nameOf(o)) }), err
}

func nameOf(o *unstructured.Unstructured) string { return o.GetKind() + "/" + o.GetName() }

func names(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, o := range objects {
		all = append(all, nameOf(o))
	}
	return all
}

// claimed tells that the object is a volume claim that one of the StatefulSets makes by itself.
func claimed(o *unstructured.Unstructured, manifests []*unstructured.Unstructured) bool {
	return o.GetKind() == "PersistentVolumeClaim" && slices.ContainsFunc(manifests, func(m *unstructured.Unstructured) bool {
		templates, _, _ := unstructured.NestedSlice(m.Object, "spec", "volumeClaimTemplates")
		return m.GetKind() == "StatefulSet" && slices.ContainsFunc(templates, func(t any) bool {
			template, _ := t.(map[string]any)
			name, _, _ := unstructured.NestedString(template, "metadata", "name")
			return strings.HasPrefix(o.GetName(), name+"-"+m.GetName()+"-")
		})
	})
}

// Live returns the namespace's objects as manifests.
func (e *Exercise) Live(ctx context.Context) ([]*unstructured.Unstructured, error) {
	return e.API.Export(ctx, e.Namespace(), submission.Kinds())
}
