package verify

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

func twoChecks() *lab.Lab {
	return &lab.Lab{
		ID: "tiny", Checks: []lab.Check{{ID: "first"}, {ID: "second", DependsOn: []string{"first"}}, {ID: "third"}},
		Files: fstest.MapFS{"wrong/first/a.yaml": {}, "wrong/second/a.yaml": {}},
	}
}

func TestExpectations(t *testing.T) {
	all, err := expectations(twoChecks())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, strings.Repeat(e.dir+" ", e.times))
		if e.refusable != (e.dir == "starter") {
			t.Errorf("%s may be refused: %v", e.dir, e.refusable)
		}
	}
	if want := "starter |solution solution |wrong/first |wrong/second "; strings.Join(got, "|") != want {
		t.Errorf("got %v", got)
	}
}

func TestOnlyItsCheckAndItsDependents(t *testing.T) {
	l := twoChecks()
	statuses := func(of ...result.CheckStatus) result.Report {
		r := result.Report{}
		for i, s := range of {
			r.Checks = append(r.Checks, result.Check{ID: l.Checks[i].ID, Status: s})
		}
		return r
	}
	for _, tc := range []struct {
		report result.Report
		ok     bool
	}{
		{statuses(result.Failed, result.Skipped, result.Passed), true},
		{statuses(result.Failed, result.Skipped, result.Failed), false},
		{statuses(result.Failed, result.Passed, result.Passed), false},
		{statuses(result.Passed, result.Passed, result.Passed), false},
		{statuses(result.Error, result.Skipped, result.Passed), false},
	} {
		if err := only("first")(l, tc.report); (err == nil) != tc.ok {
			t.Errorf("%v: %v", tc.report.Checks, err)
		}
	}
}

// A starter that may not be applied is as expected, and noted; nothing else is.
func TestRefused(t *testing.T) {
	refusal := fault.Inputf("Service/web: spec.ports[0].nodePort: not in the valid range")
	for name, tc := range map[string]struct {
		e    expectation
		err  error
		fine bool
	}{
		"a starter":                  {expectation{dir: "starter", refusable: true}, refusal, true},
		"a solution":                 {expectation{dir: "solution"}, refusal, false},
		"the environment, a starter": {expectation{dir: "starter", refusable: true}, fault.Environmentf("no engine"), false},
		"unclassified, a starter":    {expectation{dir: "starter", refusable: true}, errors.New("what?"), false},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			v := &verifier{opts: &Options{Streams: ui.Streams{Out: &out}}, runs: 1}
			err := v.refused(twoChecks(), tc.e, tc.err)
			if (err == nil) != tc.fine {
				t.Fatalf("got %v", err)
			}
			if err := v.summary([]*lab.Lab{twoChecks()}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(out.String(), "note\ttiny starter is refused, which counts as less than full: Service/web"); got != tc.fine {
				t.Errorf("printed %q", out.String())
			}
			if !strings.Contains(out.String(), "1 lab, 3 checks: 1 submission graded, 1 as expected\n") {
				t.Errorf("printed %q", out.String())
			}
		})
	}
}

func TestSummaryOfFaults(t *testing.T) {
	var out bytes.Buffer
	v := &verifier{opts: &Options{Streams: ui.Streams{Out: &out}}, runs: 3, faults: []string{"tiny solution: scores 60 of 100"}}
	var exit *ui.ExitError
	if err := v.summary(nil); !errors.As(err, &exit) || exit.Code != 1 {
		t.Errorf("got %v", err)
	}
	if want := "wrong\ttiny solution: scores 60 of 100\n0 labs, 0 checks: 3 submissions graded, 2 as expected\n"; out.String() != want {
		t.Errorf("printed %q", out.String())
	}
}
