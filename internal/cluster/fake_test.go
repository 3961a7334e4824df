package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/log"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/kube"
)

// world is a fake engine with a fake kind beside it. The engine is driven by command
// line, as the real one is.
type world struct {
	t *testing.T

	mu         sync.Mutex
	containers []*box
	lastID     int
	removed    []string // names, in order
	userConfig string   // the user's kubeconfig
	unexported []string // clusters whose context was taken out of it
	steps      []string // progress, in order

	emptied chan struct{} // gets a value when the last container is removed; may be nil

	// create replaces kind's work; nil succeeds at once.
	create func(w *world, config *v1alpha4.Cluster, logger log.Logger) error
	// startErr makes "start" fail.
	startErr bool
	journal  string // what journalctl prints in nodes
	healthy  error
}

type box struct {
	id, name, port string
	labels         map[string]string
	running        bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, userConfig: filepath.Join(t.TempDir(), "config")}
	t.Setenv("KUBECONFIG", w.userConfig)
	return w
}

// adminConf is what kubeadm leaves on a control plane, as short as it can be.
const adminConf = `{"current-context": "admin", "clusters": [{"name": "lab"}], "users": [{"name": "me"}],
	"contexts": [{"name": "admin", "context": {"cluster": "lab", "user": "me"}}]}`

// hasContext tells whether the user's kubeconfig has the cluster's context.
func (w *world) hasContext(cluster string) bool {
	w.t.Helper()
	_, ok, err := kube.FindContext(w.userConfig, "kind-"+cluster)
	if err != nil {
		w.t.Fatal(err)
	}
	return ok
}

func (w *world) clusters() *Clusters {
	return &Clusters{
		engine: engine.New(engine.Docker, "docker", w.docker), progress: w, state: w.t.TempDir(),
		kind: w, connect: func(*Cluster) (control, error) { return w, nil },
	}
}

func (w *world) add(cluster, name, role, port string) *box {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastID++
	b := &box{
		id: fmt.Sprintf("id%d", w.lastID), name: name, port: port, running: true,
		labels: map[string]string{labelCluster: cluster, labelRole: role},
	}
	w.containers = append(w.containers, b)
	return b
}

func (w *world) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, b := range w.containers {
		names = append(names, b.name)
	}
	slices.Sort(names)
	return names
}

// docker plays the engine.
func (w *world) docker(cmd *exec.Cmd) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	args := cmd.Args[1:]
	switch args[0] {
	case "info":
		fmt.Fprint(cmd.Stdout, `{"ServerVersion":"1","CgroupVersion":"1"}`)
	case "ps":
		label := strings.TrimPrefix(args[len(args)-1], "label=")
		key, value, one := strings.Cut(label, "=")
		for _, b := range w.containers {
			if has, ok := b.labels[key]; ok && (has == value || !one) {
				fmt.Fprintln(cmd.Stdout, b.id)
			}
		}
	case "container":
		return json.NewEncoder(cmd.Stdout).Encode(w.inspect(args[2:]))
	case "rm":
		for _, id := range args[3:] {
			w.containers = slices.DeleteFunc(w.containers, func(b *box) bool {
				if b.id == id {
					w.removed = append(w.removed, b.name)
				}
				return b.id == id
			})
		}
		if len(w.containers) == 0 && w.emptied != nil {
			w.emptied <- struct{}{}
		}
	case "start":
		if w.startErr {
			fmt.Fprint(cmd.Stderr, "Error: network kind not found")
			return errors.New("exit status 1")
		}
		for _, b := range w.containers {
			b.running = b.running || slices.Contains(args, b.name)
		}
	case "exec":
		if slices.Contains(args, "journalctl") {
			fmt.Fprintln(cmd.Stdout, w.journal)
		}
		if slices.Contains(args, "/etc/kubernetes/admin.conf") {
			fmt.Fprint(cmd.Stdout, adminConf)
		}
	case "logs":
	default:
		w.t.Errorf("unexpected command %q", args)
	}
	return nil
}

func (w *world) inspect(ids []string) []map[string]any {
	var found []map[string]any
	for _, b := range w.containers {
		if !slices.Contains(ids, b.id) {
			continue
		}
		ports := map[string]any{}
		if b.port != "" {
			ports["6443/tcp"] = []map[string]string{{"HostIp": "127.0.0.1", "HostPort": b.port}}
		}
		found = append(found, map[string]any{
			"Id": b.id, "Name": "/" + b.name, "State": map[string]any{"Running": b.running, "Status": "running"},
			"Config": map[string]any{"Labels": b.labels}, "NetworkSettings": map[string]any{"Ports": ports},
		})
	}
	return found
}

// Create and Unexport play kind.
func (w *world) Create(name string, config *v1alpha4.Cluster, kubeconfig string, logger log.Logger) error {
	if w.create != nil {
		return w.create(w, config, logger)
	}
	w.makeNodes(name, config, logger)
	w.startControlPlane(logger)
	own, err := kube.AdminContext([]byte(adminConf), "kind-"+name, "https://127.0.0.1:1")
	if err != nil {
		return err
	}
	return writeFile(kubeconfig, own)
}

func (w *world) makeNodes(name string, config *v1alpha4.Cluster, logger log.Logger) {
	logger.V(0).Infof(" • %s  ...\n", "Preparing nodes 📦 📦 ")
	w.add(name, name+"-control-plane", roleControl, strconv.Itoa(int(config.Networking.APIServerPort)))
	for i := range len(config.Nodes) - 1 {
		w.add(name, fmt.Sprintf("%s-worker%d", name, i+1), "worker", "")
	}
	logger.V(0).Infof(" ✓ %s\n", "Preparing nodes 📦 📦 ")
}

func (w *world) startControlPlane(logger log.Logger) {
	logger.V(0).Infof(" • %s  ...\n", "Starting control-plane 🕹️")
	logger.V(0).Infof(" ✓ %s\n", "Starting control-plane 🕹️")
}

func (w *world) Unexport(name, _ string) error {
	w.unexported = append(w.unexported, name)
	return nil
}

// Answers and Healthy play the API server.
func (w *world) Answers(context.Context) error         { return nil }
func (w *world) Healthy(context.Context, []Node) error { return w.healthy }

// Begin plays the progress.
func (w *world) Begin(step string) func(error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, step)
	return func(error) {}
}
