//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// traced is what the tests look at of a trace as JSON.
type traced struct {
	Paths []struct {
		Via      string `json:"via"`
		Node     string `json:"node"`
		OK       bool   `json:"ok"`
		Answered string `json:"answered"`
		Hops     []struct {
			Kind    string `json:"kind"`
			Address string `json:"address"`
		} `json:"hops"`
		Break *struct {
			Hop   int      `json:"hop"`
			Why   string   `json:"why"`
			Facts []string `json:"facts"`
			Hint  string   `json:"hint"`
		} `json:"break"`
	} `json:"paths"`
}

// shop is a namespace with the application of the labs in it.
func shop(t *testing.T) string {
	t.Helper()
	suffix := make([]byte, 4)
	if _, err := rand.Read(suffix); err != nil {
		t.Fatal(err)
	}
	namespace := "labctl-trace-" + hex.EncodeToString(suffix)
	kubectl(t, "create", "namespace", namespace)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", namespace, "--wait=false") })
	for _, file := range []string{"db", "backend", "frontend"} {
		apply(t, namespace, manifest(t, file))
	}
	for _, workload := range []string{"frontend", "backend", "db"} {
		kubectl(t, "-n", namespace, "rollout", "status", "deployment/"+workload, "--timeout=180s")
	}
	return namespace
}

// apply applies manifests as a student does.
func apply(t *testing.T, namespace, manifest string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), engineBin(), "exec", "-i", cluster()+"-control-plane",
		"kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", namespace, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("apply: %v\n%s\n%s", err, out, manifest)
	}
}

// trace traces a Service until the trace is as wanted, or patience is over.
func trace(t *testing.T, namespace, service string, more []string, wanted func(traced) string) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		o := run(t, 2*time.Minute, append([]string{"trace", service, "-n", namespace, "--json"}, more...)...)
		if o.code == 3 && time.Now().Before(deadline) {
			continue // the environment's: it says nothing about the trace
		}
		var got traced
		if err := json.Unmarshal([]byte(o.stdout), &got); err != nil {
			t.Fatalf("%v\nexit code %d\n%s%s", err, o.code, o.stdout, o.stderr)
		}
		complaint := wanted(got)
		broken := strings.Contains(o.stdout, `"break"`)
		if complaint == "" && (o.code == 1) != broken {
			complaint = fmt.Sprintf("exit code %d", o.code)
		}
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s\n%s", complaint, o.stdout)
		}
	}
}

func service(name, spec string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: %s\n", name, spec)
}

// Every type of Service answers along every path that it has, and says who answered.
func TestTraceEveryType(t *testing.T) {
	namespace := shop(t)
	apply(t, namespace, strings.Join([]string{
		service("node", `{type: NodePort, selector: {app: frontend}, ports: [{port: 80, targetPort: 8080}]}`),
		service("balanced", `{type: LoadBalancer, selector: {app: frontend}, ports: [{port: 80, targetPort: 8080}]}`),
		service("headless", `{clusterIP: None, selector: {app: backend}, ports: [{port: 8080}]}`),
		service("alias", `{type: ExternalName, externalName: backend.`+namespace+`.svc.cluster.local}`),
	}, "---\n"))
	for _, c := range []struct {
		service string
		paths   []string // by kind, each with its hops
		tier    string   // that answers
	}{
		{"backend", []string{"clusterIP client service pod"}, "backend"},
		{"db", []string{"clusterIP client service pod"}, "db"},
		{"node", []string{"clusterIP client service pod", "nodePort client node service pod", "nodePort client node service pod", "nodePort client node service pod"}, "frontend"},
		{"balanced", []string{"clusterIP client service pod", "nodePort client node service pod", "nodePort client node service pod", "nodePort client node service pod", "loadBalancer client loadBalancer node service pod"}, "frontend"},
		{"headless", []string{"headless client service name pod"}, "backend"},
		{"alias", []string{"externalName client service name"}, ""},
	} {
		t.Run(c.service, func(t *testing.T) {
			trace(t, namespace, c.service, nil, func(got traced) string {
				var paths []string
				for _, p := range got.Paths {
					path := p.Via
					for _, h := range p.Hops {
						path += " " + h.Kind
					}
					paths = append(paths, path)
					if !p.OK || c.tier != "" && !strings.HasPrefix(p.Answered, "pod/"+c.tier+"-") {
						return fmt.Sprintf("%s %s: OK %v, answered by %q", p.Via, p.Node, p.OK, p.Answered)
					}
				}
				if strings.Join(paths, "\n") != strings.Join(c.paths, "\n") {
					return fmt.Sprintf("paths %q, want %q", paths, c.paths)
				}
				return ""
			})
		})
	}
}

