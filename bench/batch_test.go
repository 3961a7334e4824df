//go:build bench

package bench

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/fixtures/classroom"
	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/labs"
)

// fresh is how many submissions are graded in a cluster of their own: as it is done today, and
// so slow that a few have to stand for all.
const fresh = 3

// BenchmarkBatch compares a class of sixty in warm clusters with a fresh cluster for each
// submission, which is made, graded in and deleted.
func BenchmarkBatch(b *testing.B) {
	for _, concurrency := range []string{"1", "2", "4"} {
		b.Run("concurrency-"+concurrency, func(b *testing.B) {
			for b.Loop() {
				dir := b.TempDir()
				in, roster := class(b, dir)
				start := time.Now()
				args := []string{"batch", in, "--roster", roster, "--lab", classroom.LabID, "--out", filepath.Join(dir, "out"), "--concurrency", concurrency, "--clusters", "1"}
				run(b, nil, labctl(b), args...)
				took := time.Since(start)
				n := gradedIn(b, filepath.Join(dir, "out", "gradebook.csv"))
				each := took.Seconds() / float64(n)
				b.ReportMetric(3600/each, "graded/hour")
				say("batch, %s at a time: %d students in %.0f s, %d of them graded in a cluster: %.1f s each, %.0f an hour", concurrency, 60, took.Seconds(), n, each, 3600/each)
				if concurrency != "1" {
					continue
				}
				old := inFreshClusters(b, in)
				say("a fresh cluster for each: %.1f s each: %.1f x (goal 12 x)", old.Seconds(), old.Seconds()/each)
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

// gradedIn counts the students whose submission was graded.
func gradedIn(b *testing.B, gradebook string) int {
	b.Helper()
	data, err := os.ReadFile(gradebook)
	if err != nil {
		b.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(data))).ReadAll()
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, r := range rows {
		for _, cell := range r {
			if cell == string(result.Graded) {
				n++
				break
			}
		}
	}
	return n - 1 // the heading has a column of that name
}

// inFreshClusters returns how long one submission takes on average.
func inFreshClusters(b *testing.B, in string) time.Duration {
	b.Helper()
	var took time.Duration
	for i := range fresh {
		kubeconfig := filepath.Join(b.TempDir(), "config")
		took += run(b, nil, labctl(b), "up", "--name", "bench-fresh", "--kubeconfig", kubeconfig)
		took += run(b, nil, labctl(b), "grade", filepath.Join(in, fmt.Sprintf("full-%02d.zip", 2*i)), "--lab", classroom.LabID, "--name", "bench-fresh")
		took += run(b, nil, labctl(b), "down", "--name", "bench-fresh")
	}
	return took / fresh
}
