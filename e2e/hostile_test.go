//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/fixtures/hostile"
	"labctl.dev/labctl/internal/containment"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/result"
)

func hostileCases(t *testing.T) []hostile.Case {
	t.Helper()
	all, err := hostile.Cases("../fixtures/hostile")
	if err != nil || len(all) < 60 {
		t.Fatalf("%d cases, %v", len(all), err)
	}
	return all
}

// footprint is what is there of the cluster and of the engine that submissions could leave
// something in.
func footprint(t *testing.T) []string {
	t.Helper()
	kinds := "namespaces,nodes,pods,services,endpointslices,configmaps,secrets,serviceaccounts,persistentvolumeclaims,deployments,daemonsets," +
		"replicasets,jobs,roles,rolebindings,networkpolicies,persistentvolumes,clusterroles,clusterrolebindings,storageclasses,priorityclasses," +
		"customresourcedefinitions,mutatingwebhookconfigurations,validatingwebhookconfigurations,validatingadmissionpolicies,apiservices"
	all := strings.Fields(kubectl(t, "get", kinds, "--all-namespaces", "-o", `jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\n"}{end}`))
	for kind, args := range map[string][]string{
		"container": {"ps", "--all", "--format", "{{.Names}}"}, "network": {"network", "ls", "--format", "{{.Name}}"}, "volume": {"volume", "ls", "--format", "{{.Name}}"},
	} {
		for _, name := range strings.Fields(engine(t, args...)) {
			all = append(all, kind+"/"+name)
		}
	}
	slices.Sort(all)
	return all
}

// settled returns the footprint of a cluster that has been graded on before, and has nothing
// left of it but the policies, which are the cluster's.
func settled(t *testing.T, api *kube.Client) []string {
	t.Helper()
	t.Run("policies", func(t *testing.T) { contained(t, api) })
	until(t, time.Minute, "earlier namespaces are gone", func() bool { return len(gradedOn(t)) == 0 })
	return footprint(t)
}

// unchanged waits until the footprint is the same again.
func unchanged(t *testing.T, before []string) {
	t.Helper()
	var more, less []string
	defer func() {
		if t.Failed() {
			t.Logf("left behind %q, missing %q", more, less)
		}
	}()
	until(t, 4*time.Minute, "the cluster and the engine are as before", func() bool {
		after := footprint(t)
		more = slices.DeleteFunc(slices.Clone(after), func(s string) bool { return slices.Contains(before, s) })
		less = slices.DeleteFunc(slices.Clone(before), func(s string) bool { return slices.Contains(after, s) })
		return len(more) == 0 && len(less) == 0
	})
}

// Through the whole grader, every hostile submission ends in a verdict on itself alone, and
// leaves nothing behind.
func TestHostileSubmissionsAreRefused(t *testing.T) {
	grade(t, 0, "clusterip", solution)
	before := settled(t, connect(t))
	for _, c := range hostileCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			if c.Policy == hostile.Accepted {
				r, _ := grade(t, 1, "clusterip", c.Path)
				if r.Status != result.Graded || r.Score == r.MaxScore {
					t.Errorf("status %s, %v of %v", r.Status, r.Score, r.MaxScore)
				}
				return
			}
			r, o := grade(t, 2, "clusterip", c.Path)
			if r.Status != result.Rejected || r.Score != 0 || len(r.Findings) == 0 {
				t.Errorf("status %s, %v points, findings %v", r.Status, r.Score, r.Findings)
			}
			if strings.ContainsAny(o.stdout+o.stderr, "\x1b\a\x00") {
				t.Errorf("control characters reach the terminal: %q", o.stdout+o.stderr)
			}
		})
	}
	unchanged(t, before)
}

// gradedOn lists the namespaces of gradings, those on their way out included.
func gradedOn(t *testing.T) []string {
	t.Helper()
	return strings.Fields(kubectl(t, "get", "namespaces", "-l", "labctl.dev/contained", "-o", "name"))
}

// contained makes a namespace as a grading does, and removes it as one does. Whoever wants to
// know that it is gone calls unchanged.
func contained(t *testing.T, api *kube.Client) (namespace string) {
	t.Helper()
	namespace = fmt.Sprintf("labctl-hostile-%x", time.Now().UnixNano())
	if err := api.CreateNamespace(t.Context(), namespace, containment.Labels(), containment.Annotations(hostile.Images())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Discard(context.WithoutCancel(t.Context()), namespace); err != nil {
			t.Error(err)
		}
	})
	if err := containment.Contain(t.Context(), api, namespace, nil); err != nil {
		t.Fatal(err)
	}
	return namespace
}

