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

const adminConf = `apiVersion: v1
kind: Config
current-context: kubernetes-admin@dev
clusters: [{name: dev, cluster: {server: "https://dev-control-plane:6443", certificate-authority-data: Y2E=}}]
contexts: [{name: kubernetes-admin@dev, context: {cluster: dev, user: kubernetes-admin}}]
users: [{name: kubernetes-admin, user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}}]
`

func ownConfig(t *testing.T, name, server string) string {
	t.Helper()
	own, err := AdminContext([]byte(adminConf), name, server)
	if err != nil {
		t.Fatal(err)
	}
	return writeConfig(t, string(own))
}

func TestAdminContextIsRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no YAML", "contexts: [", "read the administrator's kubeconfig"},
		{"cut off", "", `no context ""`},
		{"no user", strings.Replace(adminConf, "name: kubernetes-admin, user", "name: other, user", 1), "with a cluster and a user"},
	} {
		if _, err := AdminContext([]byte(c.text), "kind-dev", "https://127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
	}
}

func TestAddContext(t *testing.T) {
	own := ownConfig(t, "kind-dev", "https://127.0.0.1:40002")
	shop := strings.Replace(userConfig, "user: kind-dev}", "user: kind-dev, namespace: mine}", 1)
	for _, c := range []struct{ name, before, namespace string }{
		{"a new file", "", ""},
		{"another server before", userConfig, ""},
		{"the namespace is the user's", shop, "mine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "config")
			if c.before != "" {
				path = writeConfig(t, c.before)
			}
			if err := AddContext(path, own, "kind-dev"); err != nil {
				t.Fatal(err)
			}
			found, ok, err := FindContext(path, "kind-dev")
			if err != nil || !ok || found.Server != "https://127.0.0.1:40002" || found.Namespace != c.namespace || found.Current != "kind-dev" {
				t.Errorf("%+v, %v, %v", found, ok, err)
			}
			if prod, ok, _ := FindContext(path, "prod"); c.before != "" && (!ok || prod.Namespace != "shop" || prod.Server != "https://prod.example:6443") {
				t.Errorf("the user's other context: %+v, %v", prod, ok)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			// Nothing to change: not even a lock is needed.
			if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := AddContext(path, own, "kind-dev"); err != nil {
				t.Errorf("again: %v", err)
			}
			if err := AddContext(path, ownConfig(t, "kind-dev", "https://127.0.0.1:40003"), "kind-dev"); err == nil {
				t.Error("a locked file was written to")
			}
		})
	}
}

// TestAddContextToSeveralFiles: what is there already is replaced where it is; what is new goes
// into the first file that exists.
func TestAddContextToSeveralFiles(t *testing.T) {
	first, second := writeConfig(t, "apiVersion: v1\nkind: Config\n"), writeConfig(t, userConfig)
	t.Setenv("KUBECONFIG", first+string(filepath.ListSeparator)+second)
	for _, c := range []struct{ name, file string }{{"kind-dev", second}, {"kind-new", first}} {
		if err := AddContext("", ownConfig(t, c.name, "https://127.0.0.1:40004"), c.name); err != nil {
			t.Fatal(err)
		}
		found, ok, err := FindContext("", c.name)
		if err != nil || !ok || found.File != c.file || found.Server != "https://127.0.0.1:40004" || found.Current != c.name {
			t.Errorf("%s: %+v, %v, %v", c.name, found, ok, err)
		}
	}
}

func TestAddContextFails(t *testing.T) {
	own := ownConfig(t, "kind-dev", "https://127.0.0.1:40002")
	if err := AddContext(writeConfig(t, ""), own, "kind-other"); err == nil || !strings.Contains(err.Error(), "has no context kind-other") {
		t.Errorf("a context that is not there: %v", err)
	}
	if err := AddContext(writeConfig(t, "contexts: ["), own, "kind-dev"); fault.KindOf(err) != fault.Input {
		t.Errorf("a broken file: %v", err)
	}
	if err := AddContext(writeConfig(t, ""), filepath.Join(t.TempDir(), "none"), "kind-dev"); err == nil {
		t.Error("a source that is not there")
	}
}
