package loadbalancer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/loadbalancer/builtin"
	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

const (
	// readyTimeout bounds the wait for a new server's first good report.
	readyTimeout = 30 * time.Second
	readyPoll    = 50 * time.Millisecond
	// staleAfter is when a report is too old to be believed: several heartbeats, since
	// they come late on a busy machine.
	staleAfter = 8 * builtin.Heartbeat
	// serverGrace is how long the server may take to end; it has nothing to tidy up.
	serverGrace = 5 * time.Second
)

// report is the health file that the server rewrites at every heartbeat.
type report struct {
	Process process        `json:"process"`
	Time    time.Time      `json:"time"`
	Health  builtin.Health `json:"health"`
}

// ensureBuiltin makes sure that a server of labctl's own runs for the cluster.
func (h *host) ensureBuiltin(ctx context.Context, o Options, old record) error {
	if err := h.builtinCan(ctx); err != nil {
		return err
	}
	kubeContext := o.Context
	if kubeContext == "" {
		kubeContext = "kind-" + o.Cluster
	}
	credentials, err := builtin.Credentials(o.Kubeconfig, kubeContext)
	if err != nil {
		return fault.Environmentf("give the load balancer access to cluster %s: %w", o.Cluster, err)
	}
	program, version, err := executable(o.Executable)
	if err != nil {
		return err
	}
	want := record{
		Cluster: o.Cluster, Kind: Builtin, Version: version, Process: old.Process,
		Kubeconfig: fmt.Sprintf("sha256:%x", sha256.Sum256(credentials)),
	}
	if old == want && h.machine.Alive(old.Process) && h.fresh(old, time.Now()) {
		return h.awaitHealthy(ctx, old)
	}
	if err := h.machine.Stop(ctx, old.Process, serverGrace); err != nil {
		return fault.Environmentf("end the previous load balancer of cluster %s: %w", o.Cluster, err)
	}
	if err := h.startServer(ctx, program, credentials, &want); err != nil {
		return fault.Environmentf("start the load balancer of cluster %s: %w", o.Cluster, err)
	}
	return h.awaitHealthy(ctx, want)
}

// builtinCan checks what no server can do without, so that its absence is told at once.
func (h *host) builtinCan(ctx context.Context) error {
	if _, ok, err := h.engine.HasImage(ctx, haproxy.Image); err != nil {
		return fault.Environmentf("look for image %s: %w", haproxy.Image, err)
	} else if !ok {
		return fault.Environmentf("the engine has no image %s, which the built-in load balancer runs", haproxy.Image).
			WithRemedy("labctl up")
	}
	if _, err := h.engine.Network(ctx, haproxy.Network); err != nil {
		return fault.Environmentf("look for the network of kind clusters, %q: %w", haproxy.Network, err).
			WithRemedy("labctl up")
	}
	return nil
}

// executable returns labctl's own program and a mark that changes when it is rebuilt.
func executable(path string) (string, string, error) {
	if path == "" {
		own, err := os.Executable()
		if err != nil {
			return "", "", fault.Environmentf("find labctl's own program: %w", err)
		}
		path = own
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fault.Environmentf("find labctl's own program: %w", err)
	}
	return path, fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano()), nil
}

func (h *host) startServer(ctx context.Context, program string, credentials []byte, want *record) error {
	folder := h.folder(want.Cluster)
	kubeconfig := filepath.Join(folder, kubeconfigFile)
	if err := writeFile(kubeconfig, credentials); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(folder, healthFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the previous health report: %w", err)
	}
	started, err := h.machine.Start(ctx, command{
		Path: program,
		Args: []string{"load-balancer", "serve", "--cluster", want.Cluster,
			"--kubeconfig", kubeconfig, "--provider", h.engine.Provider()},
		// A heap of a few megabytes: collecting it early costs nothing.
		Env: []string{"GOGC=50"},
		Log: filepath.Join(folder, logFile),
	})
	if err != nil {
		return err
	}
	want.Process = started
	return h.save(*want)
}

// awaitHealthy polls the health file, the one channel that is the same for a server just
// started and for one that has been there for days.
func (h *host) awaitHealthy(ctx context.Context, r record) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		s := h.statusBuiltin(r, time.Now())
		if s.Healthy {
			return nil
		}
		if s.Running {
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
			}
		}
		return fault.Environmentf("the load balancer of cluster %s does not serve: %s", r.Cluster, s.Why).
			WithRemedy("see %s", s.Log)
	}
}

