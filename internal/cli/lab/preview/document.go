package preview

import (
	"fmt"
	"strconv"
	"strings"

	"labctl.dev/labctl/internal/lab"
)

// document puts a lab together as Markdown: instructions, and with each step its checks.
func document(l *lab.Lab) (string, error) {
	instructions, err := l.Instructions()
	if err != nil {
		return "", err
	}
	explanation, err := l.Explanation()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	paragraph(&b, instructions.Intro)
	for i, s := range l.Steps {
		paragraph(&b, instructions.Steps[i].Text) // loading holds the two against each other
		fmt.Fprintf(&b, "### Checks of step %d\n\n", i+1)
		for _, c := range l.Checks {
			if c.Step == s.ID {
				check(&b, c)
			}
		}
	}
	paragraph(&b, instructions.After)
	paragraph(&b, "---\n\n"+explanation)
	paragraph(&b, "---\n\n"+sum(l))
	return b.String(), nil
}

// paragraph writes a text with one empty line after it.
func paragraph(b *strings.Builder, text string) {
	b.WriteString(strings.TrimRight(text, "\n"))
	b.WriteString("\n\n")
}

// check writes a check: what students read in a report, then its hints in their order.
func check(b *strings.Builder, c lab.Check) {
	marks := []string{points(c.Points)}
	if c.Hidden() {
		marks = append(marks, "hidden from students")
	}
	if len(c.DependsOn) > 0 {
		marks = append(marks, "after "+strings.Join(c.DependsOn, ", "))
	}
	fmt.Fprintf(b, "**%s** (%s): %s\n\n", c.ID, strings.Join(marks, "; "), c.Title)
	if c.Question != nil {
		question(b, c.Question)
	}
	for i, h := range c.Hints {
		fmt.Fprintf(b, "%d. %s\n", i+1, strings.TrimSpace(h))
	}
	b.WriteString("\n")
}

// question writes what is asked, and what only the author may see: the right answer.
func question(b *strings.Builder, q *lab.Question) {
	paragraph(b, q.Ask)
	for _, option := range append(q.Choose, q.Order...) {
		fmt.Fprintf(b, "- %s\n", option)
	}
	switch {
	case q.Choose != nil:
		fmt.Fprintf(b, "\nRight: %s. ", q.Answer)
	case q.Order != nil:
		b.WriteString("\nRight in this order; students see it shuffled. ")
	case q.Predict != nil:
		b.WriteString("Right is what the grader sees when it tries. ")
	}
	paragraph(b, q.Why)
}

// sum is what the lab amounts to.
func sum(l *lab.Lab) string {
	text := fmt.Sprintf("Lab %s: %d steps, %d checks, %s, %d minutes.", l.ID, len(l.Steps), len(l.Checks), points(l.Points()), l.Minutes)
	if hidden := len(l.Checks) - len(l.Visible()); hidden > 0 {
		text += fmt.Sprintf(" Hidden from students: %d of %d checks, %s.", hidden, len(l.Checks), points(l.Points()-l.VisiblePoints()))
	}
	return text
}

func points(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) + " points" }
