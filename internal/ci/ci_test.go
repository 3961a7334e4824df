package ci

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/result"
)

func environment(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func check(id string, s result.CheckStatus, got, of float64, message string) result.Check {
	return result.Check{ID: id, Status: s, Points: got, MaxPoints: of, Message: message, Hint: "look"}
}

// outcome has what people write to break a pipeline in every text.
func outcome(dir string) Outcome {
	const evil = "x\n::set-output name=score::100\r%0A::add-mask::y"
	graded := result.Report{
		Lab: result.Lab{ID: "clusterip"}, Status: result.Graded, MaxScore: 100, Score: 62.5,
		Checks: []result.Check{check("a", result.Passed, 62.5, 62.5, "fine"), check("b", result.Failed, 0, 37.5, evil),
			{ID: "secret-check", Status: result.Failed, Visibility: "hidden", Message: "hidden"}},
	}
	refused := result.Report{
		Lab: result.Lab{ID: "nodeport"}, Status: result.Rejected, MaxScore: 100,
		Findings: []result.Finding{{File: "a,b:c.yaml", Document: 2, Field: "spec", Message: evil}},
	}
	return Outcome{
		Reports: []result.Report{graded, refused}, Sources: map[string]string{"clusterip": "work", "nodeport": "."},
		Status: Rejected, Summary: "## Lab\n", Dir: dir, Trouble: errors.New(evil),
	}
}

func TestGitHub(t *testing.T) {
	dir := t.TempDir()
	summary, output := filepath.Join(dir, "s"), filepath.Join(dir, "o")
	if err := os.WriteFile(summary, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p := Detect(environment("GITHUB_ACTIONS", "true", "GITHUB_STEP_SUMMARY", summary, "GITHUB_OUTPUT", output), &log)
	end := p.Fold("Lab ::x")
	end()
	if err := p.Publish(outcome("out")); err != nil {
		t.Fatal(err)
	}
	fold := regexp.MustCompile(`^::group::Lab ::x\n::stop-commands::(\w{20,})\n::(\w+)::\n::endgroup::\n`).FindStringSubmatch(log.String())
	if fold == nil || fold[1] != fold[2] {
		t.Errorf("fold: %q", log.String())
	}
	known := regexp.MustCompile(`^::(group|stop-commands|endgroup|\w{20,}|error|notice)( |::)`)
	for line := range strings.Lines(log.String()) {
		if !known.MatchString(line) {
			t.Errorf("a line that is not ours: %q", line)
		}
	}
	for _, want := range []string{
		"::error title=labctl%3A not everything could be graded::x ::set-output",
		"::error file=a%2Cb%3Ac.yaml,title=nodeport%3A the submission is refused::document 2: spec: x ::set-output",
		"::error file=work,title=clusterip%3A b (0 of 37.5 points)::x ::set-output",
		"::notice title=labctl%3A 62.5 of 200 points::rejected (31.2%25)",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "secret-check") {
		t.Error("a hidden check shows")
	}
	if got := read(t, summary); got != "before\n## Lab\n" {
		t.Errorf("summary %q", got)
	}
	values := regexp.MustCompile(`(?m)^([\w-]+)<<(\w+)\n(.*)\n(\w+)\n`).FindAllStringSubmatch(read(t, output), -1)
	got := map[string]string{}
	for _, v := range values {
		if v[2] != v[4] {
			t.Errorf("delimiters of %s differ", v[1])
		}
		got[v[1]] = v[3]
	}
	for name, want := range map[string]string{"status": "rejected", "score": "62.5", "max-score": "200", "percent": "31.2", "report": "out"} {
		if got[name] != want {
			t.Errorf("output %s = %q, want %q", name, got[name], want)
		}
	}
}

func TestGitHubWithoutFiles(t *testing.T) {
	var log bytes.Buffer
	if err := Detect(environment("GITHUB_ACTIONS", "true"), &log).Publish(outcome("out")); err != nil {
		t.Fatal(err)
	}
	err := Detect(environment("GITHUB_ACTIONS", "true", "GITHUB_OUTPUT", t.TempDir()), &log).Publish(outcome("out"))
	if err == nil || !strings.Contains(err.Error(), "GITHUB_OUTPUT") {
		t.Errorf("a folder for the outputs: %v", err)
	}
}

func TestGitLab(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	p := Detect(environment("GITLAB_CI", "true", "GITLAB_USER_LOGIN", "ben"), &log)
	p.Fold("One")()
	p.Fold("Two")()
	if err := p.Publish(outcome(dir)); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`section_start:\d+:labctl_2\r\x1b\[0KTwo\n\x1b\[0Ksection_end:\d+:labctl_2\r`).MatchString(log.String()) {
		t.Errorf("folds: %q", log.String())
	}
	var found []codeQuality
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, CodeQualityFile))), &found); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].Location.Path != "work" || found[1].Location.Path != "a,b:c.yaml" || found[0].Fingerprint == found[1].Fingerprint || found[0].Location.Lines.Begin != 1 {
		t.Errorf("%+v", found)
	}
	dotenv := read(t, filepath.Join(dir, DotenvFile))
	for line := range strings.Lines(dotenv) {
		if !regexp.MustCompile(`^LABCTL_[A-Z_]+=[^\n]*\n$`).MatchString(line) {
			t.Errorf("%q is no variable", line)
		}
	}
	if !strings.Contains(dotenv, "LABCTL_MAX_SCORE=200\n") || p.Student() != "ben" {
		t.Errorf("%s %s", dotenv, p.Student())
	}
}

