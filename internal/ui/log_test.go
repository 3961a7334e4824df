package ui

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

// logged directs the log to a buffer, until the test ends.
func logged(t *testing.T, verbosity int, format string) *bytes.Buffer {
	t.Helper()
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	var b bytes.Buffer
	if err := SetLog(&b, verbosity, format); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestDetails(t *testing.T) {
	const told = "Running Suite\n  \x1bred\tend\nhalf a"
	for name, test := range map[string]struct {
		verbosity int
		format    string
		want      []string // lines; nil where nothing is to be written at all
	}{
		"quiet":         {0, LogText, nil},
		"quiet records": {0, LogJSON, nil},
		"text":          {1, LogText, []string{"Running Suite", "  \\u001bred\tend", "half a line"}},
		"records":       {1, LogJSON, []string{"Running Suite", "  \\u001bred\tend", "half a line"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := logged(t, test.verbosity, test.format)
			w := Details("grader")
			if (w == nil) != (test.want == nil) {
				t.Fatalf("writer %v", w)
			}
			if w == nil {
				return
			}
			for _, part := range []string{told, " line\n"} {
				if n, err := io.WriteString(w, part); n != len(part) || err != nil {
					t.Fatalf("wrote %d: %v", n, err)
				}
			}
			var got []string
			for line := range strings.Lines(b.String()) {
				line = strings.TrimSuffix(line, "\n")
				if test.format == LogJSON {
					var r struct{ Msg, Line string }
					if err := json.Unmarshal([]byte(line), &r); err != nil || r.Msg != "grader" {
						t.Fatalf("%q: %v", line, err)
					}
					line = r.Line
				}
				got = append(got, line)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// Another process's log is as this one's already, but for what a terminal would obey.
func TestTrace(t *testing.T) {
	for name, test := range map[string]struct {
		verbosity int
		format    string
		want      string
	}{
		"verbose only": {1, LogText, ""},
		"text":         {2, LogText, "level=DEBUG msg=api \\u001b\n"},
		"records":      {2, LogJSON, "level=DEBUG msg=api \\u001b\n"},
	} {
		b := logged(t, test.verbosity, test.format)
		w := Trace()
		if (w == nil) != (test.want == "") {
			t.Fatalf("%s: writer %v", name, w)
		}
		if w == nil {
			continue
		}
		if _, err := io.WriteString(w, "level=DEBUG msg=api \x1b\nhalf"); err != nil || b.String() != test.want {
			t.Errorf("%s: %q, %v", name, b.String(), err)
		}
	}
}

func TestLogLevels(t *testing.T) {
	for name, test := range map[string]struct {
		verbosity   int
		format      string
		info, debug bool
	}{
		"quiet":     {0, LogText, false, false},
		"verbose":   {1, LogText, false, false},
		"trace":     {2, LogText, true, true},
		"records":   {0, LogJSON, true, false},
		"all of it": {2, LogJSON, true, true},
	} {
		b := logged(t, test.verbosity, test.format)
		slog.Info("a step")
		slog.Debug("a command")
		if got := strings.Contains(b.String(), "a step"); got != test.info {
			t.Errorf("%s: steps %v", name, got)
		}
		if got := strings.Contains(b.String(), "a command"); got != test.debug {
			t.Errorf("%s: commands %v", name, got)
		}
		if LogsJSON() != (test.format == LogJSON) {
			t.Errorf("%s: records %v", name, LogsJSON())
		}
	}
	if err := SetLog(io.Discard, 0, "yaml"); fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
		t.Errorf("an unknown form: %v", err)
	}
}
