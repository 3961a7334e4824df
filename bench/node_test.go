//go:build bench

package bench

import (
	"path/filepath"
	"testing"
)

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
