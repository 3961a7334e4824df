package kubectl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/plugin"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/fault"
)

// binding is kubectl's configuration: a kubeconfig with the cluster's one context, which
// names the lab's namespace. Plugins and "kubectl config" find the same there.
type binding struct {
	access cluster.Access
	server string
	path   string
}

// newBinding writes the kubeconfig beside the cluster's own, which it is made from.
func newBinding(access cluster.Access, namespace string) (*binding, error) {
	data, err := os.ReadFile(access.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig of cluster %q: %w", access.Name, err)
	}
	data, server, err := withNamespace(data, namespace)
	if err != nil {
		return nil, fault.Environmentf("read the kubeconfig of cluster %q: %w", access.Name, err).
			WithRemedy("labctl repair%s", target.NameFlag(access.Name))
	}
	b := &binding{access: access, server: server, path: filepath.Join(filepath.Dir(access.Kubeconfig), "kubectl.kubeconfig")}
	if old, err := os.ReadFile(b.path); err == nil && bytes.Equal(old, data) {
		return b, nil
	}
	if err := replace(b.path, data); err != nil {
		return nil, fmt.Errorf("write kubectl's kubeconfig: %w", err)
	}
	return b, nil
}

// replace changes a file in one step: another kubectl may be reading it.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// kubeconfig is the part of the file that matters here; the rest is kept as it is.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
		} `json:"cluster"`
	} `json:"clusters"`
}

// withNamespace returns the kubeconfig with the namespace in its contexts, and its server.
func withNamespace(data []byte, namespace string) (changed []byte, server string, err error) {
	var typed kubeconfig
	if err := yaml.Unmarshal(data, &typed); err != nil {
		return nil, "", err
	}
	if len(typed.Clusters) != 1 {
		return nil, "", fmt.Errorf("it names %d clusters, not one", len(typed.Clusters))
	}
	var whole map[string]any
	if err := yaml.Unmarshal(data, &whole); err != nil {
		return nil, "", err
	}
	contexts, _ := whole["contexts"].([]any)
	for _, c := range contexts {
		entry, _ := c.(map[string]any)
		context, ok := entry["context"].(map[string]any)
		if !ok {
			continue
		}
		delete(context, "namespace")
		if namespace != "" {
			context["namespace"] = namespace
		}
	}
	changed, err = yaml.Marshal(whole)
	return changed, typed.Clusters[0].Cluster.Server, err
}

// run runs kubectl with the arguments, plugins included.
func (b *binding) run(args []string) error {
	if err := os.Setenv("KUBECONFIG", b.path); err != nil { // for plugins, too
		return fmt.Errorf("set KUBECONFIG: %w", err)
	}
	whole := append([]string{"kubectl"}, args...)
	if _, err := logs.GlogSetter(cmd.GetLogVerbosity(whole)); err != nil {
		return fault.Inputf("-v: %w", err)
	}
	root := b.command(whole, genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	err := cli.RunNoErrOutput(root)
	var refused *fault.Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	cmdutil.CheckErr(err) // prints as kubectl does and ends with its code
	return nil
}

// command is kubectl's tree of commands, which goes nowhere but to the cluster.
func (b *binding) command(args []string, streams genericiooptions.IOStreams) *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50).
		WithWarningPrinter(streams)
	root := cmd.NewDefaultKubectlCommandWithArgs(cmd.KubectlOptions{
		PluginHandler: cmd.NewDefaultPluginHandler(plugin.ValidPluginFilenamePrefixes),
		Arguments:     args, ConfigFlags: flags, IOStreams: streams,
	})
	root.SetArgs(args[1:])
	before := root.PersistentPreRunE
	root.PersistentPreRunE = func(c *cobra.Command, args []string) error {
		if err := b.refuse(c); err != nil {
			return err
		}
		return before(c, args)
	}
	return root
}

// refuse rejects flags that would lead to another cluster.
func (b *binding) refuse(c *cobra.Command) error {
	for flag, own := range map[string]string{
		"kubeconfig": b.path, "context": b.access.Context, "cluster": b.access.Context, "user": b.access.Context, "server": b.server,
	} {
		f := c.Flags().Lookup(flag)
		if f == nil || !f.Changed || f.Value.String() == own {
			continue
		}
		return fault.Inputf("--%s %s leads away from labctl's cluster %q, and labctl kubectl touches no other", flag, f.Value, b.access.Name).
			WithRemedy("leave --%s out; for another cluster of labctl's: labctl kubectl --name NAME …; for any other use kubectl itself", flag)
	}
	return nil
}

// complete asks kubectl's own completion.
func (b *binding) complete(args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if err := os.Setenv("KUBECONFIG", b.path); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	whole := append(append([]string{"kubectl", cobra.ShellCompRequestCmd}, args...), toComplete)
	var out bytes.Buffer
	root := b.command(whole, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: io.Discard})
	root.SetOut(&out)
	root.SetErr(io.Discard)
	if err := root.Execute(); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return completions(out.String())
}

// completions reads what cobra's completion command writes: a line each, and ":directive".
func completions(text string) ([]string, cobra.ShellCompDirective) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last, ok := strings.CutPrefix(lines[len(lines)-1], ":")
	directive, err := strconv.Atoi(last)
	if !ok || err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return lines[:len(lines)-1], cobra.ShellCompDirective(directive)
}
