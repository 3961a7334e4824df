package loadbalancer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
)

// lockPoll is how often a lock that somebody else holds is tried again.
const lockPoll = 100 * time.Millisecond

// record says who serves a cluster. There is one in the state folder for every cluster
// that uses a load balancer: together they are the count of references.
type record struct {
	Cluster    string  `json:"cluster"`
	Kind       Kind    `json:"kind"`
	Process    process `json:"process,omitzero"`     // builtin's
	Kubeconfig string  `json:"kubeconfig,omitempty"` // digest of the one that it was given
	Version    string  `json:"version,omitempty"`    // digest of the program that it runs
}

// process names a process for good: a number alone is given to another one some day.
type process struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // as the operating system tells it
}

// The files of a cluster.
const (
	recordFile     = "record.json"
	healthFile     = "health.json"
	kubeconfigFile = "kubeconfig"
	logFile        = "serve.log"
)

func (h *host) clustersFolder() string { return filepath.Join(h.dir, "clusters") }

func (h *host) folder(cluster string) string { return filepath.Join(h.clustersFolder(), cluster) }

// lock keeps every other labctl from changing load balancers on this machine.
func (h *host) lock(ctx context.Context) (func(), error) {
	l := flock.New(filepath.Join(h.dir, "lock"))
	ok, err := l.TryLockContext(ctx, lockPoll)
	if err != nil || !ok {
		return nil, fault.Environmentf("wait for another labctl that changes load balancers: %w", err)
	}
	return func() { _ = l.Unlock() }, nil
}

// record returns the cluster's record, or an empty one.
func (h *host) record(cluster string) (record, error) {
	var r record
	err := readJSON(filepath.Join(h.folder(cluster), recordFile), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	return r, err
}

// records returns the records of all clusters.
func (h *host) records() ([]record, error) {
	folders, err := os.ReadDir(h.clustersFolder())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the clusters that have load balancers: %w", err)
	}
	var all []record
	for _, f := range folders {
		r, err := h.record(f.Name())
		if err != nil {
			return nil, err
		}
		if r.Kind != "" {
			all = append(all, r)
		}
	}
	return all, nil
}

func (h *host) save(r record) error {
	return writeJSON(filepath.Join(h.folder(r.Cluster), recordFile), r)
}

func (h *host) forget(cluster string) error {
	if err := os.RemoveAll(h.folder(cluster)); err != nil {
		return fmt.Errorf("forget the load balancer of cluster %s: %w", cluster, err)
	}
	return nil
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read state file %s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file as a whole, so that no reader sees half of it.
func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	return writeFile(path, append(raw, '\n'))
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	if err := home.Replace(path, content, 0o600); err != nil {
		return fmt.Errorf("write state file %s: %w", path, err)
	}
	return nil
}