func (h *host) fresh(r record, now time.Time) bool {
	report, err := h.report(r)
	return err == nil && now.Sub(report.Time) < staleAfter
}

// report reads the health that the record's own server told last.
func (h *host) report(r record) (report, error) {
	var last report
	if err := readJSON(filepath.Join(h.folder(r.Cluster), healthFile), &last); err != nil {
		return report{}, err
	}
	if last.Process != r.Process {
		return report{}, fmt.Errorf("health report of another process, %d", last.Process.PID)
	}
	return last, nil
}

func (h *host) statusBuiltin(r record, now time.Time) Status {
	s := Status{Kind: Builtin, PID: r.Process.PID, Log: filepath.Join(h.folder(r.Cluster), logFile)}
	s.Running = h.machine.Alive(r.Process)
	last, err := h.report(r)
	switch {
	case !s.Running:
		s.PID, s.Why = 0, "its process has ended: "+lastLine(s.Log)
	case err != nil:
		s.Why = "it has not reported yet"
	case now.Sub(last.Time) >= staleAfter:
		s.Why = fmt.Sprintf("it has not reported for %v", now.Sub(last.Time).Round(time.Second))
	default:
		s.Why = unwell(last.Health)
		s.Healthy = s.Why == ""
	}
	return s
}

// unwell says in one line what is wrong, or "".
func unwell(health builtin.Health) string {
	switch {
	case health.Engine != "":
		return "the container engine does not answer: " + health.Engine
	case health.API != "":
		return "the cluster's API server does not answer: " + health.API
	case !health.Synced:
		return "it has not read the cluster's Services yet"
	case health.Image != "":
		return health.Image
	}
	for _, name := range slices.Sorted(maps.Keys(health.Failing)) {
		return fmt.Sprintf("service %s: %s", name, health.Failing[name])
	}
	return ""
}

func (h *host) releaseBuiltin(ctx context.Context, r record) error {
	if err := h.machine.Stop(ctx, r.Process, serverGrace); err != nil {
		return err
	}
	return h.removeContainers(ctx, haproxy.LabelCluster+"="+r.Cluster)
}

func (h *host) removeContainers(ctx context.Context, label string) error {
	found, err := h.engine.Containers(ctx, label)
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range found {
		ids = append(ids, c.ID)
	}
	return h.engine.Remove(ctx, ids...)
}

// ServeOptions are the flags of the hidden command "labctl load-balancer serve".
type ServeOptions struct {
	Engine     *engine.Engine
	Cluster    string
	Kubeconfig string // a file
}

// ServeBuiltin is the body of that command: it serves the cluster until ctx ends, and
// ends by itself, leaving nothing behind, when the cluster is gone.
func ServeBuiltin(ctx context.Context, o ServeOptions) error {
	h, err := newHost(o.Engine)
	if err != nil {
		return err
	}
	credentials, err := os.ReadFile(o.Kubeconfig)
	if err != nil {
		return fault.Environmentf("read the kubeconfig of cluster %s: %w", o.Cluster, err)
	}
	lock := flock.New(filepath.Join(h.folder(o.Cluster), "serving"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return errors.Join(fault.Environmentf("cluster %s is served by another process already", o.Cluster), err)
	}
	defer func() { _ = lock.Unlock() }()
	self, err := self()
	if err != nil {
		return err
	}
	err = builtin.Serve(ctx, builtin.Options{
		Engine: o.Engine, Cluster: o.Cluster, Kubeconfig: credentials,
		Report: func(health builtin.Health) error {
			return writeJSON(filepath.Join(h.folder(o.Cluster), healthFile), report{self, time.Now().UTC(), health})
		},
	})
	if err != nil || ctx.Err() != nil {
		return err
	}
	return h.forgetGone(ctx, o.Cluster, self)
}

// forgetGone drops the record of a cluster that is gone, unless somebody else has begun
// to serve a new one of that name.
func (h *host) forgetGone(ctx context.Context, cluster string, self process) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := h.record(cluster)
	if err != nil || r.Process != self {
		return err
	}
	return h.forget(cluster)
}
