package builtin

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Credentials returns a kubeconfig that holds one context of the file and nothing else,
// for a process that must go on when the user's own file changes. An empty file means the
// user's default, an empty context the file's current one.
func Credentials(file, context string) ([]byte, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = file
	config, err := rules.Load()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if context != "" {
		config.CurrentContext = context
	}
	if config.Contexts[config.CurrentContext] == nil {
		return nil, fmt.Errorf("the kubeconfig has no context %q", config.CurrentContext)
	}
	if err := api.MinifyConfig(config); err != nil {
		return nil, fmt.Errorf("take context %q out of the kubeconfig: %w", config.CurrentContext, err)
	}
	if err := api.FlattenConfig(config); err != nil {
		return nil, fmt.Errorf("read the files that context %q names: %w", config.CurrentContext, err)
	}
	out, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("write a kubeconfig for context %q: %w", config.CurrentContext, err)
	}
	return out, nil
}
