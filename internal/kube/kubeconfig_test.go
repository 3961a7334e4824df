package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

const userConfig = `apiVersion: v1
kind: Config
current-context: prod
clusters:
- name: prod
  cluster: {server: "https://prod.example:6443"}
- name: kind-dev
  cluster: {server: "https://127.0.0.1:40001"}
contexts:
- name: prod
  context: {cluster: prod, user: me, namespace: shop}
- name: kind-dev
  context: {cluster: kind-dev, user: kind-dev}
- name: nowhere
  context: {cluster: gone, user: me}
users:
- name: me
  user: {token: secret}
- name: kind-dev
  user: {token: x}
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindContext(t *testing.T) {
	path := writeConfig(t, userConfig)
	found, ok, err := FindContext(path, "kind-dev")
	if err != nil || !ok || found.Server != "https://127.0.0.1:40001" || found.Namespace != "" || found.Current != "prod" || found.File != path {
		t.Errorf("%+v, %v, %v", found, ok, err)
	}
	if found, ok, err := FindContext(path, "nowhere"); err != nil || !ok || found.Server != "" {
		t.Errorf("a context without a cluster: %+v, %v, %v", found, ok, err)
	}
	if found, ok, err := FindContext(path, "kind-labctl"); err != nil || ok || found.Current != "prod" {
		t.Errorf("no such context: %+v, %v, %v", found, ok, err)
	}
	if _, ok, err := FindContext(filepath.Join(t.TempDir(), "none"), "kind-dev"); ok || err != nil {
		t.Errorf("no such file: %v, %v", ok, err)
	}
	if _, _, err := FindContext(writeConfig(t, "contexts: ["), "x"); fault.KindOf(err) != fault.Input {
		t.Errorf("a broken file: %v", err)
	}
}

func TestSetContextNamespace(t *testing.T) {
	path := writeConfig(t, userConfig)
	for range 2 {
		if err := SetContextNamespace(path, "kind-dev", "clusterip"); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"kind-dev": "clusterip", "prod": "shop", "nowhere": ""} {
		found, _, err := FindContext(path, name)
		if err != nil || found.Namespace != want || found.Current != "prod" {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), "token: secret") {
		t.Errorf("something else was changed: %s, %v", data, err)
	}
	if err := SetContextNamespace(path, "absent", "x"); err == nil {
		t.Error("a context that is not there was set")
	}
}

// KUBECONFIG may list several files; each context is changed where it is.
func TestSetContextNamespaceInTheFileOfTheContext(t *testing.T) {
	first := writeConfig(t, "apiVersion: v1\nkind: Config\ncurrent-context: prod\n")
	second := writeConfig(t, userConfig)
	t.Setenv("KUBECONFIG", first+string(filepath.ListSeparator)+second)
	if err := SetContextNamespace("", "kind-dev", "clusterip"); err != nil {
		t.Fatal(err)
	}
	if found, ok, err := FindContext(second, "kind-dev"); err != nil || !ok || found.Namespace != "clusterip" {
		t.Errorf("%+v, %v, %v", found, ok, err)
	}
	if data, err := os.ReadFile(first); err != nil || strings.Contains(string(data), "clusterip") {
		t.Errorf("the wrong file was changed: %s, %v", data, err)
	}
}
