package ui

import (
	"bytes"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/result"
)

// Who sees a hidden check here is an instructor, who has to see that students do not.
func TestHiddenChecksAreMarked(t *testing.T) {
	r := result.Report{Status: result.Graded, Lab: result.Lab{ID: "tiny"}, Checks: []result.Check{
		{ID: "seen", Status: result.Passed, Points: 90, MaxPoints: 90, Message: "well"},
		{ID: "secret", Status: result.Passed, Points: 10, MaxPoints: 10, Message: "well, too", Visibility: "hidden"},
	}}
	for _, terminal := range []bool{true, false} {
		var out bytes.Buffer
		if err := WriteReport(&out, terminal, r); err != nil {
			t.Fatal(err)
		}
		marked := 0
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, "hidden") {
				marked++
				if !strings.Contains(line, "secret") {
					t.Errorf("marked as hidden: %q", line)
				}
			}
		}
		if marked != 1 {
			t.Errorf("terminal %v: %d lines marked:\n%s", terminal, marked, out.String())
		}
		out.Reset()
		if err := WriteReport(&out, terminal, r.ForStudent()); err != nil || strings.Contains(out.String(), "secret") {
			t.Errorf("terminal %v: students see %q, %v", terminal, out.String(), err)
		}
	}
}
