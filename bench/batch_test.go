//go:build bench

package bench

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"labctl.dev/labctl/fixtures/classroom"
	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/labs"
)

// fresh are the submissions that are graded in a cluster of their own: as it is done today, and
// so slow that a few of each sort have to stand for all.
func fresh() []string {
	return []string{"full-00.zip", "wrong-db-is-internal-a.zip", "odd-json", "hostile-host-path"}
}

// BenchmarkBatch compares a class of sixty in warm clusters with a fresh cluster for each
// submission, which is made, graded in and deleted.
func BenchmarkBatch(b *testing.B) {
	in, roster := class(b, b.TempDir())
	expected, err := classroom.Expected("../fixtures/classroom")
	if err != nil {
		b.Fatal(err)
	}
	old := inFreshClusters(b, in)
	count := map[result.Status]int{}
	for _, s := range expected {
		count[result.Status(s.Status)]++
	}
	graded, handed := count[result.Graded], count[result.Graded]+count[result.Rejected]
	say("a fresh cluster for each submission: %.1f s each, %.0f an hour", old.Seconds(), 3600/old.Seconds())
	for _, concurrency := range []string{"1", "2", "4", "8"} {
		b.Run("concurrency-"+concurrency, func(b *testing.B) {
			for b.Loop() {
				out := filepath.Join(b.TempDir(), "out")
				load := measure()
				took := run(b, nil, labctl(b), "batch", in, "--roster", roster, "--lab", classroom.LabID, "--out", out, "--concurrency", concurrency, "--clusters", "1")
				processor, memory := load.end()
				run(b, nil, labctl(b), "down", "--name", cluster.DefaultName+"-batch-1") // the next begins as this one did
				if err := classroom.Compare(filepath.Join(out, "gradebook.csv"), expected); err != nil {
					b.Fatalf("wrong grades are no figures: %v", err)
				}
				each := took / time.Duration(handed)
				b.ReportMetric(3600/each.Seconds(), "submissions/hour")
				b.ReportMetric(old.Seconds()/each.Seconds(), "x-fresh")
				say("batch, %s at a time: %d submissions in %.0f s, the making of the cluster included: %.1f s each, %.0f an hour: %.1f x (goal 12 x)",
					concurrency, handed, took.Seconds(), each.Seconds(), 3600/each.Seconds(), old.Seconds()/each.Seconds())
				say("  %d of them needed a cluster: %.1f s of each of these, %.1f s of processor time; the machine's memory grew by %d MiB at most",
					graded, took.Seconds()/float64(graded), processor.Seconds()/float64(graded), memory>>20)
			}
		})
	}
}

// class makes the class of sixty.
func class(b *testing.B, dir string) (in, roster string) {
	b.Helper()
	catalog, err := lab.NewCatalog(labs.Files(), nil, grader.RunNames())
	if err != nil {
		b.Fatal(err)
	}
	l, err := catalog.Lab(classroom.LabID)
	if err != nil {
		b.Fatal(err)
	}
	in = filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o700); err != nil {
		b.Fatal(err)
	}
	if roster, err = classroom.Write(in, "..", l); err != nil {
		b.Fatal(err)
	}
	return in, roster
}

// inFreshClusters returns how long one submission takes on average.
func inFreshClusters(b *testing.B, in string) time.Duration {
	b.Helper()
	var took time.Duration
	for _, name := range fresh() {
		kubeconfig := filepath.Join(b.TempDir(), "config")
		took += run(b, nil, labctl(b), "up", "--name", "bench-fresh", "--kubeconfig", kubeconfig)
		took += whatever(b, "grade", filepath.Join(in, name), "--lab", classroom.LabID, "--name", "bench-fresh")
		took += run(b, nil, labctl(b), "down", "--name", "bench-fresh")
	}
	return took / time.Duration(len(fresh()))
}

// whatever runs labctl on a submission, whatever it deserves: full marks, fewer, or a refusal.
func whatever(b *testing.B, args ...string) time.Duration {
	b.Helper()
	start := time.Now()
	out, err := exec.CommandContext(b.Context(), labctl(b), args...).CombinedOutput()
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || ended.ExitCode() > 2) {
		b.Fatalf("labctl %v: %v\n%s", args, err, out)
	}
	return time.Since(start)
}
