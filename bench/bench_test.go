//go:build bench

// Package bench measures labctl against a baseline in the same run, on a real engine:
//
//	make bench
//
// Figures are ratios, so that they mean the same on any machine; goals are printed beside
// them and never asserted.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
)

func labctl(b *testing.B) string {
	b.Helper()
	path, err := filepath.Abs("../bin/labctl")
	if err != nil {
		b.Fatal(err)
	}
	return path
}

// run runs a command to its end and returns how long it took.
func run(b *testing.B, env []string, name string, args ...string) time.Duration {
	b.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(b.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s %v: %v\n%s", name, args, err, out.String())
	}
	return time.Since(start)
}

// say prints a line of figures; benchmarks' own output has no room for reasons.
func say(format string, args ...any) { fmt.Printf("bench: "+format+"\n", args...) }

// upName is the cluster that measuring makes and removes.
const upName = "bench-up"

// BenchmarkUp compares "labctl up" with kind's own creation of the same cluster, and with
// the time until that one is where labctl's is: every node ready, and names resolved.
func BenchmarkUp(b *testing.B) {
	e, err := engine.Detect(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		up := run(b, nil, labctl(b), "up", "--name", upName, "--kubeconfig", filepath.Join(b.TempDir(), "config"))
		image := nodeImage(b)
		run(b, nil, labctl(b), "down", "--name", upName)
		base, usable := plainKind(b, e, image)
		b.ReportMetric(up.Seconds()/base.Seconds(), "x-kind")
		b.ReportMetric(up.Seconds()/usable.Seconds(), "x-usable")
		say("up: labctl %.1f s, kind create cluster %.1f s: %.2f x (goal 1.10 x); kind's cluster has all nodes and DNS after %.1f s: %.2f x",
			up.Seconds(), base.Seconds(), up.Seconds()/base.Seconds(), usable.Seconds(), up.Seconds()/usable.Seconds())
	}
}

// nodeImage is the image that labctl has chosen.
func nodeImage(b *testing.B) string {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), labctl(b), "status", "--json", "--name", upName).Output()
	if err != nil {
		b.Fatalf("labctl status: %v", err)
	}
	var status struct {
		Cluster struct {
			NodeImage string `json:"nodeImage"`
		} `json:"cluster"`
	}
	if err := json.Unmarshal(out, &status); err != nil {
		b.Fatal(err)
	}
	return status.Cluster.NodeImage
}

// plainKind returns when kind is done, and when the cluster can be used.
func plainKind(b *testing.B, e *engine.Engine, image string) (done, usable time.Duration) {
	b.Helper()
	const name = "bench-kind"
	info, err := e.Info(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	config := &v1alpha4.Cluster{Nodes: []v1alpha4.Node{
		{Role: v1alpha4.ControlPlaneRole, Image: image}, {Role: v1alpha4.WorkerRole, Image: image}, {Role: v1alpha4.WorkerRole, Image: image},
	}}
	if info.CgroupVersion == "1" {
		config.KubeadmConfigPatches = []string{"kind: KubeletConfiguration\nfailCgroupV1: false\n"}
	}
	kubeconfig := filepath.Join(b.TempDir(), "config")
	provider := kind.NewProvider()
	start := time.Now()
	err = provider.Create(name, kind.CreateWithV1Alpha4Config(config), kind.CreateWithKubeconfigPath(kubeconfig), kind.CreateWithWaitForReady(5*time.Minute))
	done = time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	awaitUsable(b, kubeconfig, "kind-"+name, len(config.Nodes))
	usable = time.Since(start)
	if err := provider.Delete(name, kubeconfig); err != nil {
		b.Fatal(err)
	}
	return done, usable
}

func awaitUsable(b *testing.B, kubeconfig, kubeContext string, nodes int) {
	b.Helper()
	kube.Silence()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	api, err := kube.Connect(kubeconfig, kubeContext)
	if err != nil {
		b.Fatal(err)
	}
	w, err := api.Watch(ctx, "kube-system")
	if err != nil {
		b.Fatal(err)
	}
	defer w.Stop()
	_, err = w.Await(ctx, func(st *kube.State) (bool, string) {
		ready := 0
		for _, n := range st.Nodes {
			if slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			}) {
				ready++
			}
		}
		dns := slices.ContainsFunc(st.Pods, func(p corev1.Pod) bool {
			return p.Labels["k8s-app"] == "kube-dns" && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			})
		})
		return ready == nodes && dns, "nodes and DNS are not ready"
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGrade compares grading a solution, from apply to report, with the time in which
// its pods become ready and its address is assigned; and the processor time of both, until
// the namespace is gone: what the pods cost is a floor to what any grading can.
func BenchmarkGrade(b *testing.B) {
	for _, dir := range []string{"10-clusterip", "20-nodeport", "30-loadbalancer"} {
		id := strings.SplitN(dir, "-", 2)[1]
		b.Run(id, func(b *testing.B) {
			path := filepath.Join("..", "labs", dir, "solution")
			var ready, graded, pods, grading time.Duration
			var peak int64
			n := 0
			for b.Loop() {
				for range 3 {
					load := measure()
					ready += readyTime(b, path)
					spent, _ := load.end()
					pods += spent
					load = measure()
					took, rss := gradeTime(b, path, id)
					awaitGone(b)
					spent, _ = load.end()
					grading += spent
					graded, peak = graded+took, max(peak, rss)
					n++
				}
			}
			b.ReportMetric(graded.Seconds()/ready.Seconds(), "x-ready")
			b.ReportMetric(graded.Seconds()/float64(n), "s/grade")
			b.ReportMetric(float64(peak)/1024, "MiB-peak")
			say("grade %s: %.1f s from apply to report, ready and assigned after %.1f s: %.2f x (goal 1.5 x, 10 s); peak memory of both processes %d MiB (goal 100)",
				id, graded.Seconds()/float64(n), ready.Seconds()/float64(n), graded.Seconds()/ready.Seconds(), peak/1024)
			say("  processor time of the machine, the cluster's at rest included: %.1f s, and %.1f s for the pods alone, applied, ready and removed",
				grading.Seconds()/float64(n), pods.Seconds()/float64(n))
		})
	}
}

