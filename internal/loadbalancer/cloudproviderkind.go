package loadbalancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/loadbalancer/builtin"
	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

// What is known of cloud-provider-kind from its source, v0.11.
const (
	cpkProgram = "cloud-provider-kind"
	cpkImage   = "registry.k8s.io/cloud-provider-kind/cloud-controller-manager:v0.11.1"
	// cpkProxyImage is what "cloud-provider-kind list-images" prints, for when there is
	// no program to ask.
	cpkProxyImage = "docker.io/envoyproxy/envoy:v1.33.2"
	// cpkLabel is on each of its load balancers, with the cluster's name.
	cpkLabel = "io.x-k8s.cloud-provider-kind.cluster"

	cpkContainer = "labctl-cloud-provider-kind"
	cpkOwnLabel  = "dev.labctl.cloud-provider-kind"

	// adoptionTimeout is how long it may take until it serves a cluster: it looks for new
	// ones every 30 s, and then waits for the API server.
	adoptionTimeout = 45 * time.Second
	adoptionPoll    = 200 * time.Millisecond
	// cpkGrace is how long its exit may take: it removes its load balancers one by one.
	cpkGrace = 20 * time.Second
)

// cpkFlags keep it from installing Gateway API resources and an ingress class, which are
// no part of the labs. Older releases do not know them.
func cpkFlags() []string {
	return []string{"--gateway-channel=disabled", "--enable-default-ingress=false"}
}

// cpkRecord says which cloud-provider-kind labctl started on this machine.
type cpkRecord struct {
	Process   process `json:"process,omitzero"`
	Container string  `json:"container,omitempty"` // its ID
}

// instance is a running cloud-provider-kind.
type instance struct {
	running bool
	foreign bool
	process process // zero in a container
	id      string  // the container's
}

func (h *host) cpkFile(name string) string { return filepath.Join(h.dir, cpkProgram, name) }

func (h *host) cpkLog() string { return h.cpkFile("cloud-provider-kind.log") }

// findCPK looks for a running cloud-provider-kind: ours first, then anybody's.
func (h *host) findCPK(ctx context.Context) (instance, error) {
	var own cpkRecord
	if err := readJSON(h.cpkFile(recordFile), &own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return instance{}, err
	}
	if h.machine.Alive(own.Process) {
		return instance{running: true, process: own.Process}, nil
	}
	ours, err := h.engine.Containers(ctx, cpkOwnLabel)
	if err != nil {
		return instance{}, fmt.Errorf("look for cloud-provider-kind: %w", err)
	}
	for _, c := range ours {
		if c.Running && c.ID == own.Container {
			return instance{running: true, id: c.ID}, nil
		}
	}
	foreign, err := h.machine.Named(cpkProgram)
	if err != nil {
		return instance{}, fmt.Errorf("look for cloud-provider-kind: %w", err)
	}
	if len(foreign) > 0 {
		return instance{running: true, foreign: true, process: foreign[0]}, nil
	}
	return h.foreignContainer(ctx)
}

// foreignContainer finds one that runs in a container, which other systems than Linux do
// not show as a process.
func (h *host) foreignContainer(ctx context.Context) (instance, error) {
	out, err := h.engine.Output(ctx, "ps", "--no-trunc", "--format", "{{.ID}} {{.Image}}")
	if err != nil {
		return instance{}, fmt.Errorf("look for cloud-provider-kind: %w", err)
	}
	for line := range strings.Lines(out) {
		id, image, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(image, "cloud-provider-kind/cloud-controller-manager") {
			return instance{running: true, foreign: true, id: id}, nil
		}
	}
	return instance{}, nil
}

// ensureCloudProviderKind makes sure that one runs on this machine.
func (h *host) ensureCloudProviderKind(ctx context.Context, o Options) error {
	found, err := h.findCPK(ctx)
	if err != nil {
		return fault.Environmentf("%w", err)
	}
	started := !found.running
	if started {
		if err := h.startCPK(ctx); err != nil {
			return fault.Environmentf("start cloud-provider-kind: %w", err).WithRemedy("labctl up --load-balancer=builtin")
		}
	}
	if err := h.save(record{Cluster: o.Cluster, Kind: CloudProviderKind}); err != nil {
		return err
	}
	if started { // one that was there already looks for clusters in its own time
		return h.awaitAdoption(ctx, o.Cluster)
	}
	return nil
}

