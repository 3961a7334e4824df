package export

import (
	"fmt"
	"strings"
	"unicode"

	"labctl.dev/labctl/internal/result"
)

// markdown writes text from outside so that nothing in it is Markdown, HTML, a link or, on
// GitHub, a mention: a character that could be is an entity.
func markdown(text string, limit int) string {
	var b strings.Builder
	runes := []rune(line(text, limit))
	for i, r := range runes {
		switch {
		case r == '@': // a mention is made of what entities become; a word joiner keeps it apart
			b.WriteString("&#64;&#8288;")
		case r < 0x80 && strings.ContainsRune("!#$&*+<>[\\]^_`{|}~=", r) || !quiet(runes, i):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// quiet tells whether a sign that makes a list, a rule or a link in some places is in another.
func quiet(runes []rune, i int) bool {
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	switch runes[i] {
	case '-':
		return word(i-1) && word(i+1)
	case ':':
		return i+1 < len(runes) && (runes[i+1] == ' ' || unicode.IsDigit(runes[i+1]))
	case '.':
		return word(i-1) && (word(i+1) || unicode.IsLetter(runes[i-1])) && !strings.EqualFold(string(runes[max(0, i-3):i]), "www")
	case ')':
		return !unicode.IsDigit(runes[max(0, i-1)])
	default:
		return true
	}
}

// writeMarkdown writes a summary for instructors, with hidden checks marked: of one student
// where there is but one, or else of the class.
func writeMarkdown(j *job) error {
	var b strings.Builder
	title := j.class.Lab.ID
	if j.class.Lab.Title != "" {
		title += ": " + j.class.Lab.Title
	}
	fmt.Fprintf(&b, "## Lab %s\n\n", markdown(title, nameLimit))
	if len(j.class.Reports) == 1 {
		markdownStudent(&b, &j.class.Reports[0])
	} else {
		markdownClass(&b, j.class)
	}
	j.noteUngraded()
	j.add(nil, []byte(b.String()))
	return nil
}

// standing is a score in words.
func standing(r *result.Report) string {
	s, ok := score(r)
	if !ok {
		return "not graded"
	}
	return result.Points(s) + " of " + result.Points(r.MaxScore)
}

func markdownClass(b *strings.Builder, c *Class) {
	fmt.Fprintf(b, "%s: %s.\n\n", plural(len(c.Reports), "student"), counts(c))
	b.WriteString("| Student | Status | Score | Failed checks |\n|---|---|--:|---|\n")
	_, hidden := c.checkColumns()
	for i := range c.Reports {
		r := &c.Reports[i]
		var failed []string
		for _, id := range failedIDs(r) {
			failed = append(failed, markdown(id+mark(hidden[id]), nameLimit))
		}
		remark := strings.Join(failed, " ")
		switch r.Status {
		case result.Rejected, result.Errored:
			remark = markdown(strings.Join(summary(r, r)[1:], "; "), evidenceLimit)
		case result.Graded, result.Missing:
		}
		status := statusWord(r.Status)
		if r.Late != nil {
			status += ", late"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", markdown(shownName(r), nameLimit), status, standing(r), remark)
	}
}

func mark(hidden bool) string {
	if hidden {
		return " (hidden)"
	}
	return ""
}

// statusWord is a status as people say it.
func statusWord(s result.Status) string {
	if s == result.Errored {
		return "not graded"
	}
	return string(s)
}

func markdownStudent(b *strings.Builder, r *result.Report) {
	fmt.Fprintf(b, "**%s**: %s\n\n", markdown(shownName(r), nameLimit), standing(r))
	for _, text := range summary(r, r) {
		fmt.Fprintf(b, "- %s\n", markdown(text, textLimit))
	}
	if len(r.Checks) == 0 {
		return
	}
	b.WriteString("\n| Check | Verdict | Points | Why |\n|---|---|--:|---|\n")
	for _, c := range r.Checks {
		got := "–"
		if r.Status == result.Graded {
			got = result.Points(c.Points) + " of " + result.Points(c.MaxPoints)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", markdown(titleOf(c)+mark(c.Hidden()), nameLimit), c.Status, got, markdown(strings.Join(checkText(c), " · "), textLimit))
	}
}

// counts says how many ended in which way.
func counts(c *Class) string {
	n := map[result.Status]int{}
	for i := range c.Reports {
		n[c.Reports[i].Status]++
	}
	var all []string
	for _, s := range []result.Status{result.Graded, result.Rejected, result.Missing, result.Errored} {
		if n[s] > 0 {
			all = append(all, fmt.Sprintf("%d %s", n[s], statusWord(s)))
		}
	}
	return strings.Join(all, ", ")
}