// Every breakage is found at its hop, with what shows it.
func TestTraceEveryBreak(t *testing.T) {
	namespace := shop(t)
	apply(t, namespace, strings.Join([]string{
		service("selector", `{selector: {app: backnd}, ports: [{port: 80, targetPort: 8080}]}`),
		service("target-port", `{selector: {app: backend}, ports: [{port: 80, targetPort: 9090}]}`),
		service("named-port", `{selector: {app: backend}, ports: [{port: 80, targetPort: web-ui}]}`),
		service("unready", `{selector: {app: unready}, ports: [{port: 80, targetPort: 8080}]}`),
		service("local", `{type: NodePort, externalTrafficPolicy: Local, selector: {app: db}, ports: [{port: 5432}]}`),
		service("pending", `{type: LoadBalancer, loadBalancerClass: example.com/none, selector: {app: frontend}, ports: [{port: 80, targetPort: 8080}]}`),
		service("nowhere", `{type: ExternalName, externalName: databse.`+namespace+`.svc.cluster.local}`),
		service("empty", `{clusterIP: None, selector: {app: nobody}, ports: [{port: 8080}]}`),
		`{apiVersion: v1, kind: Pod, metadata: {name: unready, labels: {app: unready}}, spec: {containers: [{name: c, image: "labctl/backend:v1", imagePullPolicy: IfNotPresent,
  env: [{name: BACKEND_URL, value: "http://backend:8080"}], ports: [{containerPort: 8080}], readinessProbe: {periodSeconds: 1, httpGet: {path: /nowhere, port: 8080}}}]}}` + "\n",
	}, "---\n"))
	for _, c := range []struct {
		service, via string
		more         []string
		at           string
		says         []string
	}{
		{"bakend", "clusterIP", nil, "service", []string{"no Service bakend", `did you mean "backend"?`}},
		{"backend", "clusterIP", []string{"--port", "8080"}, "service", []string{"no port 8080", "its ports: 80"}},
		{"backend", "configured", nil, "service", []string{"BACKEND_URL of pod/unready calls backend at port 8080"}},
		{"selector", "clusterIP", nil, "service", []string{"matches no pod", "has app=backend, the selector wants app=backnd"}},
		{"target-port", "clusterIP", nil, "pod", []string{"nothing listens on port 9090", "port 8080, and answers there"}},
		{"named-port", "clusterIP", nil, "pod", []string{`the name "web-ui"`}},
		{"unready", "clusterIP", nil, "pod", []string{"not ready", "HTTP GET /nowhere at port 8080", "Unhealthy"}},
		{"local", "nodePort", nil, "node", []string{"externalTrafficPolicy", "the node drops the request"}},
		{"pending", "loadBalancer", nil, "loadBalancer", []string{"no external address", "example.com/none"}},
		{"nowhere", "externalName", nil, "name", []string{"does not resolve", "no Service databse"}},
		{"empty", "headless", nil, "service", []string{"matches no pod"}},
	} {
		t.Run(c.service+" "+c.via, func(t *testing.T) {
			trace(t, namespace, c.service, c.more, func(got traced) string {
				for _, p := range got.Paths {
					if p.Via != c.via || p.Break == nil {
						continue
					}
					if at := p.Hops[p.Break.Hop].Kind; at != c.at {
						return fmt.Sprintf("breaks at %s, want %s: %s", at, c.at, p.Break.Why)
					}
					told := strings.Join(append(p.Break.Facts, p.Break.Why, p.Break.Hint), "\n")
					for _, want := range c.says {
						if !strings.Contains(told, want) {
							return fmt.Sprintf("does not say %q:\n%s", want, told)
						}
					}
					return ""
				}
				return "no path by " + c.via + " breaks"
			})
		})
	}
}

// manifest is one of the solution's of the first lab.
func manifest(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../labs/10-clusterip/solution/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