// awaitAdoption polls the log, the only place where it says which clusters it serves.
func (h *host) awaitAdoption(ctx context.Context, cluster string) error {
	ctx, cancel := context.WithTimeout(ctx, adoptionTimeout)
	defer cancel()
	tick := time.NewTicker(adoptionPoll)
	defer tick.Stop()
	for {
		s, err := h.statusCloudProviderKind(ctx, record{Cluster: cluster})
		switch {
		case err != nil:
			return err
		case s.Healthy:
			return nil
		case s.Running && ctx.Err() == nil:
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
			}
		}
		return fault.Environmentf("cloud-provider-kind does not serve cluster %s: %s", cluster, s.Why).
			WithRemedy("see %s", s.Log)
	}
}

func (h *host) startCPK(ctx context.Context) error {
	if err := h.prepare(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(h.cpkFile(""), 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	program, err := h.cpkBinary()
	if err != nil {
		return h.startCPKContainer(ctx)
	}
	started, err := h.machine.Start(ctx, command{
		Path: program, Args: h.knownFlags(ctx, program), Log: h.cpkLog(),
		Env: []string{providerEnv(h.engine.Provider())},
	})
	if err != nil {
		return err
	}
	return writeJSON(h.cpkFile(recordFile), cpkRecord{Process: started})
}

// providerEnv makes cloud-provider-kind use the engine that labctl uses.
func providerEnv(provider string) string { return "KIND_EXPERIMENTAL_PROVIDER=" + provider }

// cpkBinary returns the program on PATH that this user may run.
func (h *host) cpkBinary() (string, error) {
	program, err := h.machine.LookPath(cpkProgram)
	if err != nil {
		return "", err
	}
	return program, h.machine.CanServe(program)
}

// knownFlags returns those of cpkFlags that this release has.
func (h *host) knownFlags(ctx context.Context, program string) []string {
	help, err := h.machine.Run(ctx, program, "--help")
	var known []string
	for _, flag := range cpkFlags() {
		name, _, _ := strings.Cut(flag, "=")
		if err != nil || strings.Contains(help, name) {
			known = append(known, flag)
		}
	}
	return known
}

// startCPKContainer runs the official image as its documentation says: with the engine's
// socket, on the network of the clusters.
func (h *host) startCPKContainer(ctx context.Context) error {
	if err := h.engine.Remove(ctx, cpkContainer); err != nil {
		return err
	}
	socket, err := h.socket(ctx)
	if err != nil {
		return err
	}
	id, err := h.engine.Run(ctx, engine.RunSpec{
		Name: cpkContainer, Image: cpkImage, Network: haproxy.Network,
		Labels:  map[string]string{cpkOwnLabel: "true"},
		Env:     []string{providerEnv(h.engine.Provider())},
		Volumes: []string{socket + ":/var/run/docker.sock"},
		Restart: "on-failure",
		Cmd:     cpkFlags(),
	})
	if err != nil {
		return err
	}
	return writeJSON(h.cpkFile(recordFile), cpkRecord{Container: id})
}

// socket returns the path of the engine's socket on the engine's machine.
func (h *host) socket(ctx context.Context) (string, error) {
	switch h.engine.Provider() {
	case engine.Docker:
		info, err := h.engine.Info(ctx)
		if err != nil {
			return "", err
		}
		if path, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok && info.Rootless {
			return path, nil
		}
		return "/var/run/docker.sock", nil
	case engine.Podman:
		path, err := h.engine.Output(ctx, "info", "--format", "{{.Host.RemoteSocket.Path}}")
		return strings.TrimPrefix(path, "unix://"), err
	}
	return "", fmt.Errorf("%s has no socket that cloud-provider-kind's image can use; put its program on PATH", h.engine.Provider())
}

// releaseCloudProviderKind stops it when this was the last cluster that used it. Its exit
// removes the load balancers of every kind cluster on the machine.
func (h *host) releaseCloudProviderKind(ctx context.Context, r record) error {
	found, err := h.findCPK(ctx)
	if err != nil || found.foreign {
		return err
	}
	others, err := h.users(ctx, CloudProviderKind, r.Cluster)
	if err != nil {
		return err
	}
	if found.running && len(others) == 0 {
		if err := h.stopCPK(ctx, found); err != nil {
			return err
		}
	}
	// It would remove them itself within 30 s of the cluster's end, unless it was killed.
	return h.removeContainers(ctx, cpkLabel+"="+r.Cluster)
}

// users returns the clusters, other than one, that use a kind and still exist. A record
// may outlive its cluster: kind itself, or the engine, can delete one too.
func (h *host) users(ctx context.Context, kind Kind, except string) ([]string, error) {
	all, err := h.records()
	if err != nil {
		return nil, err
	}
	var users []string
	for _, r := range all {
		if r.Kind != kind || r.Cluster == except {
			continue
		}
		nodes, err := h.engine.Containers(ctx, builtin.LabelKindCluster+"="+r.Cluster)
		if err != nil {
			return nil, fmt.Errorf("look for cluster %s: %w", r.Cluster, err)
		}
		if len(nodes) > 0 {
			users = append(users, r.Cluster)
		}
	}
	return users, nil
}

func (h *host) stopCPK(ctx context.Context, found instance) error {
	if found.id == "" {
		if err := h.machine.Stop(ctx, found.process, cpkGrace); err != nil {
			return err
		}
	} else {
		seconds := fmt.Sprint(int(cpkGrace.Seconds()))
		if _, err := h.engine.Output(ctx, "stop", "--time", seconds, found.id); err != nil {
			return fmt.Errorf("stop cloud-provider-kind: %w", err)
		}
		if err := h.engine.Remove(ctx, found.id); err != nil {
			return err
		}
	}
	if err := os.Remove(h.cpkFile(recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget cloud-provider-kind: %w", err)
	}
	return nil
}

func (h *host) statusCloudProviderKind(ctx context.Context, r record) (Status, error) {
	found, err := h.findCPK(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{Kind: CloudProviderKind, Running: found.running, Foreign: found.foreign, PID: found.process.PID}
	if found.id == "" && !found.foreign {
		s.Log = h.cpkLog()
	}
	switch {
	case !found.running:
		s.Why = "cloud-provider-kind is not running: " + lastLine(s.Log)
	case found.foreign:
		s.Healthy, s.Why = true, "a cloud-provider-kind that labctl did not start serves it"
	default:
		text, err := h.cpkLogText(ctx, found)
		if err != nil {
			return Status{}, err
		}
		if s.Healthy = adopted(text, r.Cluster); !s.Healthy {
			s.Why = "cloud-provider-kind has not found the cluster yet; it looks every 30 s"
		}
	}
	return s, nil
}

func (h *host) cpkLogText(ctx context.Context, found instance) (string, error) {
	if found.id == "" {
		raw, err := os.ReadFile(h.cpkLog())
		if err != nil {
			return "", fmt.Errorf("read cloud-provider-kind's log: %w", err)
		}
		return string(raw), nil
	}
	var out bytes.Buffer
	cmd := h.engine.Command(ctx, "logs", found.id)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("read cloud-provider-kind's log: %w", err)
	}
	return out.String(), nil
}

// adopted reads from cloud-provider-kind's log whether it serves a cluster at the moment.
func adopted(log, cluster string) bool {
	name := fmt.Sprintf("cluster=%q", cluster)
	is := false
	for line := range strings.Lines(log) {
		if !strings.Contains(line, name) {
			continue
		}
		switch {
		case strings.Contains(line, `"Starting cloud controller"`):
			is = true
		case strings.Contains(line, `"Deleting resources"`):
			is = false
		}
	}
	return is
}
