// Package kube is labctl's only door to the Kubernetes API: apply, watch and wait, exec,
// ephemeral containers. Nothing else imports client-go.
//
// Errors of the API are of kind Environment unless the API server blames what was sent to
// it, in which case they are an ApplyError of kind Input.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"labctl.dev/labctl/internal/fault"
)

const (
	// manager is labctl's name in managedFields and in the API server's log.
	manager = "labctl"

	// Client-side throttling would serialise what a lab does at the same time; the API
	// server of a local cluster protects itself (priority and fairness).
	qps   = 200
	burst = 400

	// remedy is for an API server that does not answer.
	remedy = "labctl status, then labctl repair"

	// pingTimeout bounds one question whether the API server is there.
	pingTimeout = 5 * time.Second
)

// Client talks to one cluster. It is safe for concurrent use.
type Client struct {
	config  *rest.Config
	typed   kubernetes.Interface
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
	// ready asks the API server whether it is; a field because fake clients cannot be asked.
	ready func(context.Context) error
}

// Connect reads the kubeconfig ("" means KUBECONFIG, then ~/.kube/config) and prepares a
// client for its context ("" means the current one). It does not speak to the cluster: see Ping.
func Connect(kubeconfig, kubecontext string) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: kubecontext}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fault.Environmentf("read context %q of the kubeconfig: %w", kubecontext, err).
			WithRemedy("labctl up")
	}
	return newClient(config)
}

func newClient(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = qps, burst
	config.UserAgent = manager
	config.WarningHandlerWithContext = rest.NoWarnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return traced{next} })

	// One transport, and so one HTTP/2 connection, carries all clients.
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fault.Environmentf("prepare the connection to %s: %w", config.Host, err)
	}
	// Protobuf is smaller on the wire and cheaper to decode; objects that come in as
	// manifests and the dynamic client are JSON.
	binary := rest.CopyConfig(config)
	binary.ContentType = "application/vnd.kubernetes.protobuf"
	binary.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	typed, err := kubernetes.NewForConfigAndClient(binary, httpClient)
	if err != nil {
		return nil, fault.Environmentf("prepare a client for %s: %w", config.Host, err)
	}
	untyped, err := dynamic.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fault.Environmentf("prepare a client for %s: %w", config.Host, err)
	}
	return &Client{
		config:  config,
		typed:   typed,
		dynamic: untyped,
		mapper:  restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(typed.Discovery())),
		ready: func(ctx context.Context) error {
			return typed.Discovery().RESTClient().Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).Error()
		},
	}, nil
}

// traced logs each call of the API, for labctl -vv: where it went, never what was in it.
type traced struct{ next http.RoundTripper }

func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	if !slog.Default().Enabled(r.Context(), slog.LevelDebug) {
		return t.next.RoundTrip(r)
	}
	start := time.Now()
	answer, err := t.next.RoundTrip(r)
	status := 0
	if answer != nil {
		status = answer.StatusCode
	}
	slog.DebugContext(r.Context(), "api", "method", r.Method, "path", r.URL.Path, "query", r.URL.RawQuery,
		"status", status, "seconds", time.Since(start).Seconds(), "error", err)
	return answer, err
}

// Host returns the API server's address.
func (c *Client) Host() string { return c.config.Host }

// Ping asks the API server whether it is ready, for at most five seconds.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := c.ready(ctx)
	if err == nil {
		return nil
	}
	if missing := unready(err.Error()); len(missing) > 0 {
		return fault.Environmentf("the API server at %s is not ready: %s", c.Host(), strings.Join(missing, ", ")).WithRemedy(remedy)
	}
	return fault.Environmentf("the API server at %s does not answer: %w", c.Host(), err).WithRemedy(remedy)
}

// unready picks out of an answer of /readyz, which lists everything that it has looked at,
// what is not ready: "[-]etcd-readiness failed: reason withheld" is etcd-readiness.
func unready(answer string) []string {
	var names []string
	for _, found := range regexp.MustCompile(`\[-\]([\w./-]+) failed`).FindAllStringSubmatch(answer, -1) {
		names = append(names, found[1])
	}
	return names
}

// IsNotFound tells whether err says that an object does not exist.
func IsNotFound(err error) bool { return apierrors.IsNotFound(err) }

// Silence keeps client-go's own log off the process's standard error: what matters in it
// comes back as errors. Call it once, before the first Connect.
func Silence() { klog.SetLogger(logr.Discard()) }

// environment classifies an error of the API as ours, naming what was attempted.
func environment(err error, format string, args ...any) error {
	failed := fault.Environmentf("%s: %w", fmt.Sprintf(format, args...), err)
	var answer apierrors.APIStatus
	if errors.As(err, &answer) || errors.Is(err, context.Canceled) {
		return failed
	}
	return failed.WithRemedy(remedy) // nothing answered
}
