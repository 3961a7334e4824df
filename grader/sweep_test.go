package grader

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leftovers is a cluster with namespaces of earlier gradings.
type leftovers struct {
	API
	namespaces        []corev1.Namespace
	deleted, released []string
}

func (l *leftovers) Namespaces(context.Context, string) ([]corev1.Namespace, error) {
	return l.namespaces, nil
}

func (l *leftovers) DeleteNamespace(_ context.Context, name string, _ bool) error {
	l.deleted = append(l.deleted, name)
	return nil
}

func (l *leftovers) Release(_ context.Context, namespace string) ([]string, error) {
	l.released = append(l.released, namespace)
	return []string{"Service/frontend (example.com/never)"}, nil
}

func TestSweep(t *testing.T) {
	namespace := func(name string, pid int, goingFor time.Duration) corev1.Namespace {
		ns := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{pidLabel: strconv.Itoa(pid)}}}
		if goingFor > 0 {
			ns.DeletionTimestamp = &metav1.Time{Time: time.Now().Add(-goingFor)}
		}
		return ns
	}
	const nobody = 1 << 30 // above what a process can have
	l := &leftovers{namespaces: []corev1.Namespace{
		namespace("in-use", os.Getpid(), 0), namespace("left", nobody, 0),
		namespace("going", nobody, 10*time.Second), namespace("stuck", nobody, time.Hour), namespace("stuck-of-mine", os.Getpid(), time.Hour),
	}}
	var said []string
	g := &Grading{API: l, Begin: func(step string) func(error) { said = append(said, step); return func(error) {} }}
	if err := g.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.deleted, []string{"left"}) || !slices.Equal(l.released, []string{"stuck", "stuck-of-mine"}) {
		t.Errorf("deleted %q, released %q", l.deleted, l.released)
	}
	if len(said) != 2 || !strings.Contains(said[0], "stuck: Service/frontend (example.com/never)") {
		t.Errorf("no record: %q", said)
	}
}
