package ui

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/result"
)

// Who sees a hidden check here is an instructor, who has to see that students do not.
func TestHiddenChecksAreMarked(t *testing.T) {
	r := result.Report{Status: result.Graded, Lab: result.Lab{ID: "tiny"}, Checks: []result.Check{
		{ID: "seen", Status: result.Passed, Points: 90, MaxPoints: 90, Message: "well"},
		{ID: "secret", Status: result.Passed, Points: 10, MaxPoints: 10, Message: "well, too", Visibility: "hidden"},
	}}
	for _, columns := range []int{80, 0} {
		var out bytes.Buffer
		if err := WriteReport(&out, columns, r); err != nil {
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
			t.Errorf("%d columns: %d lines marked:\n%s", columns, marked, out.String())
		}
		out.Reset()
		if err := WriteReport(&out, columns, r.ForStudent()); err != nil || strings.Contains(out.String(), "secret") {
			t.Errorf("%d columns: students see %q, %v", columns, out.String(), err)
		}
	}
}

// What is long goes on below its beginning, and a command that is there to be copied stays whole.
func TestReportIsFolded(t *testing.T) {
	r := result.Report{Status: result.Graded, Lab: result.Lab{ID: "tiny"}, Checks: []result.Check{{
		ID: "one", Status: result.Failed, MaxPoints: 100,
		Message: "pod/frontend-5bdc7f7d-6k9vn does not reach backend: HTTP 504: the backend did not answer",
		Hint:    "Ask whom the Service leads to with `kubectl get endpointslices -l kubernetes.io/service-name=db`.",
	}}}
	var screen, pipe bytes.Buffer
	if err := errors.Join(WriteReport(&screen, 60, r), WriteReport(&pipe, 0, r)); err != nil {
		t.Fatal(err)
	}
	want := `Lab tiny  0 of 1 checks passed  0/0 points
✗ one    0/100
  why    pod/frontend-5bdc7f7d-6k9vn does not reach backend:
         HTTP 504: the backend did not answer
  hint   Ask whom the Service leads to with
         ` + "`kubectl get endpointslices -l kubernetes.io/service-name=db`." + "\n"
	if diff := cmp.Diff(want, ansi.Strip(screen.String())); diff != "" {
		t.Errorf("on 60 columns (-want +got):\n%s", diff)
	}
	if strings.Count(pipe.String(), "\n") != 3 {
		t.Errorf("in a pipe: %q", pipe.String())
	}
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"plain words":             {"plain", "words"},
		"do `a b c`, then `d e`.": {"do", "`a b c`,", "then", "`d e`."},
		"a ` that stands alone":   {"a", "`", "that", "stands", "alone"},
	} {
		if diff := cmp.Diff(want, words(line)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}