// gradeTime grades a submission; it returns the time from its start to the report, and the
// largest memory of labctl and its grader process together, in KiB.
func gradeTime(b *testing.B, path, lab string) (time.Duration, int64) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "report.json")
	cmd := exec.CommandContext(b.Context(), labctl(b), "grade", path, "--lab", lab, "--json", file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	peak := make(chan int64)
	go func() { peak <- watchMemory(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	close(ended)
	rss := <-peak
	if err != nil {
		b.Fatalf("grade %s: %v\n%s", path, err, out.String())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	var r result.Report
	if err := json.Unmarshal(data, &r); err != nil {
		b.Fatal(err)
	}
	return r.Finished.Sub(r.Started), rss
}

// readyTime applies a submission in a namespace of its own and waits until its Deployments
// are complete and its load balancer has an address: what any grading has to wait for.
func readyTime(b *testing.B, path string) time.Duration {
	b.Helper()
	kube.Silence()
	ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
	defer cancel()
	sub, err := submission.Read(path, submission.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	api, err := kube.Connect("", "kind-"+cluster.DefaultName)
	if err != nil {
		b.Fatal(err)
	}
	namespace := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	start := time.Now()
	if err := api.CreateNamespace(ctx, namespace, nil, nil); err != nil {
		b.Fatal(err)
	}
	if err := api.Apply(ctx, namespace, sub.Unstructured()); err != nil {
		b.Fatal(err)
	}
	w, err := api.Watch(ctx, namespace)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Await(ctx, complete); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	w.Stop()
	if err := api.DeleteServices(ctx, namespace); err != nil {
		b.Fatal(err)
	}
	if err := api.DeleteNamespace(ctx, namespace, true); err != nil {
		b.Fatal(err)
	}
	return took
}

// awaitGone returns when no namespace of a grading is left.
func awaitGone(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
	defer cancel()
	api, err := kube.Connect("", "kind-"+cluster.DefaultName)
	if err != nil {
		b.Fatal(err)
	}
	left, err := api.Namespaces(ctx, grader.PurposeLabel+"="+grader.PurposeGrade)
	if err != nil {
		b.Fatal(err)
	}
	for _, ns := range left {
		if err := api.DeleteNamespace(ctx, ns.Name, true); err != nil {
			b.Fatal(err)
		}
	}
}

func complete(st *kube.State) (bool, string) {
	for _, svc := range st.Services {
		if svc.Spec.Type == "LoadBalancer" && len(svc.Status.LoadBalancer.Ingress) == 0 {
			return false, "service/" + svc.Name + " has no address"
		}
	}
	for _, d := range st.Deployments {
		if !rolledOut(d) {
			return false, "deployment/" + d.Name + " is not complete"
		}
	}
	for _, s := range st.StatefulSets {
		if s.Status.ReadyReplicas < *s.Spec.Replicas {
			return false, "statefulset/" + s.Name + " is not complete"
		}
	}
	return len(st.Deployments) > 0, "nothing is deployed"
}

func rolledOut(d appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.ReadyReplicas == *d.Spec.Replicas
}
