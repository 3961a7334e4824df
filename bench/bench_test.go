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
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"

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

// BenchmarkUp compares "labctl up" with kind's own creation of the same cluster.
func BenchmarkUp(b *testing.B) {
	e, err := engine.Detect(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	image := nodeImage(b)
	for b.Loop() {
		base := plainKind(b, e, image)
		up := run(b, nil, labctl(b), "up", "--name", "bench-up", "--node-image", image, "--kubeconfig", filepath.Join(b.TempDir(), "config"))
		run(b, nil, labctl(b), "down", "--name", "bench-up")
		b.ReportMetric(up.Seconds()/base.Seconds(), "x-kind")
		say("up: labctl %.1f s, kind create cluster %.1f s: %.2f x (goal 1.10 x)", up.Seconds(), base.Seconds(), up.Seconds()/base.Seconds())
	}
}

// nodeImage is the image of the cluster that is there.
func nodeImage(b *testing.B) string {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), labctl(b), "status", "--json").Output()
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

func plainKind(b *testing.B, e *engine.Engine, image string) time.Duration {
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
	took := time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	if err := provider.Delete(name, kubeconfig); err != nil {
		b.Fatal(err)
	}
	return took
}

// BenchmarkGrade compares grading a solution, from apply to report, with the time in which
// its pods become ready and its address is assigned.
func BenchmarkGrade(b *testing.B) {
	for _, dir := range []string{"10-clusterip", "20-nodeport", "30-loadbalancer"} {
		id := strings.SplitN(dir, "-", 2)[1]
		b.Run(id, func(b *testing.B) {
			path := filepath.Join("..", "labs", dir, "solution")
			var ready, graded time.Duration
			var peak int64
			n := 0
			for b.Loop() {
				for range 3 {
					ready += readyTime(b, path)
					took, rss := gradeTime(b, path, id)
					graded, peak = graded+took, max(peak, rss)
					n++
				}
			}
			b.ReportMetric(graded.Seconds()/ready.Seconds(), "x-ready")
			b.ReportMetric(graded.Seconds()/float64(n), "s/grade")
			b.ReportMetric(float64(peak)/1024, "MiB-peak")
			say("grade %s: %.1f s from apply to report, ready and assigned after %.1f s: %.2f x (goal 1.5 x, 10 s); peak memory of both processes %d MiB (goal 100)",
				id, graded.Seconds()/float64(n), ready.Seconds()/float64(n), graded.Seconds()/ready.Seconds(), peak/1024)
		})
	}
}

// gradeTime grades a submission; it returns the time from its start to the report, and the
// largest resident memory of labctl and its grader process together, in KiB.
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

// watchMemory samples a process and its children until ended, and returns the peak in KiB.
func watchMemory(pid int, ended <-chan struct{}) int64 {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var peak int64
	for {
		select {
		case <-ended:
			return peak
		case <-tick.C:
		}
		sum := resident(pid)
		for _, child := range children(pid) {
			sum += resident(child)
		}
		peak = max(peak, sum)
	}
}

// resident is a process's memory in KiB, of labctl only: engine clients do not count.
func resident(pid int) int64 {
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if filepath.Base(exe) != "labctl" {
		return 0
	}
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

func children(pid int) []int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var all []int
	for _, t := range tasks {
		data, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(f); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
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

// BenchmarkNodeImage builds the node image with every cache empty, and again with them warm.
func BenchmarkNodeImage(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		env := []string{
			"LABCTL_CACHE=" + filepath.Join(dir, "labctl"), "GOCACHE=" + filepath.Join(dir, "build"),
			"GOMODCACHE=" + filepath.Join(dir, "mod"), "GOFLAGS=-modcacherw",
		}
		cold := run(b, env, "go", "-C", "../fixtures/node", "run", ".")
		warm := run(b, env, "go", "-C", "../fixtures/node", "run", ".")
		b.ReportMetric(cold.Seconds(), "s-cold")
		b.ReportMetric(warm.Seconds(), "s-warm")
		say("node image: %.0f s with every cache empty (goal 600 s), %.1f s with warm ones (goal 60 s)", cold.Seconds(), warm.Seconds())
	}
}
