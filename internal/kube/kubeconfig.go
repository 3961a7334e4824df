package kube

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

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

// AdminContext makes of the administrator's kubeconfig that kubeadm wrote one whose context,
// cluster and user have the name, and whose API is at the server (https://address:port).
func AdminContext(kubeadm []byte, name, server string) ([]byte, error) {
	admin, err := clientcmd.Load(kubeadm)
	if err != nil {
		return nil, fmt.Errorf("read the administrator's kubeconfig: %w", err)
	}
	c := admin.Contexts[admin.CurrentContext]
	if c == nil || admin.Clusters[c.Cluster] == nil || admin.AuthInfos[c.AuthInfo] == nil {
		return nil, fmt.Errorf("the administrator's kubeconfig has no context %q with a cluster and a user", admin.CurrentContext)
	}
	config := clientcmdapi.NewConfig()
	config.CurrentContext = name
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.Clusters[name], config.AuthInfos[name] = admin.Clusters[c.Cluster], admin.AuthInfos[c.AuthInfo]
	config.Clusters[name].Server = server
	return clientcmd.Write(*config)
}

// AddContext gives the user's kubeconfig the context of the name, whose cluster and user have
// it too, from another kubeconfig, and makes it the current one. A namespace that the user has
// chosen for it stays; where everything is as it should be, nothing is written.
func AddContext(kubeconfig, from, name string) error {
	source, err := clientcmd.LoadFromFile(from)
	if err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	context, cluster, user := source.Contexts[name], source.Clusters[name], source.AuthInfos[name]
	if context == nil || cluster == nil || user == nil {
		return fmt.Errorf("%s has no context %s", from, name)
	}
	files := access(kubeconfig)
	config, err := files.GetStartingConfig()
	if err != nil {
		return fault.Inputf("read your kubeconfig: %w", err).WithRemedy("kubectl config view")
	}
	before := config.DeepCopy()
	// What is there already is replaced in the file that it is in.
	context.LocationOfOrigin, cluster.LocationOfOrigin, user.LocationOfOrigin = "", "", ""
	if was := config.Contexts[name]; was != nil {
		context.LocationOfOrigin, context.Namespace = was.LocationOfOrigin, was.Namespace
	}
	if was := config.Clusters[name]; was != nil {
		cluster.LocationOfOrigin = was.LocationOfOrigin
	}
	if was := config.AuthInfos[name]; was != nil {
		user.LocationOfOrigin = was.LocationOfOrigin
	}
	config.Contexts[name], config.Clusters[name], config.AuthInfos[name] = context, cluster, user
	config.CurrentContext = name
	if equality.Semantic.DeepEqual(before, config) {
		return nil
	}
	return clientcmd.ModifyConfig(files, *config, false)
}

// access reads and writes the kubeconfig as kubectl does.
func access(kubeconfig string) *clientcmd.PathOptions {
	options := clientcmd.NewDefaultPathOptions()
	options.LoadingRules.ExplicitPath = kubeconfig
	return options
}
