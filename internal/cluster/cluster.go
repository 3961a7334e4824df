// Package cluster creates, checks, repairs and removes labctl's clusters with kind. It is
// the only importer of sigs.k8s.io/kind.
//
// A cluster is labctl's when a state file of labctl claims its containers. The file is
// written before the first container exists, so that whatever kills labctl, the next one
// knows what a half-made cluster is and whose. Every change of a cluster happens under
// its Lock, which the caller takes.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
)

// DefaultName is the cluster that commands use when none is named.
const DefaultName = "labctl"

// DefaultWorkers is how many workers a new cluster gets when nobody says.
const DefaultWorkers = 2

// LabelOf is the label of containers that belong to a cluster without being its nodes
// (the outside vantage point, load balancers). Its value is the cluster's name; they are
// removed with the cluster.
const LabelOf = "dev.labctl.cluster"

// kind's own labels on node containers.
const (
	labelCluster = "io.x-k8s.kind.cluster"
	labelRole    = "io.x-k8s.kind.role"
	roleControl  = "control-plane"
	network      = "kind"
)

// AsItIs as a number of workers leaves an existing cluster's alone, and gives a new
// cluster DefaultWorkers.
const AsItIs = -1

// Progress shows steps; they may overlap.
type Progress interface {
	Begin(step string) (end func(err error))
}

// Options say what cluster Up has to come up with.
type Options struct {
	Name      string
	Workers   int    // AsItIs when the user did not say
	NodeImage string // the image to create nodes from; an existing cluster keeps its own
	// Kubeconfig is where the user's context goes; "" follows kubectl's rules.
	Kubeconfig string
	// LoadBalancer is the user's choice, kept so that a repair makes the same again.
	LoadBalancer string
}

// Node is one node of a cluster, as the engine knows it.
type Node struct {
	Name        string `json:"name"`
	Role        string `json:"role"` // control-plane or worker
	IPv4        string `json:"ipv4"` // on the kind network
	ContainerID string `json:"containerID"`
	Running     bool   `json:"running"`
	// StartedAt is when its container was started last, by the clock that the node has too.
	StartedAt time.Time `json:"startedAt"`
}

// Cluster is a cluster of labctl's.
type Cluster struct {
	Name    string `json:"name"`
	Context string `json:"context"` // kind-<name>
	// Kubeconfig is labctl's own copy, with that one context. What the user does to
	// theirs does not matter to labctl.
	Kubeconfig string `json:"kubeconfig"`
	// UserKubeconfig is the file that the user asked for; "" means kubectl's rules.
	UserKubeconfig string    `json:"userKubeconfig,omitempty"`
	Nodes          []Node    `json:"nodes"` // the control plane first
	NodeImage      string    `json:"nodeImage"`
	LoadBalancer   string    `json:"loadBalancer,omitempty"` // as the user chose
	CreatedAt      time.Time `json:"createdAt"`
	// Labctl is the version that last completed the cluster; another one's Up brings its
	// images and its load balancer up to date. "" where that was not recorded.
	Labctl string `json:"labctl,omitempty"`
	// Existed tells that Up found the cluster and did not create it.
	Existed bool `json:"-"`
}

// NodeNames returns the names of the cluster's nodes, which are their containers' names.
func (c *Cluster) NodeNames() []string {
	names := make([]string, 0, len(c.Nodes))
	for _, n := range c.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// Clusters are the clusters of one engine.
type Clusters struct {
	engine   *engine.Engine
	progress Progress
	state    string // the folder
	kind     kindAPI
	connect  func(*Cluster) (control, error)
}

// New returns the clusters of an engine.
func New(e *engine.Engine, p Progress) (*Clusters, error) {
	state, err := home.State()
	if err != nil {
		return nil, err
	}
	return &Clusters{
		engine: e, progress: p, state: filepath.Join(state, "clusters"),
		kind: &kindProvider{provider: e.Provider(), bin: e.Binary()}, connect: connect,
	}, nil
}

// Folder is where the files about a cluster are kept; it goes away with the cluster.
func (c *Clusters) Folder(name string) string { return filepath.Join(c.state, name) }

// Find returns a cluster that labctl made, as it is recorded and as its containers are
// now; it does not tell whether it is healthy. A cluster that labctl did not make is
// refused, one that does not exist is ErrNone.
func (c *Clusters) Find(ctx context.Context, name string) (*Cluster, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	found, err := c.examine(ctx, name)
	if err != nil {
		return nil, err
	}
	switch found.standing {
	case foreign:
		return nil, found.refusal()
	case owned, damaged:
		return c.describe(found.record, found.containers), nil
	case halfMade:
		return nil, none("cluster %q is only half made", name)
	default:
		return nil, none("there is no cluster %q", name)
	}
}

// ErrNone says that there is no such cluster.
var ErrNone = errors.New("no such cluster")

// noneError is ErrNone in words of its own.
type noneError struct{ text string }

func (e *noneError) Error() string { return e.text }

// Is makes it ErrNone.
func (e *noneError) Is(target error) bool { return target == ErrNone } //nolint:errorlint // that is its use

func none(format, name string) error {
	return fault.Environmentf("%w", &noneError{text: fmt.Sprintf(format, name)}).WithRemedy("%s", upCommand(name))
}

func upCommand(name string) string     { return "labctl up" + nameFlag(name) }
func repairCommand(name string) string { return "labctl repair" + nameFlag(name) }

func nameFlag(name string) string {
	if name == DefaultName {
		return ""
	}
	return " --name " + name
}

// checkName holds kind's rule, and the length that leaves node names valid host names.
func checkName(name string) error {
	if len(name) > 50 || !regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`).MatchString(name) {
		return fault.Inputf("%q is not a cluster name", name).
			WithRemedy("use at most 50 lower-case letters, digits, dots and dashes")
	}
	return nil
}

func (c *Clusters) describe(r *record, containers []engine.Container) *Cluster {
	return &Cluster{
		Name: r.Name, Context: "kind-" + r.Name, Kubeconfig: c.kubeconfig(r.Name), UserKubeconfig: r.Kubeconfig,
		Nodes: nodesOf(containers), NodeImage: r.NodeImage, LoadBalancer: r.LoadBalancer, CreatedAt: r.CreatedAt, Labctl: r.Labctl,
	}
}

func (c *Clusters) kubeconfig(name string) string { return filepath.Join(c.Folder(name), "kubeconfig") }

func nodesOf(containers []engine.Container) []Node {
	nodes := make([]Node, 0, len(containers))
	for _, n := range containers {
		nodes = append(nodes, Node{
			Name: n.Name, Role: n.Labels[labelRole], IPv4: n.Networks[network].IPv4, ContainerID: n.ID, Running: n.Running, StartedAt: n.StartedAt,
		})
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(rank(a.Role), rank(b.Role)), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return nodes
}

func rank(role string) int {
	if role == roleControl {
		return 0
	}
	return 1
}

// nodeContainers lists the containers that carry kind's label of the cluster.
func (c *Clusters) nodeContainers(ctx context.Context, name string) ([]engine.Container, error) {
	found, err := c.engine.Containers(ctx, labelCluster+"="+name)
	if err != nil {
		return nil, fmt.Errorf("look for cluster %q: %w", name, err)
	}
	return found, nil
}
