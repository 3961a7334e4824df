package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"labctl.dev/labctl/internal/home"
)

// Access is how the API of a recorded cluster is reached.
type Access struct {
	Name       string
	Context    string // kind-<name>
	Kubeconfig string // labctl's own copy, with that one context
}

// AccessTo returns how a cluster that labctl made is reached, from labctl's record alone: the
// engine is not asked, so whether the cluster is up is not known. The credentials are the
// cluster's own and open no other. A cluster without a record is ErrNone.
func AccessTo(name string) (Access, error) {
	if err := checkName(name); err != nil {
		return Access{}, err
	}
	state, err := home.State()
	if err != nil {
		return Access{}, err
	}
	path := filepath.Join(state, "clusters", name, "kubeconfig")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return Access{}, none("there is no cluster %q", name)
	} else if err != nil {
		return Access{}, fmt.Errorf("find the kubeconfig of cluster %q: %w", name, err)
	}
	return Access{Name: name, Context: "kind-" + name, Kubeconfig: path}, nil
}