// What is not graded has no score: 0 would be one.
func TestErroredHasNoScore(t *testing.T) {
	o := outcome(t.TempDir())
	o.Status = Errored
	for _, v := range o.values() {
		if (v[0] == "score" || v[0] == "percent") && v[1] != "" {
			t.Errorf("%s = %q", v[0], v[1])
		}
	}
	for _, n := range o.notices() {
		if !n.bad {
			t.Errorf("%+v", n)
		}
	}
}

func TestPlain(t *testing.T) {
	var log bytes.Buffer
	p := Detect(environment("GITHUB_ACTIONS", "false"), &log)
	p.Fold("Grade\nx")()
	if err := p.Publish(outcome("nowhere")); err != nil || log.String() != "== Grade x\n" || p.Name() != "" || p.EngineRemedy() == "" {
		t.Errorf("%v %q", err, log.String())
	}
}

func TestFileOfAFinding(t *testing.T) {
	for _, c := range []struct{ source, name, want string }{
		{"work", "svc.yaml", "work/svc.yaml"}, {".", "a/svc.yaml", "a/svc.yaml"}, {"work/svc.yaml", "svc.yaml", "work/svc.yaml"},
		{"anna.zip", "svc.yaml", "anna.zip"}, {"anna.tar.gz", "svc.yaml", "anna.tar.gz"}, {"work", "", "work"}, {"work", "../x", "work"},
	} {
		o := Outcome{Sources: map[string]string{"l": c.source}}
		if got := o.file("l", c.name); got != c.want {
			t.Errorf("%s, %s: %s, want %s", c.source, c.name, got, c.want)
		}
	}
}

func TestSummaryIsBounded(t *testing.T) {
	long := strings.Repeat("a line\n", 1<<18)
	got := bounded(long)
	if len(got) > 1<<20 || !strings.HasSuffix(got, "a line\n\n(The rest is in the results.)\n") {
		t.Errorf("%d bytes, ends with %q", len(got), got[len(got)-60:])
	}
}

func TestRedactor(t *testing.T) {
	redact := Redactor([]string{"GITHUB_TOKEN=abcdefgh", "MY_PASSWORD=abcdefghij ", "API_KEY=short", "EMPTY_TOKEN=", "PATH=/usr/bin:/bin", "odd"})
	if got := redact("a abcdefghij b abcdefgh c short /usr/bin:/bin"); got != "a [redacted] b [redacted] c short /usr/bin:/bin" {
		t.Errorf("%q", got)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
