package result

import (
	"encoding/json"
	"strings"
	"testing"
)

func report(status Status, checks ...Check) Report {
	r := Report{Schema: Schema, Status: status, Checks: checks}
	r.Tally()
	return r
}

func TestForStudent(t *testing.T) {
	seen := Check{ID: "seen", Status: Passed, Points: 60, MaxPoints: 60}
	failed := Check{ID: "failed", Status: Failed, MaxPoints: 30}
	broken := Check{ID: "broken", Status: Error, MaxPoints: 30, Message: "no engine"}
	secret := Check{ID: "secret", Status: Failed, MaxPoints: 10, Visibility: "hidden"}
	lost := Check{ID: "secret", Status: Error, MaxPoints: 10, Visibility: "hidden", Message: "no engine"}
	for name, tc := range map[string]struct {
		in           Report
		status       Status
		score, total float64
		checks       int
	}{
		"nothing hidden":              {report(Graded, seen, failed), Graded, 60, 90, 2},
		"a hidden check":              {report(Graded, seen, failed, secret), Graded, 60, 90, 2},
		"only a hidden check errored": {report(Graded, seen, failed, lost), Graded, 60, 90, 2},
		"another errored, too":        {report(Graded, seen, broken, lost), Errored, 0, 90, 2},
		"rejected":                    {report(Rejected), Rejected, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(tc.in.Checks)
			got := tc.in.ForStudent()
			if got.Status != tc.status || got.Score != tc.score || got.MaxScore != tc.total || len(got.Checks) != tc.checks {
				t.Errorf("got %s %g/%g with %d checks", got.Status, got.Score, got.MaxScore, len(got.Checks))
			}
			text, err := json.Marshal(got)
			if err != nil || strings.Contains(string(text), "secret") || strings.Contains(string(text), "hidden") {
				t.Errorf("a trace of the hidden check: %s, %v", text, err)
			}
			if len(tc.in.Checks) != before {
				t.Error("the instructor's report was changed")
			}
		})
	}
}
