package export

import (
	"regexp"
	"slices"
	"strings"

	"labctl.dev/labctl/internal/result"
)

// bins is how many bars the distribution of scores has.
const bins = 10

// distribution counts scores by their share of the maximum; the last bin has those with full
// marks, too. What was not handed in or not graded is not among them.
func (c *Class) distribution() (counts [bins]int, shares []float64) {
	for i := range c.Reports {
		r := &c.Reports[i]
		s, ok := score(r)
		if !ok || r.Status == result.Missing {
			continue
		}
		share := 0.0
		if r.MaxScore > 0 {
			share = min(1, s/r.MaxScore)
		}
		shares = append(shares, share)
		counts[min(bins-1, int(share*bins+1e-9))]++
	}
	slices.Sort(shares)
	return counts, shares
}

// checkStats is how a class did at one check.
type checkStats struct {
	result.Check // of some report: id, title, step and so on
	passed       int
	failed       int
	skipped      int
	errors       int
	seconds      []float64 // of those that were carried out
	failures     map[string]*failure
}

// failure is a way of failing that several students may have in common.
type failure struct {
	count    int
	student  string // the first
	message  string // that student's
	evidence *result.Evidence
}

// checks counts the verdicts of the reports that are graded, check by check in their order.
func (c *Class) checks() []*checkStats {
	byID := map[string]*checkStats{}
	var all []*checkStats
	for i := range c.Reports {
		r := &c.Reports[i]
		for _, check := range r.Checks {
			s := byID[check.ID]
			if s == nil {
				s = &checkStats{Check: check, failures: map[string]*failure{}}
				byID[check.ID] = s
				all = append(all, s)
			}
			s.count(r.Student, check)
		}
	}
	return all
}

func (s *checkStats) count(student string, c result.Check) {
	switch c.Status {
	case result.Passed:
		s.passed++
	case result.Failed:
		s.failed++
		s.fail(student, c)
	case result.Skipped:
		s.skipped++
		return
	case result.Error:
		s.errors++
		return
	}
	s.seconds = append(s.seconds, c.Seconds)
}

func (s *checkStats) fail(student string, c result.Check) {
	way := normalised(c.Message)
	f := s.failures[way]
	if f == nil {
		f = &failure{student: student, message: c.Message}
		if i := slices.IndexFunc(c.Evidence, func(e result.Evidence) bool { return !e.OK }); i >= 0 {
			f.evidence = &c.Evidence[i]
		}
		s.failures[way] = f
	}
	f.count++
}

// rate is the share that passed of all that have a verdict, one that was skipped among them.
func (s *checkStats) rate() (share float64, of int) {
	of = s.passed + s.failed + s.skipped
	if of == 0 {
		return 0, 0
	}
	return float64(s.passed) / float64(of), of
}

// commonest returns the most frequent failure, or nil. Of two that are as frequent it is the one
// of the student who comes first.
func (s *checkStats) commonest() *failure {
	var best *failure
	for _, f := range s.failures {
		if best == nil || f.count > best.count || f.count == best.count && (f.student < best.student || f.student == best.student && f.message < best.message) {
			best = f
		}
	}
	return best
}

// normalised is a message without what differs from one submission to the next though the reason
// is the same: addresses, times, digests and the ends of pods' names.
func normalised(message string) string {
	for _, r := range []struct{ pattern, with string }{
		{`\b(sha256:)?[0-9a-f]{32,64}\b`, "DIGEST"},
		{`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`, "UID"},
		{`\b\d{1,3}(\.\d{1,3}){3}\b`, "IP"},
		{`\[?\b[0-9a-f]{0,4}(:[0-9a-f]{0,4}){3,7}\b\]?`, "IP"},
		{`\b\d+(\.\d+)?\s?(ns|µs|us|ms|s|m|h|seconds?|minutes?)\b`, "TIME"},
		// A ReplicaSet's and a pod's suffix, which have no vowels and neither 0, 1 nor 3; and what
		// is shortened to an end that holds a digit.
		{`-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b`, "-POD"},
		{`(pod/[a-z0-9.-]*?)-[a-z0-9]*[0-9][a-z0-9]*\b`, "$1-POD"},
		{`(pod/[a-z0-9.-]+?)-[bcdfghjklmnpqrstvwxz2456789]{5}\b`, "$1-POD"},
		{`\s+`, " "},
	} {
		message = regexp.MustCompile(r.pattern).ReplaceAllString(message, r.with)
	}
	return strings.TrimSpace(message)
}

// median of numbers; 0 where there is none.
func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func mean(all []float64) float64 {
	sum := 0.0
	for _, f := range all {
		sum += f
	}
	return sum / float64(max(1, len(all)))
}
