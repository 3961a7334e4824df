package cluster

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"
)

// PinnedNodeImage is the node image that this version of kind was released with, pinned
// by its digest.
func PinnedNodeImage() string { return defaults.Image }

// PodSubnet is where the pods of a cluster have their addresses, as "10.244.0.0/16".
func PodSubnet() string {
	var config v1alpha4.Cluster
	v1alpha4.SetDefaultsCluster(&config)
	return config.Networking.PodSubnet
}

// kindAPI is what this package needs of kind, so that tests can stand in for it.
type kindAPI interface {
	// Create creates node containers and runs kubeadm in them. It takes no context, keeps
	// the containers when it fails, and does not wait for readiness.
	Create(name string, config *v1alpha4.Cluster, kubeconfig string, logger log.Logger) error
	// Unexport takes the context kind-<name> out of a kubeconfig; "" follows kubectl's rules.
	// No node containers may be left.
	Unexport(name, kubeconfig string) error
}

type kindProvider struct{ provider, bin string }

func (k *kindProvider) open(logger log.Logger) *cluster.Provider {
	option := cluster.ProviderWithDocker()
	switch k.provider {
	case "podman":
		option = cluster.ProviderWithPodman()
	case "nerdctl":
		option = cluster.ProviderWithNerdctl(k.bin)
	}
	return cluster.NewProvider(option, cluster.ProviderWithLogger(logger))
}

func (k *kindProvider) Create(name string, config *v1alpha4.Cluster, kubeconfig string, logger log.Logger) error {
	return k.open(logger).Create(name,
		cluster.CreateWithV1Alpha4Config(config),
		cluster.CreateWithKubeconfigPath(kubeconfig),
		cluster.CreateWithRetain(true), // so that what went wrong can be read before it is removed
		cluster.CreateWithDisplayUsage(false),
		cluster.CreateWithDisplaySalutation(false),
	)
}

func (k *kindProvider) Unexport(name, kubeconfig string) error {
	return k.open(log.NoopLogger{}).Delete(name, kubeconfig)
}

// apiAddress is where the API server's port is published.
const apiAddress = "127.0.0.1"

// configuration is what "kind create cluster --config" would be given.
func configuration(r *record, cgroupVersion string) *v1alpha4.Cluster {
	config := &v1alpha4.Cluster{
		TypeMeta:   v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:       r.Name,
		Nodes:      []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole, Image: r.NodeImage}},
		Networking: v1alpha4.Networking{APIServerAddress: apiAddress, APIServerPort: r.APIPort},
	}
	for range r.Workers {
		config.Nodes = append(config.Nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole, Image: r.NodeImage})
	}
	if cgroupVersion == "1" {
		// Since Kubernetes 1.35 the kubelet refuses such hosts unless it is told otherwise.
		config.KubeadmConfigPatches = []string{"kind: KubeletConfiguration\nfailCgroupV1: false\n"}
	}
	v1alpha4.SetDefaultsCluster(config)
	return config
}

// freePort picks a port for the API server, as kind would.
func freePort() (int32, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, fmt.Errorf("find a free port for the API server: %w", err)
	}
	defer func() { _ = l.Close() }()
	return int32(l.Addr().(*net.TCPAddr).Port), nil //nolint:gosec // a port fits
}

// outputOf returns what the command that failed inside kind had to say.
func outputOf(err error) string {
	var failed *exec.RunError
	for err != nil {
		if errors.As(err, &failed) {
			return strings.TrimSpace(string(failed.Output))
		}
		// kind wraps with a package whose errors only have Cause.
		causer, ok := err.(interface{ Cause() error }) //nolint:errorlint // walks the chain itself
		if !ok {
			return ""
		}
		err = causer.Cause()
	}
	return ""
}

// complaint is the line of a failed command's output that says most.
func complaint(output string) string {
	lines := strings.Split(output, "\n")
	for _, line := range slices.Backward(lines) {
		lower := strings.ToLower(line)
		if strings.HasPrefix(lower, "error") || strings.Contains(lower, "error response from daemon") || strings.Contains(lower, "error execution phase") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}
