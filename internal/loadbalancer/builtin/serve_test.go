package builtin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

// heart is a server with an engine and an API server of the test's.
type heart struct {
	*server
	guard *guard
	asked []string // what the engine was asked for: "nodes", "load balancers", "image"

	apiDown, engineDown, nodesGone bool
	wanted                         map[types.UID]*corev1.Service
}

func newHeart(t *testing.T) *heart {
	t.Helper()
	h := &heart{}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if h.apiDown {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(api.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Docker, "docker", h.docker)
	b := newBalancer(haproxy.NewContainers(e, "lab", ""), "lab")
	h.server = &server{Options: Options{Engine: e, Cluster: "lab"}, client: client, balancer: b}
	h.guard = &guard{balancer: b, services: h}
	return h
}

func (h *heart) docker(cmd *exec.Cmd) error {
	line := strings.Join(cmd.Args, " ")
	switch {
	case strings.Contains(line, LabelKindCluster):
		h.asked = append(h.asked, "nodes")
		if !h.nodesGone && !h.engineDown {
			_, _ = cmd.Stdout.Write([]byte("id1\n"))
		}
	case strings.Contains(line, haproxy.LabelCluster):
		h.asked = append(h.asked, "load balancers")
	case strings.Contains(line, "image inspect"):
		h.asked = append(h.asked, "image")
		_, _ = cmd.Stdout.Write([]byte("sha256:00\n"))
	}
	if h.engineDown {
		return errors.New("exit status 1")
	}
	return nil
}

// Wanted and SetStatus play the API server's Services.
func (h *heart) Wanted() (map[types.UID]*corev1.Service, error)              { return h.wanted, nil }
func (h *heart) SetStatus(*corev1.Service, *corev1.LoadBalancerStatus) error { return nil }

// TestHeartbeatAsksLittle: each question to the engine costs a small machine dearly.
func TestHeartbeatAsksLittle(t *testing.T) {
	service := exampleService()
	for _, c := range []struct {
		name   string
		before func(h *heart)
		synced bool
		asked  []string // at the second heartbeat
		nodes  bool
		engine bool // it answered
	}{
		{"nothing to do", func(*heart) {}, true, nil, true, true},
		{"not synced yet", func(*heart) {}, false, nil, true, true},
		{"a Service", func(h *heart) { h.wanted = map[types.UID]*corev1.Service{service.UID: service} }, true, []string{"load balancers"}, true, true},
		{"a Service's entry", func(h *heart) { h.balancer.lock(service).mu.Unlock() }, true, []string{"load balancers"}, true, true},
		{"long ago", func(h *heart) {
			h.checked, h.imageSeen = h.checked.Add(-time.Minute), h.imageSeen.Add(-time.Minute)
		}, true, []string{"image", "load balancers"}, true, true},
		{"no API server", func(h *heart) { h.apiDown = true }, true, []string{"nodes"}, true, true},
		{"no nodes", func(h *heart) { h.apiDown, h.nodesGone = true, true }, true, []string{"nodes"}, false, true},
		{"no engine", func(h *heart) { h.apiDown, h.engineDown = true, true }, true, []string{"nodes"}, true, false},
		{"an engine that did not answer", func(h *heart) { h.unanswered = "no" }, true, []string{"load balancers"}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHeart(t)
			if health, nodes := h.look(t.Context(), h.guard, c.synced); !nodes || health.Engine != "" || health.API != "" || health.Image != "" {
				t.Fatalf("first: %+v, %v", health, nodes)
			}
			first := []string{"image"}
			if c.synced {
				first = append(first, "load balancers")
			}
			if !slices.Equal(h.asked, first) {
				t.Fatalf("first asked %v", h.asked)
			}
			h.asked = nil
			c.before(h)
			health, nodes := h.look(t.Context(), h.guard, c.synced)
			if !slices.Equal(h.asked, c.asked) || nodes != c.nodes || (health.Engine == "") != c.engine || (health.API == "") == h.apiDown {
				t.Errorf("asked %v, nodes %v, %+v", h.asked, nodes, health)
			}
		})
	}
}
