package grader

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A variable that Kubernetes does not put in is explained; what it does put in is not.
func TestUnfilled(t *testing.T) {
	variable := func(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }
	password, address := variable("DB_PASSWORD", "x"), variable("DATABASE_URL", "postgres://shop:$(DB_PASSWORD)@db/shop")
	some := []corev1.EnvFromSource{{Prefix: "DB_"}}
	for name, c := range map[string]struct {
		env  []corev1.EnvVar
		from []corev1.EnvFromSource
		want string
	}{
		"above":          {[]corev1.EnvVar{password, address}, nil, ""},
		"below":          {[]corev1.EnvVar{address, password}, nil, "DATABASE_URL takes in $(DB_PASSWORD), which no variable above it"},
		"nowhere":        {[]corev1.EnvVar{address}, nil, "DATABASE_URL takes in $(DB_PASSWORD), which no variable above it"},
		"perhaps":        {[]corev1.EnvVar{address}, some, ""},
		"below, and yet": {[]corev1.EnvVar{address, password}, some, "no variable above it"},
		"itself":         {[]corev1.EnvVar{variable("A", "$(A)")}, nil, "A takes in $(A)"},
		"meant so":       {[]corev1.EnvVar{variable("A", "$$(B)")}, nil, ""},
	} {
		got := unfilled(corev1.PodSpec{Containers: []corev1.Container{{Env: c.env, EnvFrom: c.from}}})
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
