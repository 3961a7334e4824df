package exercise

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
)

// api is a cluster that remembers what was done to it.
type api struct {
	namespaces []corev1.Namespace
	ports      map[int32]corev1.Service
	refuse     map[string]string // by "Kind/name"
	live       []*unstructured.Unstructured
	did        []string
	applied    []*unstructured.Unstructured
}

func (a *api) Namespaces(_ context.Context, selector string) ([]corev1.Namespace, error) {
	var found []corev1.Namespace
	for _, ns := range a.namespaces {
		if strings.HasSuffix(selector, "="+ns.Name) {
			found = append(found, ns)
		}
	}
	return found, nil
}

func (a *api) CreateNamespace(_ context.Context, name string, labels, _ map[string]string) error {
	a.did = append(a.did, "create "+name)
	a.namespaces = []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}}
	return nil
}

func (a *api) DeleteNamespace(_ context.Context, name string, _ bool) error {
	a.did = append(a.did, "delete "+name)
	a.namespaces = nil
	return nil
}

func (a *api) Apply(_ context.Context, _ string, objs []*unstructured.Unstructured) error {
	for _, o := range objs {
		name := o.GetKind() + "/" + o.GetName()
		a.did = append(a.did, "apply "+name)
		if why := a.refuse[name]; why != "" {
			return &fault.Error{Kind: fault.Input, Err: &kube.ApplyError{Object: name, Field: "spec", Reason: why}}
		}
		a.applied = append(a.applied, o)
	}
	return nil
}

func (a *api) NodePorts(context.Context) (map[int32]corev1.Service, error) { return a.ports, nil }

func (a *api) Export(context.Context, string, []schema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	return a.live, nil
}

func (a *api) Differs(_ context.Context, _ string, o *unstructured.Unstructured) (bool, error) {
	return a.refuse[o.GetKind()+"/"+o.GetName()] != "", nil
}

func exercise(a *api) *Exercise {
	l := &lab.Lab{ID: "gate", Files: fstest.MapFS{
		"starter/app.yaml": {Data: []byte("apiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec: {type: NodePort, ports: [{port: 80, nodePort: 30080}]}\n" +
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n")},
		"starter/db.yaml": {Data: []byte("apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 5432}]}\n")},
	}}
	return &Exercise{API: a, Context: "kind-x", Lab: l, Begin: func(string) func(error) { return func(error) {} }}
}

func TestPrepare(t *testing.T) {
	a := &api{}
	e := exercise(a)
	if made, err := e.Prepare(t.Context()); !made || err != nil {
		t.Fatalf("made %v, %v", made, err)
	}
	labels := a.namespaces[0].Labels
	if labels[grader.PurposeLabel] != grader.PurposeStudent || labels[LabLabel] != "gate" || labels["pod-security.kubernetes.io/enforce"] != "baseline" {
		t.Errorf("labels %v", labels)
	}
	if made, err := e.Prepare(t.Context()); made || err != nil || len(a.did) != 1 {
		t.Errorf("again: made %v, %v, did %q", made, err, a.did)
	}
	now := metav1.Now()
	a.namespaces[0].DeletionTimestamp = &now
	if made, err := e.Prepare(t.Context()); !made || err != nil || !slices.Equal(a.did[1:], []string{"delete gate", "create gate"}) {
		t.Errorf("on its way out: made %v, %v, did %q", made, err, a.did)
	}
}

func TestForeignNamespaceIsRefused(t *testing.T) {
	for name, labels := range map[string]map[string]string{
		"nobody's":      nil,
		"a grading's":   {grader.PurposeLabel: grader.PurposeGrade, LabLabel: "gate"},
		"another lab's": {grader.PurposeLabel: grader.PurposeStudent, LabLabel: "other"},
	} {
		a := &api{namespaces: []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "gate", Labels: labels}}}}
		e := exercise(a)
		_, errPrepare := e.Prepare(t.Context())
		_, errLook := e.Look(t.Context())
		for _, err := range []error{errPrepare, errLook, e.Remove(t.Context())} {
			if fault.KindOf(err) != fault.Input || err == nil || !strings.Contains(fault.RemedyOf(err), "kubectl --context kind-x delete namespace gate") {
				t.Errorf("%s: %v, remedy %q", name, err, fault.RemedyOf(err))
			}
		}
		if len(a.did) > 0 {
			t.Errorf("%s: did %q", name, a.did)
		}
	}
}

func TestApply(t *testing.T) {
	a := &api{refuse: map[string]string{"Service/front": "port is already allocated"}, ports: map[int32]corev1.Service{}}
	e := exercise(a)
	got, err := e.Apply(t.Context(), nil)
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, o := range got {
		if refused := o.Object == "Service/front"; refused != (o.Refused == "spec: port is already allocated") || o.Held != "" {
			t.Errorf("%+v", o)
		}
	}
	for _, o := range a.applied {
		if kept := o.GetAnnotations()[lastApplied]; !strings.Contains(kept, `"namespace":"gate"`) || strings.Contains(kept, "annotations") {
			t.Errorf("%s: kubectl would not know what was applied: %q", o.GetName(), kept)
		}
	}
	a.ports[30080] = corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "gate", Name: "front2"}}
	if got, _ := e.Apply(t.Context(), nil); slices.ContainsFunc(got, func(o Applied) bool { return o.Held != "" }) {
		t.Errorf("held by the exercise itself: %+v", got)
	}
	a.ports[30080] = corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "nodeport", Name: "frontend"}}
	if got, _ := e.Apply(t.Context(), nil); !slices.ContainsFunc(got, func(o Applied) bool { return o.Held == "nodeport/frontend" }) {
		t.Errorf("held by another lab: %+v", got)
	}
	if got, _ := e.Apply(t.Context(), func(file string) bool { return file == "db.yaml" }); len(got) != 1 || got[0].Object != "Service/db" {
		t.Errorf("only one file: %+v", got)
	}
}

func TestStarterThatIsNoManifestIsPartOfTheLab(t *testing.T) {
	e := exercise(&api{})
	e.Lab.Files = fstest.MapFS{"starter/app.yaml": {Data: []byte("kind: [\n")}}
	got, err := e.Apply(t.Context(), nil)
	if err != nil || len(got) != 1 || got[0].Object != "app.yaml" || !strings.Contains(got[0].Refused, "is not YAML") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOthers(t *testing.T) {
	service := func(name string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": name}}}
	}
	e := exercise(&api{live: []*unstructured.Unstructured{service("db"), service("mine")}})
	if got, err := e.Others(t.Context()); err != nil || !slices.Equal(got, []string{"Service/mine"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// What runs and is in no manifest is told, but for what a manifest's StatefulSet makes by itself.
func TestApart(t *testing.T) {
	object := func(kind, name string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"kind": kind, "metadata": map[string]any{"name": name}}}
	}
	set := object("StatefulSet", "db")
	set.Object["spec"] = map[string]any{"volumeClaimTemplates": []any{map[string]any{"metadata": map[string]any{"name": "data"}}}}
	a := &api{
		live:   []*unstructured.Unstructured{set, object("PersistentVolumeClaim", "data-db-0"), object("PersistentVolumeClaim", "mine"), object("Service", "db"), object("Service", "typed")},
		refuse: map[string]string{"Service/db": "another port"},
	}
	loose, changed, err := exercise(a).Apart(t.Context(), []*unstructured.Unstructured{set, object("Service", "db")})
	if err != nil || strings.Join(loose, " ") != "PersistentVolumeClaim/mine Service/typed" || strings.Join(changed, " ") != "Service/db" {
		t.Errorf("loose %q, changed %q, %v", loose, changed, err)
	}
}
