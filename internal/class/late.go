package class

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// Rule says what being late costs, in percent of the score. The zero Rule costs nothing.
type Rule struct {
	percent float64       // at once, or for each started unit of per
	per     string        // "", "hour", "day" or "week"
	most    float64       // percent; 0 is no bound
	grace   time.Duration // so late is in time
	nothing span          // after so long there are no points at all; zero is never
}

// span is a stretch of time. Its days are those of the calendar, and may have 23 or 25 hours.
type span struct {
	days int
	rest time.Duration
}

func (s span) after(t time.Time) time.Time { return t.AddDate(0, 0, s.days).Add(s.rest) }

const lateRemedy = `write it like "10%%/day,max 50%%", "5%%/hour", "20%%", "grace 15m,10%%/day" or "10%%/day,0 after 7d"`

// ParseLate reads a rule: parts with commas between them, in any order.
//
//	10%/day     for each day that has begun; also /hour and /week
//	20%         once
//	max 50%     never more
//	grace 15m   so late is in time; who is later is late from the due time on
//	0 after 7d  no points after so long, whatever the maximum; units w, d, h, m, s
//
// What is no rule is a fault.Input.
func ParseLate(text string) (Rule, error) {
	var r Rule
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.Join(strings.Fields(strings.ToLower(part)), " ")
		kind, err := r.part(part)
		if err == nil && seen[kind] {
			err = fmt.Errorf("says %s twice", kind)
		}
		if err != nil {
			return Rule{}, fault.Inputf("late rule %q: %w", text, err).WithRemedy(lateRemedy)
		}
		seen[kind] = true
	}
	if !seen["what it costs"] && !seen["when there is nothing left"] {
		return Rule{}, fault.Inputf("late rule %q: does not say what being late costs", text).WithRemedy(lateRemedy)
	}
	if seen["the maximum"] && r.per == "" {
		return Rule{}, fault.Inputf("late rule %q: a maximum needs a part such as 10%%/day", text).WithRemedy(lateRemedy)
	}
	return r, nil
}

// part reads one part of a rule, and tells which.
func (r *Rule) part(part string) (kind string, err error) {
	if rest, ok := strings.CutPrefix(part, "max "); ok {
		r.most, err = percent(rest)
		return "the maximum", err
	}
	if rest, ok := strings.CutPrefix(part, "grace "); ok {
		var s span
		s, err = parseSpan(rest)
		r.grace = s.rest + time.Duration(s.days)*24*time.Hour
		return "the grace", err
	}
	if rest, ok := strings.CutPrefix(part, "0 after "); ok {
		r.nothing, err = parseSpan(rest)
		return "when there is nothing left", err
	}
	rate, per, found := strings.Cut(part, "/")
	if r.percent, err = percent(strings.TrimSpace(rate)); err != nil {
		return "", err
	}
	if found {
		switch per = strings.TrimSpace(per); per {
		case "hour", "day", "week":
			r.per = per
		case "h", "d", "w":
			r.per = map[string]string{"h": "hour", "d": "day", "w": "week"}[per]
		default:
			return "", fmt.Errorf("%q is no hour, day or week", per)
		}
	}
	return "what it costs", nil
}

func percent(text string) (float64, error) {
	number, ok := strings.CutSuffix(text, "%")
	if !ok {
		return 0, fmt.Errorf("%q is no part of a late rule", text)
	}
	p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(p > 0 && p <= 100) {
		return 0, fmt.Errorf("%q is not above 0%% and at most 100%%", text)
	}
	return p, nil
}

// parseSpan reads a time such as "7d", "1d12h" or "90m".
func parseSpan(text string) (span, error) {
	parts := regexp.MustCompile(`^(?:(\d{1,3})w)?(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?$`).FindStringSubmatch(strings.ReplaceAll(text, " ", ""))
	if parts == nil {
		return span{}, fmt.Errorf("%q is no time such as 15m, 2h or 7d", text)
	}
	var n [5]int
	for i := range n {
		n[i], _ = strconv.Atoi(parts[i+1]) // digits or nothing, says the expression
	}
	s := span{
		days: n[0]*7 + n[1],
		rest: time.Duration(n[2])*time.Hour + time.Duration(n[3])*time.Minute + time.Duration(n[4])*time.Second,
	}
	if s == (span{}) {
		return span{}, fmt.Errorf("%q is no time above zero", text)
	}
	return s, nil
}

