package kubectl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/ui"
)

func TestParse(t *testing.T) {
	t.Setenv("LABCTL_CLUSTER", "")
	for _, c := range []struct {
		args []string
		name string
		left []string
	}{
		{nil, "labctl", nil},
		{[]string{"get", "pods"}, "labctl", []string{"get", "pods"}},
		{[]string{"--name", "dev", "get"}, "dev", []string{"get"}},
		{[]string{"--name=dev", "get"}, "dev", []string{"get"}},
		// Behind kubectl's first word it is kubectl's own.
		{[]string{"run", "x", "--name", "dev"}, "labctl", []string{"run", "x", "--name", "dev"}},
	} {
		got, err := parse(ui.Streams{}, c.args)
		if err != nil || got.Name != c.name || !cmp.Equal(got.Args, c.left) {
			t.Errorf("%q: cluster %q, args %q, %v", c.args, got.Name, got.Args, err)
		}
	}
}

const config = `apiVersion: v1
kind: Config
clusters: [{name: kind-dev, cluster: {server: "https://127.0.0.1:1", certificate-authority-data: QQ==}}]
contexts: [{name: kind-dev, context: {cluster: kind-dev, user: kind-dev, namespace: old}}]
users: [{name: kind-dev, user: {client-key-data: QQ==}}]
`

func TestWithNamespace(t *testing.T) {
	got, server, err := withNamespace([]byte(config), "shop")
	if err != nil || server != "https://127.0.0.1:1" {
		t.Fatalf("server %q, %v", server, err)
	}
	for _, want := range []string{"namespace: shop", "certificate-authority-data: QQ==", "client-key-data: QQ=="} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got, _, _ := withNamespace([]byte(config), ""); strings.Contains(string(got), "namespace") {
		t.Errorf("a namespace in\n%s", got)
	}
	if _, _, err := withNamespace([]byte("clusters: []"), ""); err == nil {
		t.Error("a kubeconfig without a cluster is accepted")
	}
}

func TestCompletions(t *testing.T) {
	got, directive := completions("get\tshow\ngo\n:4\nCompletion ended\n")
	if directive != cobra.ShellCompDirectiveError {
		t.Errorf("text behind the directive: %q, %v", got, directive)
	}
	got, directive = completions("get\tshow\ngo\n:4\n")
	if directive != cobra.ShellCompDirectiveNoFileComp || !cmp.Equal(got, []string{"get\tshow", "go"}) {
		t.Errorf("got %q, %v", got, directive)
	}
}
