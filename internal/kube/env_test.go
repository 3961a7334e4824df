package kube

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"labctl.dev/labctl/internal/fault"
)

func stored(name string) (*corev1.Secret, *corev1.ConfigMap) {
	m := metav1.ObjectMeta{Name: name, Namespace: "ns"}
	return &corev1.Secret{ObjectMeta: m, Data: map[string][]byte{"PASSWORD": []byte("s3cret"), "USER": []byte("shop")}},
		&corev1.ConfigMap{ObjectMeta: m, Data: map[string]string{"HOST": "db", "USER": "other"}}
}

func secretKey(name, key string, optional bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &optional,
	}}
}

func field(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
}

func allOf(secret, configMap string) []corev1.EnvFromSource {
	var all []corev1.EnvFromSource
	if secret != "" {
		all = append(all, corev1.EnvFromSource{Prefix: "DB_", SecretRef: &corev1.SecretEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret},
		}})
	}
	if configMap != "" {
		all = append(all, corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: configMap},
		}})
	}
	return all
}

func TestEnv(t *testing.T) {
	tests := map[string]struct {
		from  []corev1.EnvFromSource
		env   []corev1.EnvVar
		want  map[string]string
		wrong string
	}{
		"plain":            {env: []corev1.EnvVar{{Name: "A", Value: "1"}}, want: map[string]string{"A": "1"}},
		"from a secret":    {env: []corev1.EnvVar{{Name: "P", ValueFrom: secretKey("db", "PASSWORD", false)}}, want: map[string]string{"P": "s3cret"}},
		"whole objects":    {from: allOf("db", "db"), want: map[string]string{"DB_PASSWORD": "s3cret", "DB_USER": "shop", "HOST": "db", "USER": "other"}},
		"env over envFrom": {from: allOf("", "db"), env: []corev1.EnvVar{{Name: "HOST", Value: "mine"}}, want: map[string]string{"HOST": "mine", "USER": "other"}},
		"expanded": {
			env: []corev1.EnvVar{
				{Name: "P", ValueFrom: secretKey("db", "PASSWORD", false)},
				{Name: "URL", Value: "postgres://shop:$(P)@db:5432/$(LATER)?a=$$(P)"}, {Name: "LATER", Value: "x"},
			},
			want: map[string]string{"P": "s3cret", "URL": "postgres://shop:s3cret@db:5432/$(LATER)?a=$(P)", "LATER": "x"},
		},
		"the pod's fields": {
			env: []corev1.EnvVar{
				{Name: "N", ValueFrom: field("metadata.name")}, {Name: "L", ValueFrom: field("metadata.labels['app']")},
				{Name: "I", ValueFrom: field("status.podIP")},
			},
			want: map[string]string{"N": "p", "L": "web", "I": "10.244.0.7"},
		},
		"optional and missing": {env: []corev1.EnvVar{{Name: "P", ValueFrom: secretKey("none", "x", true)}}, want: map[string]string{}},
		"no such secret": {
			env:   []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "P", ValueFrom: secretKey("none", "x", false)}},
			want:  map[string]string{"A": "1"},
			wrong: "P: there is no Secret none",
		},
		"no such key":        {env: []corev1.EnvVar{{Name: "P", ValueFrom: secretKey("db", "PASS", false)}}, want: map[string]string{}, wrong: "P: Secret db has no key PASS"},
		"no such config map": {from: allOf("", "none"), want: map[string]string{}, wrong: "envFrom: there is no ConfigMap none"},
		"unknown field":      {env: []corev1.EnvVar{{Name: "X", ValueFrom: field("spec.none")}}, want: map[string]string{}, wrong: "spec.none"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			secret, configMap := stored("db")
			c := &Client{typed: fake.NewClientset(secret, configMap)}
			p := withProbe("p")
			p.Labels = map[string]string{"app": "web"}
			p.Spec.Containers = []corev1.Container{{Name: "c", Env: tt.env, EnvFrom: tt.from}}
			got, err := c.Env(t.Context(), "ns", p, "c")
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("error %v, want %q", err, tt.wrong)
			}
			if tt.wrong != "" && fault.KindOf(err) != fault.Input {
				t.Errorf("kind %d", fault.KindOf(err))
			}
		})
	}
}

func TestEnvWhenTheServerFails(t *testing.T) {
	cluster := fake.NewClientset()
	cluster.PrependReactor("get", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewInternalError(errors.New("etcd"))
	})
	p := withProbe("p")
	p.Spec.Containers = []corev1.Container{{Name: "c", EnvFrom: allOf("db", "")}}
	if _, err := (&Client{typed: cluster}).Env(t.Context(), "ns", p, "c"); fault.KindOf(err) != fault.Environment {
		t.Errorf("got %v", err)
	}
}

func TestConfigMap(t *testing.T) {
	c := &Client{typed: fake.NewClientset()}
	if _, err := c.ConfigMap(t.Context(), "ns", "none"); !IsNotFound(err) {
		t.Errorf("got %v", err)
	}
	for _, data := range []map[string]string{{"a": "1", "b": "2"}, {"a": "3"}} {
		if err := c.PutConfigMap(t.Context(), "ns", "m", data); err != nil {
			t.Fatal(err)
		}
		if got, err := c.ConfigMap(t.Context(), "ns", "m"); err != nil || !maps.Equal(got, data) {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestDeletePodThatIsNotThere(t *testing.T) {
	if err := (&Client{typed: fake.NewClientset()}).DeletePod(t.Context(), "ns", "none"); err != nil {
		t.Error(err)
	}
}

func TestExecInAPodThatIsNotThere(t *testing.T) {
	c := server(t, func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "p").Status())
	})
	err := c.Exec(t.Context(), "ns", "p", "c", []string{"true"}, nil, nil, nil)
	var gone *PodGone
	if !errors.As(err, &gone) || gone.Pod != "p" {
		t.Errorf("got %v", err)
	}
}

func TestExecThatDoesNotArrive(t *testing.T) {
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/namespaces/ns/pods/p" {
			reply(w, http.StatusOK, &corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "p"}})
			return
		}
		refuse(w, apierrors.NewInternalError(errors.New("the node does not answer")).Status())
	})
	err := c.Exec(t.Context(), "ns", "p", "c", []string{"true"}, nil, nil, nil)
	var gone *PodGone
	if err == nil || errors.As(err, &gone) || fault.KindOf(err) != fault.Environment {
		t.Errorf("got %v", err)
	}
}

func TestConnectWithoutACluster(t *testing.T) {
	_, err := Connect(t.TempDir()+"/none", "kind-none")
	if fault.KindOf(err) != fault.Environment || fault.RemedyOf(err) != "labctl up" {
		t.Errorf("got %v", err)
	}
}