// String returns the rule as ParseLate reads it.
func (r Rule) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	number := func(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) }
	switch {
	case r.per != "":
		add("%s%%/%s", number(r.percent), r.per)
	case r.percent > 0:
		add("%s%%", number(r.percent))
	}
	if r.most > 0 {
		add("max %s%%", number(r.most))
	}
	if r.grace > 0 {
		add("grace %s", span{rest: r.grace})
	}
	if r.nothing != (span{}) {
		add("0 after %s", r.nothing)
	}
	return strings.Join(parts, ",")
}

func (s span) String() string {
	var b strings.Builder
	for _, unit := range []struct {
		name string
		n    int64
	}{
		{"d", int64(s.days)}, {"h", int64(s.rest / time.Hour)},
		{"m", int64(s.rest % time.Hour / time.Minute)}, {"s", int64(s.rest % time.Minute / time.Second)},
	} {
		if unit.n > 0 {
			fmt.Fprintf(&b, "%d%s", unit.n, unit.name)
		}
	}
	return b.String()
}

// Apply says in the report what being late costs, from when it was handed in, and takes back
// what an earlier rule said. In the zone of due, days end at the same time of the clock.
// Nothing is late where the time of handing in is unknown or nothing was graded.
func (r Rule) Apply(report *result.Report, due time.Time) {
	report.Late = nil
	if report.Submitted == nil || report.Submitted.IsZero() || due.IsZero() || report.Status != result.Graded {
		return
	}
	submitted := report.Submitted.Truncate(time.Second)
	late := submitted.Sub(due)
	if late <= 0 || late <= r.grace {
		return
	}
	lost := r.lost(due, submitted)
	report.Late = &result.Late{
		Due: due.UTC(), Rule: r.String(), Seconds: late.Seconds(), Percent: lost, Points: report.Score * lost / 100,
	}
}

// lost returns the percent that a submission loses which is late.
func (r Rule) lost(due, submitted time.Time) float64 {
	if r.nothing != (span{}) && submitted.After(r.nothing.after(due)) {
		return 100
	}
	lost := r.percent * float64(r.units(due, submitted))
	if r.most > 0 {
		lost = min(lost, r.most)
	}
	return min(lost, 100)
}

// units counts what has begun of the rule's unit since the due time.
func (r Rule) units(due, submitted time.Time) int {
	days := 1
	switch r.per {
	case "":
		return 1
	case "hour":
		return int(math.Ceil(submitted.Sub(due).Hours()))
	case "week":
		days = 7
	}
	// Near the answer at once: what is years late should not be counted day by day.
	n := max(0, int(submitted.Sub(due).Hours()/24)/days-1)
	for submitted.After(due.AddDate(0, 0, n*days)) {
		n++
	}
	return n
}

// ParseDue reads when a submission is due: RFC 3339, or "2026-11-25 23:59", or a date alone,
// which means the last second of that day. Without a zone it is a time in the location; nil is
// the machine's. The result keeps its zone, which Apply needs. Anything else is a fault.Input.
func ParseDue(text string, in *time.Location) (time.Time, error) {
	if in == nil {
		in = time.Local
	}
	text = strings.TrimSpace(text)
	if t, err := time.ParseInLocation(time.DateOnly, text, in); err == nil {
		return time.Date(t.Year(), t.Month(), t.Day(), 23, 59, 59, 0, in), nil
	}
	for _, layout := range []string{
		time.RFC3339, "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05",
		"2006-01-02 15:04Z07:00", "2006-01-02 15:04:05Z07:00",
	} {
		if t, err := time.ParseInLocation(layout, text, in); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.Inputf("due time %q is not understood", text).
		WithRemedy(`write 2026-11-25, "2026-11-25 23:59" or 2026-11-25T23:59:00+01:00`)
}
