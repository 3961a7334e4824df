package cli_test

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"labctl.dev/labctl/internal/telemetry/telemetrytest"
)

// collector is where a script's commands may send their traces.
type collector struct{ *telemetrytest.Receiver }

type collectorKey struct{}

// collect starts a collector and puts its address into $COLLECTOR.
func collect(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: collector")
	}
	c := ts.Value(collectorKey{}).(*collector)
	c.Receiver = telemetrytest.Receive()
	ts.Defer(c.Close)
	ts.Setenv("COLLECTOR", strings.TrimPrefix(c.URL, "http://"))
}

// spans looks for a span among those that were collected, each as a line.
func spans(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: spans REGEXP")
	}
	all := ts.Value(collectorKey{}).(*collector).Spans()
	names := map[string]string{}
	for _, s := range all {
		names[s.ID] = s.Name
	}
	var lines []string
	for _, s := range all {
		lines = append(lines, fmt.Sprintf("%s in=%s of=%s", s, names[s.Parent], s.Resource))
	}
	text := strings.Join(lines, "\n")
	if regexp.MustCompile("(?m)"+args[0]).MatchString(text) == neg {
		ts.Fatalf("spans %q: %t, in\n%s", args[0], !neg, text)
	}
}
