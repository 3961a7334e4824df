package class_test

import (
	"testing"
	"time"
	_ "time/tzdata" // a machine may have none

	"labctl.dev/labctl/internal/class"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

func TestParseLate(t *testing.T) {
	for text, want := range map[string]string{
		"10%/day,max 50%":                        "10%/day,max 50%",
		" 10% / Day , MAX  50% ":                 "10%/day,max 50%",
		"5%/h":                                   "5%/hour",
		"2.5%/week":                              "2.5%/week",
		"20%":                                    "20%",
		"grace 15m,20%":                          "20%,grace 15m",
		"0 after 7d":                             "0 after 7d",
		"10%/day,max 50%,grace 1h30m,0 after 1w": "10%/day,max 50%,grace 1h30m,0 after 7d",
	} {
		r, err := class.ParseLate(text)
		if err != nil || r.String() != want {
			t.Errorf("%q: got %q, %v; want %q", text, r, err, want)
			continue
		}
		again, err := class.ParseLate(r.String())
		if err != nil || again != r {
			t.Errorf("%q read again: %v, %v", r, again, err)
		}
	}
	for _, text := range []string{
		"", ",", "10", "10%/month", "max 50%", "max 50%,20%", "grace 15m", "-5%", "101%", "0%", "NaN%", "Inf%", "10%/day,5%/day",
		"10%/day,20%", "grace 0m,20%", "grace x,20%", "0 after", "1 after 7d", "10%/day,", "10%%", "grace 99999999999d,20%",
	} {
		if r, err := class.ParseLate(text); err == nil || fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
			t.Errorf("%q: got %q, %v", text, r, err)
		}
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestApply(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	utc := func(text string) time.Time {
		at, err := time.Parse("2006-01-02 15:04:05", text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	local := func(text string) time.Time {
		at, err := time.ParseInLocation("2006-01-02 15:04:05", text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	due := local("2026-11-25 23:59:59")
	tests := []struct {
		rule      string
		due       time.Time
		submitted time.Time
		want      float64 // percent; -1 is in time
	}{
		{"10%/day,max 50%", due, due, -1},
		{"10%/day,max 50%", due, due.Add(900 * time.Millisecond), -1}, // seconds are whole
		{"10%/day,max 50%", due, due.Add(time.Second), 10},
		{"10%/day,max 50%", due, utc("2026-11-25 22:59:59"), -1}, // the same moment
		{"10%/day,max 50%", due, utc("2026-11-25 23:30:00"), 10},
		{"10%/day,max 50%", due, local("2026-11-26 23:59:59"), 10},
		{"10%/day,max 50%", due, local("2026-11-27 00:00:00"), 20},
		{"10%/day,max 50%", due, local("2026-12-24 00:00:00"), 50},
		{"10%/day", due, local("2036-12-24 00:00:00"), 100},
		{"5%/hour", due, due.Add(time.Hour), 5},
		{"5%/hour", due, due.Add(time.Hour + time.Second), 10},
		{"20%", due, due.Add(100 * 24 * time.Hour), 20},
		{"10%/week", due, local("2026-12-02 23:59:59"), 10},
		{"10%/week", due, local("2026-12-03 00:00:00"), 20},
		{"grace 15m,10%/day", due, due.Add(15 * time.Minute), -1},
		{"grace 15m,5%/hour", due, due.Add(61 * time.Minute), 10}, // late from the due time on
		{"10%/day,max 30%,0 after 7d", due, local("2026-12-02 23:59:59"), 30},
		{"10%/day,max 30%,0 after 7d", due, local("2026-12-03 00:00:00"), 100},
		{"0 after 7d", due, due.Add(time.Hour), 0},
		// The day that has 25 hours is one day, and so is the one that has 23.
		{"10%/day", local("2026-10-24 23:59:59"), local("2026-10-25 23:59:59"), 10},
		{"10%/day", local("2026-10-24 23:59:59"), local("2026-10-26 00:00:00"), 20},
		{"10%/day", local("2026-03-28 23:59:59"), local("2026-03-29 23:59:59"), 10},
		{"10%/day", local("2026-03-28 23:59:59"), local("2026-03-30 00:00:00"), 20},
		{"0 after 1d", local("2026-10-24 23:59:59"), local("2026-10-25 23:59:59"), 0},
		// Hours are hours: 2:30 comes twice in that night.
		{"5%/hour", local("2026-10-25 00:00:00"), utc("2026-10-25 01:30:00"), 20},
		// In a zone without summer time, a day has 24 hours.
		{"10%/day", utc("2026-10-24 21:59:59"), local("2026-10-25 23:59:59"), 20},
	}
	for _, test := range tests {
		rule, err := class.ParseLate(test.rule)
		if err != nil {
			t.Fatal(err)
		}
		r := &result.Report{Status: result.Graded, Score: 80, MaxScore: 100, Submitted: &test.submitted, Late: &result.Late{}}
		rule.Apply(r, test.due)
		got := -1.0
		if r.Late != nil {
			got = r.Late.Percent
			if r.Late.Points != 80*got/100 || r.Late.Rule != rule.String() || !r.Late.Due.Equal(test.due) || r.Late.Due.Location() != time.UTC ||
				r.Final() != 80-r.Late.Points {
				t.Errorf("%s: %+v, final %v", test.rule, r.Late, r.Final())
			}
		}
		if got != test.want {
			t.Errorf("%s, due %v, submitted %v: lost %v, want %v", test.rule, test.due, test.submitted, got, test.want)
		}
	}
}

// TestNotLate is about reports that no rule says anything of.
func TestNotLate(t *testing.T) {
	rule, err := class.ParseLate("20%")
	if err != nil {
		t.Fatal(err)
	}
	due := noon()
	late := due.Add(time.Hour)
	for name, r := range map[string]result.Report{
		"no time":   {Status: result.Graded, Score: 80},
		"zero time": {Status: result.Graded, Score: 80, Submitted: &time.Time{}},
		"rejected":  {Status: result.Rejected, Submitted: &late},
		"our error": {Status: result.Errored, Submitted: &late},
		"missing":   {Status: result.Missing, Submitted: &late},
	} {
		r.Late = &result.Late{Percent: 100}
		rule.Apply(&r, due)
		if r.Late != nil {
			t.Errorf("%s: %+v", name, r.Late)
		}
	}
	r := result.Report{Status: result.Graded, Score: 80, Submitted: &late}
	rule.Apply(&r, time.Time{})
	if r.Late != nil {
		t.Errorf("without a due time: %+v", r.Late)
	}
	class.Rule{}.Apply(&r, due) // is late, and loses nothing
	if r.Late == nil || r.Late.Percent != 0 || r.Final() != 80 {
		t.Errorf("without a rule: %+v", r.Late)
	}
}

func TestParseDue(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for text, want := range map[string]string{
		"2026-11-25":                "2026-11-25T23:59:59+01:00",
		"2026-07-25":                "2026-07-25T23:59:59+02:00",
		"2026-10-25":                "2026-10-25T23:59:59+01:00", // a day of 25 hours
		"2026-11-25 23:59":          "2026-11-25T23:59:00+01:00",
		" 2026-07-25T18:00:30 ":     "2026-07-25T18:00:30+02:00",
		"2026-11-25T23:59:00Z":      "2026-11-25T23:59:00Z",
		"2026-11-25T23:59:00-05:00": "2026-11-25T23:59:00-05:00",
	} {
		got, err := class.ParseDue(text, berlin)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q: got %v, %v; want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "tomorrow", "25.11.2026", "2026-02-30", "2026-11-25 25:00", "11/25/2026"} {
		if got, err := class.ParseDue(text, berlin); err == nil || fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
}
