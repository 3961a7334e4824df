package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// Who asks for one step, and is kept from it by an earlier one, sees what that one found.
func TestSkippedShowsWhy(t *testing.T) {
	b := atWork()
	b.lab.Tiers = nil
	last, _ := b.lab.Check("round-trip")
	b.checks = []lab.Check{last}
	for name, c := range map[string]struct {
		before grader.Verdict
		want   map[string]result.CheckStatus
	}{
		"a dependency fails": {
			grader.Verdict{Status: result.Failed, Message: "the database did not answer"},
			map[string]result.CheckStatus{"backend-reaches-db": result.Failed, "round-trip": result.Skipped},
		},
		"it passes": {
			grader.Verdict{Status: result.Passed},
			map[string]result.CheckStatus{"round-trip": result.Passed},
		},
	} {
		s := &grader.Session{Lab: b.lab, Known: map[string]grader.Verdict{
			"db-is-internal": {Status: result.Passed}, "backend-reaches-db": c.before,
		}}
		if c.before.Status == result.Passed {
			s.Known["round-trip"] = grader.Verdict{Status: result.Passed}
		}
		s.Start(t.Context(), ids(b.checks))
		got := map[string]result.CheckStatus{}
		for r := range b.results(t.Context(), s) {
			got[r.ID] = r.Status
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
