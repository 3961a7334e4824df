package student

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

func TestNextHint(t *testing.T) {
	c := lab.Check{ID: "a", Hints: []string{"gentle", "plain"}}
	seen := func(status result.CheckStatus, hint string) *result.Check {
		return &result.Check{ID: "a", Status: status, Hint: hint}
	}
	tests := []struct {
		name string
		seen *result.Check
		want Hint
	}{
		{"what was seen comes first", seen(result.Failed, "labels differ"), Hint{Text: "labels differ", Observed: true, Left: 2}},
		{"then the lab's own", seen(result.Failed, "labels differ"), Hint{Text: "gentle", Number: 1, Left: 1}},
		{"another thing is seen", seen(result.Failed, "wrong port"), Hint{Text: "wrong port", Observed: true, Number: 1, Left: 1}},
		{"the lab's own, repeated by the report", seen(result.Failed, "gentle"), Hint{Text: "plain", Number: 2}},
		{"no more", seen(result.Failed, "gentle"), Hint{Text: "plain", Number: 2, Again: true}},
		{"skipped", seen(result.Skipped, "wrong"), Hint{Text: "plain", Number: 2, Again: true}},
		{"no report", nil, Hint{Text: "plain", Number: 2, Again: true}},
	}
	mine := &Lab{ID: "x"}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, mine.NextHint(c, tt.seen)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if mine.Checks["a"].Hints != 2 {
		t.Errorf("%d hints were counted", mine.Checks["a"].Hints)
	}
	c.Hints = c.Hints[:1]
	if h := mine.NextHint(c, nil); h.Text != "gentle" || !h.Again {
		t.Errorf("after a lab got fewer hints: %+v", h)
	}
}

func TestVerdict(t *testing.T) {
	r := report("a", "passed")
	if v := Verdict(r, "a"); v == nil || v.Status != result.Passed || Verdict(r, "b") != nil {
		t.Errorf("got %+v", v)
	}
}
