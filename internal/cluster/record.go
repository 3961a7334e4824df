package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/version"
)

// phase is how far a cluster has come.
type phase string

const (
	creating phase = "creating" // half-made if nobody holds its lock
	created  phase = "created"  // kind is done; an up may finish the rest
	ready    phase = "ready"    // was healthy once
	removing phase = "removing" // half gone if nobody holds its lock
)

// record is the state file of one cluster.
type record struct {
	Name         string            `json:"name"`
	Phase        phase             `json:"phase"`
	Provider     string            `json:"provider"`
	CreatedAt    time.Time         `json:"createdAt"`
	Workers      int               `json:"workers"`
	NodeImage    string            `json:"nodeImage"`
	Labctl       string            `json:"labctl,omitempty"` // the version that last completed it
	Kubeconfig   string            `json:"kubeconfig,omitempty"`
	LoadBalancer string            `json:"loadBalancer,omitempty"`
	Containers   map[string]string `json:"containers,omitempty"` // ID by node name
	// APIPort is the host port that labctl picked for the API server. It is the claim on
	// a control-plane container whose ID could not be written down in time.
	APIPort int32 `json:"apiPort"`
}

// completed writes down that this labctl has seen the cluster whole.
func (c *Clusters) completed(r *record, cl *Cluster) (*Cluster, error) {
	r.Phase, r.Labctl = ready, version.Current().Version
	cl.Labctl = r.Labctl
	return cl, c.save(r)
}

func (c *Clusters) recordPath(name string) string {
	return filepath.Join(c.Folder(name), "cluster.json")
}

// load returns nil when there is no record.
func (c *Clusters) load(name string) (*record, error) {
	data, err := os.ReadFile(c.recordPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of cluster %q: %w", name, err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fault.Environmentf("the state file of cluster %q is damaged: %w", name, err).
			WithRemedy("remove %s, and the cluster with: kind delete cluster --name %s", c.recordPath(name), name)
	}
	return &r, nil
}

// save replaces the record in one step: a reader sees the old one or the new one.
func (c *Clusters) save(r *record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(c.recordPath(r.Name), append(data, '\n')); err != nil {
		return fmt.Errorf("record the state of cluster %q: %w", r.Name, err)
	}
	return nil
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return home.Replace(path, data, 0o600)
}

func (c *Clusters) forget(name string) error {
	if err := os.RemoveAll(c.Folder(name)); err != nil {
		return fmt.Errorf("forget cluster %q: %w", name, err)
	}
	return nil
}

// List returns the names of all clusters that labctl has a record of, and of those that are
// gone but for a container beside them: a labctl that was killed may have left one behind.
func (c *Clusters) List(ctx context.Context) ([]string, error) {
	paths, err := filepath.Glob(c.recordPath("*"))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(paths))
	for _, p := range paths {
		names = append(names, filepath.Base(filepath.Dir(p)))
	}
	left, err := c.leftBehind(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range left {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// leftBehind returns the cluster of each container beside one that has no nodes any more.
func (c *Clusters) leftBehind(ctx context.Context) ([]string, error) {
	beside, err := c.engine.Containers(ctx, LabelOf)
	if err != nil || len(beside) == 0 {
		return nil, err
	}
	nodes, err := c.engine.Containers(ctx, labelCluster)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, b := range beside {
		name := b.Labels[LabelOf]
		if !slices.ContainsFunc(nodes, func(n engine.Container) bool { return n.Labels[labelCluster] == name }) {
			names = append(names, name)
		}
	}
	return names, nil
}

// standing is what a record and the containers of that name say together.
type standing int

const (
	absent   standing = iota // no containers; an old record counts for nothing
	foreign                  // containers that labctl did not make
	halfMade                 // labctl was creating or removing it and did not come to the end
	damaged                  // labctl's, and some of its containers are gone
	owned                    // labctl's, and all of its containers are there, running or not
)

type found struct {
	name       string
	standing   standing
	record     *record
	containers []engine.Container
}

func (c *Clusters) examine(ctx context.Context, name string) (found, error) {
	r, err := c.load(name)
	if err != nil {
		return found{}, err
	}
	containers, err := c.nodeContainers(ctx, name)
	if err != nil {
		return found{}, err
	}
	return found{name: name, standing: judge(r, containers), record: r, containers: containers}, nil
}

func judge(r *record, containers []engine.Container) standing {
	switch {
	case r == nil && len(containers) == 0:
		return absent
	case r == nil:
		return foreign
	case r.Phase == creating || r.Phase == removing:
		for _, n := range containers {
			if n.Labels[labelRole] == roleControl && len(n.Ports) > 0 && !publishes(n, r.APIPort) {
				return foreign
			}
		}
		return halfMade
	case len(containers) == 0:
		return absent
	}
	for _, n := range containers {
		if r.Containers[n.Name] != n.ID {
			return foreign
		}
	}
	if len(containers) < len(r.Containers) {
		return damaged
	}
	return owned
}

func publishes(n engine.Container, port int32) bool {
	for _, p := range n.Ports {
		if p.HostPort == strconv.Itoa(int(port)) {
			return true
		}
	}
	return false
}

func (f found) refusal() error {
	return fault.Inputf("cluster %q was not made by labctl: nothing was touched", f.name).
		WithRemedy("choose another --name, or remove it yourself: kind delete cluster --name %s", f.name)
}

// claim writes down which containers are the cluster's.
func (r *record) claim(containers []engine.Container) {
	r.Containers = make(map[string]string, len(containers))
	for _, n := range containers {
		r.Containers[n.Name] = n.ID
	}
}
