package status

import (
	"strings"
	"testing"
)

// A cluster of another version of labctl can be used, and is worth an up.
func TestCompareVersions(t *testing.T) {
	for _, c := range []struct {
		made, here, next string
		notes            int
	}{
		{"v1.0.0", "v1.0.0", "labctl labs", 0},
		{"v1.0.0", "v1.1.0", "labctl up --name exam", 1},
		{"v1.1.0", "v1.0.0", "labctl up --name exam", 1},
		{"", "v1.0.0", "labctl labs", 0},
	} {
		r := &Report{Name: "exam", Next: "labctl labs", Healthy: true}
		r.compare(c.made, c.here)
		if len(r.Notes) != c.notes || r.Next != c.next || !r.Healthy {
			t.Errorf("%s by %s: %+v", c.made, c.here, r)
		}
		if c.notes > 0 && (!strings.Contains(r.Notes[0], c.made) || !strings.Contains(r.Notes[0], c.here)) {
			t.Errorf("%q names not both versions", r.Notes[0])
		}
	}
}