func connect(t *testing.T) *kube.Client {
	t.Helper()
	api, err := kube.Connect("", "kind-"+cluster())
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// manifestOf reads a case's objects without any policy.
func manifestOf(t *testing.T, c hostile.Case) []*unstructured.Unstructured {
	t.Helper()
	f, err := os.Open(filepath.Join(c.Path, "manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	objs, err := kube.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

// Where the policy in Go is switched off, the cluster alone refuses what it can, and bounds
// the rest: a correct submission beside all of them gets full marks, and they can be removed.
func TestTheClusterAloneContainsHostileSubmissions(t *testing.T) {
	api := connect(t)
	before := settled(t, api)
	t.Run("all", func(t *testing.T) {
		refusing := contained(t, api)
		for _, c := range hostileCases(t) {
			outcome, detail, _ := strings.Cut(c.Cluster, ": ")
			switch outcome {
			case "refused":
				err := api.ApplyAs(t.Context(), containment.User(refusing), refusing, manifestOf(t, c))
				if len(kube.ApplyErrors(err)) == 0 || !strings.Contains(err.Error(), detail) {
					t.Errorf("%s: %v, want a refusal: %s", c.Name, err, detail)
				}
			case "contained":
				namespace := contained(t, api)
				if err := api.ApplyAs(t.Context(), containment.User(namespace), namespace, manifestOf(t, c)); err != nil {
					t.Errorf("%s is refused, and is said to be contained: %v", c.Name, err)
				}
			case "not applied":
			default:
				t.Errorf("%s: the outcome %q is not known", c.Name, c.Cluster)
			}
		}
		if t.Failed() {
			return
		}
		// It is about what they do, not about how many pods a machine can start at once.
		until(t, 4*time.Minute, "what the quotas let start has started", func() bool { return hostilePods(t, "Running") >= 2*24 && hostilePods(t, "ContainerCreating") == 0 })
		grade(t, 0, "clusterip", solution)
	})
	unchanged(t, before)
}

// hostilePods counts the pods in namespaces of contained that kubectl shows in the status.
func hostilePods(t *testing.T, status string) int {
	t.Helper()
	n := 0
	for line := range strings.Lines(kubectl(t, "get", "pods", "--all-namespaces", "--no-headers")) {
		if fields := strings.Fields(line); len(fields) > 3 && strings.HasPrefix(fields[0], "labctl-hostile-") && fields[3] == status {
			n++
		}
	}
	return n
}

// Who applies a submission may do so in its own namespace only.
func TestTheIdentityEndsAtItsNamespace(t *testing.T) {
	api := connect(t)
	own := contained(t, api)
	object := manifestOf(t, hostile.Case{Path: "../fixtures/hostile/cases/other-namespace"})[0]
	for namespace, allowed := range map[string]bool{own: true, "kube-system": false, "default": false, "labctl-system": false} {
		err := api.Try(t.Context(), containment.User(own), namespace, object)
		if (err == nil) != allowed {
			t.Errorf("in %s: %v", namespace, err)
		}
	}
}

// A pod reaches neither this machine nor anything beyond it, whatever it is told to call.
func TestPodsStayInside(t *testing.T) {
	gateway := strings.TrimSpace(engine(t, "network", "inspect", "kind", "--format", "{{(index .IPAM.Config 0).Gateway}}"))
	if gateway == "" {
		gateway = strings.TrimSpace(engine(t, "exec", cluster()+"-control-plane", "sh", "-c", "ip -4 route show default | awk '{print $3}'"))
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", net.JoinHostPort(gateway, "0"))
	if err != nil {
		t.Skipf("the engine runs elsewhere: %v", err)
	}
	var asked atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); _, _ = io.WriteString(w, "secret") }))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	url := "http://" + listener.Addr().String()
	// The way is there: a node reaches it.
	ask := func(node, address, path string) string {
		host, port, _ := strings.Cut(address, ":")
		script := `exec 3<>"/dev/tcp/$0/$1" && printf 'GET %s HTTP/1.0\r\nHost: x\r\n\r\n' "$2" >&3 && timeout 20 cat <&3`
		return engine(t, "exec", cluster()+node, "bash", "-c", script, host, port, path)
	}
	if out := ask("-worker", listener.Addr().String(), "/"); !strings.Contains(out, "secret") {
		t.Fatalf("the node does not reach this machine: %q", out)
	}

	api := connect(t)
	namespace := contained(t, api)
	kubectlIn := func(args ...string) string { return kubectl(t, append([]string{"-n", namespace}, args...)...) }
	kubectlIn("run", "frontend", "--image=labctl/frontend:v1", "--image-pull-policy=IfNotPresent", "--env=BACKEND_URL="+url)
	kubectlIn("wait", "--for=jsonpath={.status.phase}=Running", "pod/frontend", "--timeout=60s")
	ip := kubectlIn("get", "pod", "frontend", "-o", "jsonpath={.status.podIP}")
	asked.Store(0)
	out := ask("-control-plane", ip+":8080", "/api/healthz")
	if asked.Load() != 0 || strings.Contains(out, "secret") {
		t.Errorf("the pod reached the machine: %d requests, answer %q", asked.Load(), out)
	}
	if !strings.Contains(out, "REFUSED") && !strings.Contains(out, "TIMEOUT") && !strings.Contains(out, "OTHER") {
		t.Errorf("the frontend does not say that it reached nothing: %q", out)
	}
}
