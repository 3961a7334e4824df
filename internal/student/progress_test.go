package student

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/fault"
)

func TestRecord(t *testing.T) {
	l := guestbook()
	rounds := []struct {
		name     string
		verdicts []string
		want     []Change
		solved   bool
	}{
		{"the first look", []string{"a", "failed", "b", "skipped"}, []Change{{Check: "a", To: "failed"}, {Check: "b", To: "skipped"}}, false},
		{"the same again", []string{"a", "failed", "b", "skipped"}, nil, false},
		{"repaired", []string{"a", "passed", "b", "passed"}, []Change{{Check: "a", From: "failed", To: "passed"}, {Check: "b", From: "skipped", To: "passed"}}, false},
		{"one breaks, and its dependent is skipped", []string{"a", "failed", "b", "skipped"}, []Change{{Check: "a", From: "passed", To: "failed", Regression: true}, {Check: "b", From: "passed", To: "skipped"}}, false},
		{"the dependent fails by itself", []string{"a", "passed", "b", "failed"}, []Change{{Check: "a", From: "failed", To: "passed"}, {Check: "b", From: "skipped", To: "failed", Regression: true}}, false},
		{"could not be carried out", []string{"b", "error"}, nil, false},
		{"hidden and unknown ones", []string{"secret", "failed", "nowhere", "passed"}, nil, false},
		{"all of them", []string{"b", "passed", "c", "passed"}, []Change{{Check: "b", From: "failed", To: "passed"}, {Check: "c", To: "passed"}}, true},
		{"solved stays solved", []string{"c", "failed"}, []Change{{Check: "c", From: "passed", To: "failed", Regression: true}}, true},
	}
	p := &Progress{}
	for i, r := range rounds {
		got := p.Record(l, report(r.verdicts...), clock(i))
		if diff := cmp.Diff(r.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.name, diff)
		}
		if solved := !p.Labs[l.ID].Solved.IsZero(); solved != r.solved {
			t.Errorf("%s: solved is %v", r.name, solved)
		}
	}
	mine := p.Labs[l.ID]
	if b := mine.Checks["b"]; b.FirstPassed != clock(2) || b.Changed != clock(7) || b.Regressions != 1 {
		t.Errorf("b: %+v", b)
	}
	if mine.Checks["secret"] != nil || mine.Checks["nowhere"] != nil {
		t.Errorf("hidden or unknown checks were recorded: %v", mine.Checks)
	}
	if mine.Started != clock(0) || mine.Solved != clock(7) {
		t.Errorf("started %v, solved %v", mine.Started, mine.Solved)
	}
}

func TestStanding(t *testing.T) {
	l := guestbook()
	var none *Lab
	if s, n, ok := none.Step(l); !ok || s.ID != "one" || n != 1 || none.Points(l) != 0 || none.Complete(l) || none.Gave("one") {
		t.Errorf("a lab that was not started is at step %q (%d, %v)", s.ID, n, ok)
	}
	p := &Progress{}
	p.Record(l, report("a", "passed", "b", "passed"), clock(1))
	mine := p.Labs[l.ID]
	if s, n, ok := mine.Step(l); !ok || s.ID != "two" || n != 2 {
		t.Errorf("after the first step: step %q (%d, %v)", s.ID, n, ok)
	}
	if mine.Points(l) != 60 || mine.Count(l.Visible()) != 2 || mine.Complete(l) {
		t.Errorf("%v points, %d checks", mine.Points(l), mine.Count(l.Visible()))
	}
	p.Record(l, report("c", "passed"), clock(2))
	if _, _, ok := mine.Step(l); ok || !mine.Complete(l) || mine.Points(l) != l.VisiblePoints() {
		t.Errorf("all passed, and not complete: %v points", mine.Points(l))
	}
}

func TestCurrent(t *testing.T) {
	started := &Progress{Current: "guestbook", Labs: map[string]*Lab{"guestbook": {ID: "guestbook"}, "gone": {ID: "gone"}}}
	tests := map[string]struct {
		progress *Progress
		id       string
		want     string
		problem  string
		remedy   string
	}{
		"the one started last": {started, "", "guestbook", "", ""},
		"by its id":            {started, "guestbook", "guestbook", "", ""},
		"none started":         {&Progress{}, "", "", "no lab has been started", "labctl start guestbook"},
		"not started":          {started, "other", "", `lab "other" has not been started`, "labctl start other"},
		"unknown":              {started, "guestbok", "", `did you mean "guestbook"?`, "labctl labs"},
		"no longer there":      {&Progress{Current: "gone", Labs: started.Labs}, "", "", `"gone", which you started last, is not among`, "LABCTL_LABS"},
	}
	for name, tt := range tests {
		l, mine, err := Current(tt.progress, catalog(), tt.id)
		if tt.problem == "" {
			if err != nil || l.ID != tt.want || mine.ID != tt.want {
				t.Errorf("%s: %v, %v, %v", name, l, mine, err)
			}
			continue
		}
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Input || !strings.Contains(err.Error(), tt.problem) || !strings.Contains(f.Remedy, tt.remedy) {
			t.Errorf("%s: %v, remedy %q", name, err, fault.RemedyOf(err))
		}
	}
}

func TestRenew(t *testing.T) {
	l, p := guestbook(), &Progress{}
	p.Record(l, report("a", "passed", "b", "passed", "c", "passed"), clock(1))
	p.Labs[l.ID].Renew(clock(2))
	mine := p.Labs[l.ID]
	if mine.Complete(l) || mine.Count(l.Visible()) != 0 || mine.Solved != clock(1) || mine.Checks["a"].FirstPassed != clock(1) {
		t.Errorf("after a reset: %+v", mine)
	}
	if changes := p.Record(l, report("a", "failed"), clock(3)); len(changes) != 1 || changes[0].Regression || mine.Checks["a"].Regressed() {
		t.Errorf("what fails after a reset is no regression: %+v", changes)
	}
}

func TestGiveUp(t *testing.T) {
	l, p := guestbook(), &Progress{}
	p.Record(l, report("a", "passed", "b", "passed"), clock(1))
	mine := p.Labs[l.ID]
	for hour := range 3 {
		mine.GiveUp(l, "one", clock(2+hour)) // passed: there is nothing to give up
		if hour > 0 {
			mine.GiveUp(l, "two", clock(2+hour))
		}
		if want := hour > 0; mine.GaveAll(l) != want {
			t.Errorf("%d: gave all: %v", hour, mine.GaveAll(l))
		}
	}
	if mine.Gave("one") || mine.GaveUp["two"] != clock(3) {
		t.Errorf("gave up %v", mine.GaveUp)
	}
}
