//go:build e2e

package e2e

import (
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The cluster that these tests make and remove; the one that the others use stays.
const passing = "e2e-passing"

// Ctrl-C while a cluster is made: 130 within five seconds, and the next up succeeds. A down
// that comes while that one is at work waits for it. In the end nothing is left.
func TestInterruptedUpThenUpAndDown(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "config")
	up := []string{"up", "--name", passing, "--workers", "1", "--kubeconfig", kubeconfig, "--load-balancer", "none"}
	t.Cleanup(func() { run(t, 2*time.Minute, "down", "--name", passing) })

	r := start(t, 5*time.Minute, up...)
	until(t, 2*time.Minute, "the first node is there", func() bool { return containersOf(t, passing) != "" })
	asked := time.Now()
	interrupt(t, r)
	r.wait(t).want(t, 130)
	if took := time.Since(asked); took > 5*time.Second {
		t.Errorf("ended %s after Ctrl-C", took)
	}

	// What the first left behind does not tell that the second is at work.
	left := strings.Fields(containersOf(t, passing))
	r = start(t, 5*time.Minute, up...)
	until(t, 2*time.Minute, "the second up has made a node", func() bool {
		return slices.ContainsFunc(strings.Fields(containersOf(t, passing)), func(id string) bool { return !slices.Contains(left, id) })
	})
	down := start(t, 5*time.Minute, "down", "--name", passing)
	r.wait(t).want(t, 0)
	if o := down.wait(t).want(t, 0); !strings.Contains(o.stderr, "Waiting for labctl up") {
		t.Errorf("down did not say whom it waits for:\n%s", o.stderr)
	}
	if rest := containersOf(t, passing); rest != "" {
		t.Errorf("containers are left:\n%s", rest)
	}
	if data, err := os.ReadFile(kubeconfig); err == nil && strings.Contains(string(data), "kind-"+passing) {
		t.Errorf("the context is left:\n%s", data)
	}
}

func containersOf(t *testing.T, cluster string) string {
	t.Helper()
	return strings.TrimSpace(engine(t, "ps", "--all", "--quiet", "--filter", "label=io.x-k8s.kind.cluster="+cluster))
}

// The engine goes away in the middle of grading: no marks are given or taken. It is cut off
// from labctl alone, by a relay in between, so that the other tests keep it.
func TestEngineDies(t *testing.T) {
	relay := newRelay(t)
	file := filepath.Join(t.TempDir(), "report.json")
	r, _ := startGrading(t, 3*time.Minute, []string{"DOCKER_HOST=unix://" + relay.path}, "--json", file)
	relay.cut()
	notGraded(t, r, file)
}

// relay hands on connections to the engine's socket until it is cut.
type relay struct {
	path     string
	listener net.Listener

	mu    sync.Mutex
	conns []net.Conn
	dead  bool
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	endpoint := os.Getenv("DOCKER_HOST")
	if endpoint == "" {
		endpoint = "unix:///var/run/docker.sock"
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	address := u.Host
	if u.Scheme == "unix" {
		address = u.Path
	}
	dir, err := os.MkdirTemp("", "labctl") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{path: filepath.Join(dir, "engine.sock")}
	var listen net.ListenConfig
	if r.listener, err = listen.Listen(t.Context(), "unix", r.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cut(); _ = os.RemoveAll(dir) })
	go r.serve(t.Context(), u.Scheme, address)
	return r
}

func (r *relay) serve(ctx context.Context, network, address string) {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		var d net.Dialer
		server, err := d.DialContext(ctx, network, address)
		if err != nil || !r.hold(client, server) {
			_ = client.Close()
			continue
		}
		go hand(client, server)
		go hand(server, client)
	}
}

// hand copies one way to its end, and passes that end on: an attached standard input
// ends while the output still comes.
func hand(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (r *relay) hold(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conns...)
	return !r.dead
}

// cut ends all connections and takes no more.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = true
	_ = r.listener.Close()
	for _, c := range r.conns {
		_ = c.Close()
	}
}
