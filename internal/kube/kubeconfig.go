package kube

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"

	"labctl.dev/labctl/internal/fault"
)

// UserContext is a context of the user's own kubeconfig.
type UserContext struct {
	Server    string // of the API; "" where the context names no cluster that there is
	Namespace string
	File      string // that it is in
	Current   string // the name of the context that kubectl uses now
}

// FindContext looks for the context in the kubeconfig; "" follows kubectl's rules, by which
// several files can be one. It returns false where there is no such context.
func FindContext(kubeconfig, name string) (UserContext, bool, error) {
	config, err := access(kubeconfig).GetStartingConfig()
	if err != nil {
		return UserContext{}, false, fault.Inputf("read your kubeconfig: %w", err).WithRemedy("kubectl config view")
	}
	found := UserContext{Current: config.CurrentContext}
	c, ok := config.Contexts[name]
	if !ok || c == nil {
		return found, false, nil
	}
	found.Namespace, found.File = c.Namespace, c.LocationOfOrigin
	if cluster := config.Clusters[c.Cluster]; cluster != nil {
		found.Server = cluster.Server
	}
	return found, true, nil
}

// SetContextNamespace sets the namespace of the context, in the file that it is in, and
// changes nothing else.
func SetContextNamespace(kubeconfig, name, namespace string) error {
	files := access(kubeconfig)
	config, err := files.GetStartingConfig()
	if err != nil {
		return fault.Inputf("read your kubeconfig: %w", err).WithRemedy("kubectl config view")
	}
	c, ok := config.Contexts[name]
	if !ok || c == nil {
		return fmt.Errorf("your kubeconfig has no context %s", name)
	}
	if c.Namespace == namespace {
		return nil
	}
	c.Namespace = namespace
	if err := clientcmd.ModifyConfig(files, *config, false); err != nil {
		return fault.Inputf("set the namespace of context %s in your kubeconfig: %w", name, err).
			WithRemedy("kubectl config set-context %s --namespace %s", name, namespace)
	}
	return nil
}

// access reads and writes the kubeconfig as kubectl does.
func access(kubeconfig string) *clientcmd.PathOptions {
	options := clientcmd.NewDefaultPathOptions()
	options.LoadingRules.ExplicitPath = kubeconfig
	return options
}
