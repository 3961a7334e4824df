package export

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// What is shown of one text, in runes, and how many of a kind.
const (
	nameLimit     = 200
	textLimit     = 1000
	evidenceLimit = 400
	maxEvidence   = 30
	maxFindings   = 100
)

// line makes text from outside safe to show on one line: what ui.Clean does, and every other
// character that cannot be seen but changes what can.
func line(text string, limit int) string {
	var b strings.Builder
	for _, r := range ui.Clean(text, limit) {
		switch {
		case r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		case r == '\u200c' || r == '\u200d': // joiners, which scripts and emoji need
			b.WriteRune(r)
		case unicode.Is(unicode.Cf, r) || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// rounded is a number of points as result.Points writes it.
func rounded(f float64) float64 { return math.Round(f*100) / 100 }

// whole rounds points to an integer, a half up. What differs from a half by less than a
// millionth is the floating point's.
func whole(f float64) int { return int(math.Floor(f + 0.5 + 1e-6)) }

// shownName is what to call a student: the roster's name, or else the id.
func shownName(r *result.Report) string {
	if r.Person != nil && strings.TrimSpace(r.Person.Name) != "" {
		return line(r.Person.Name, nameLimit)
	}
	return line(r.Student, nameLimit)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// span writes how late something was: its two largest units.
func span(seconds float64) string {
	minutes := int(math.Ceil(seconds / 60))
	days, hours, rest := minutes/1440, minutes/60%24, minutes%60
	switch {
	case days > 0 && hours > 0:
		return plural(days, "day") + " " + plural(hours, "hour")
	case days > 0:
		return plural(days, "day")
	case hours > 0 && rest > 0:
		return plural(hours, "hour") + " " + plural(rest, "minute")
	case hours > 0:
		return plural(hours, "hour")
	default:
		return plural(minutes, "minute")
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// What there is to say where there is no verdict.
const (
	notGraded = "Not graded, through a fault that is ours: no marks were given or taken."
	refused   = "The submission was refused before anything was graded."
	leftOut   = "Objects that are not allowed were left out, and the rest was graded."
	nothing   = "Nothing was handed in."
)

// summary says in lines what became of a submission, to its student. The full report decides
// whether it is graded; seen is what may be told.
func summary(full, seen *result.Report) []string {
	switch full.Status {
	case result.Graded:
		lines := []string{fmt.Sprintf("%d of %d checks passed.", seen.Count(result.Passed), len(seen.Checks))}
		if text := lateness(full); text != "" {
			lines = append(lines, text)
		}
		if len(full.Findings) > 0 {
			lines = append(append(lines, leftOut), findings(full)...)
		}
		return lines
	case result.Rejected:
		lines := []string{refused}
		if len(full.Findings) == 0 && full.Message != "" {
			lines = append(lines, line(full.Message, textLimit))
		}
		return append(lines, findings(full)...)
	case result.Missing:
		return []string{nothing}
	default:
		lines := []string{notGraded}
		if seen.Message != "" { // it names no hidden check: see result.Report.ForStudent
			lines = append(lines, line(seen.Message, evidenceLimit))
		}
		return lines
	}
}

// findings are a line each, as many as anybody reads.
func findings(r *result.Report) []string {
	var lines []string
	for i, f := range r.Findings {
		if i == maxFindings {
			return append(lines, fmt.Sprintf("… and %d more", len(r.Findings)-i))
		}
		lines = append(lines, findingText(f))
	}
	return lines
}

// lateness says what being late costs, or "". It does not say how many points: those would be
// of hidden checks, too.
func lateness(r *result.Report) string {
	if r.Late == nil {
		return ""
	}
	return fmt.Sprintf("Handed in %s late (due %s): %s%% of the points are lost.", span(r.Late.Seconds), moment(r.Late.Due), result.Points(r.Late.Percent))
}

func findingText(f result.Finding) string {
	return place(f) + ": " + line(f.Message, textLimit)
}

func place(f result.Finding) string {
	f.File, f.Field = line(f.File, nameLimit), line(f.Field, nameLimit)
	return f.Place()
}

// checkText says in lines why a check has its verdict. Where it passed, the message is enough.
func checkText(c result.Check) []string {
	var lines []string
	if c.Message != "" {
		lines = append(lines, line(c.Message, textLimit))
	}
	if c.Status == result.Passed {
		return lines
	}
	for i, e := range c.Evidence {
		if i == maxEvidence {
			lines = append(lines, fmt.Sprintf("… and %d more", len(c.Evidence)-i))
			break
		}
		lines = append(lines, evidenceText(e))
	}
	if c.Hint != "" {
		lines = append(lines, "Hint: "+line(c.Hint, textLimit))
	}
	return lines
}

func evidenceText(e result.Evidence) string {
	mark := "✗"
	if e.OK {
		mark = "✓"
	}
	text := fmt.Sprintf("%s %s → %s: got %s", mark, line(e.From, evidenceLimit), line(e.To, evidenceLimit), orDash(gotText(e)))
	if e.Want != "" {
		text += ", wanted " + line(e.Want, evidenceLimit)
	}
	if e.Answered != "" {
		text += ", answered by " + line(e.Answered, evidenceLimit)
	}
	if e.Count > 1 {
		text += fmt.Sprintf(", %d times", e.Count)
	}
	return text
}

// gotText is what came back, with its class where the text does not say it.
func gotText(e result.Evidence) string {
	got, class := line(e.Got, evidenceLimit), line(e.Class, 40)
	switch {
	case class == "" || strings.Contains(got, class):
		return got
	case got == "":
		return class
	default:
		return class + ", " + got
	}
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// titleOf is a check's title, or its id where it has none.
func titleOf(c result.Check) string {
	if t := line(c.Title, nameLimit); t != "" {
		return t
	}
	return line(c.ID, nameLimit)
}

// failedIDs names the checks that failed.
func failedIDs(r *result.Report) []string {
	var ids []string
	for _, c := range r.Checks {
		if c.Status == result.Failed {
			ids = append(ids, line(c.ID, nameLimit))
		}
	}
	return ids
}
