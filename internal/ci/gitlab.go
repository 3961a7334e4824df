package ci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"labctl.dev/labctl/internal/home"
)

// The files that a job hands to GitLab as artifacts:reports.
const (
	DotenvFile      = "labctl.env"
	CodeQualityFile = "gl-code-quality-report.json"
)

// gitLab is GitLab CI/CD. It has no job summary: results show in the merge request by the
// JUnit report, and what failed by the report on code quality.
type gitLab struct {
	env      func(string) string
	log      io.Writer
	sections int
}

func (*gitLab) Name() string      { return "GitLab CI/CD" }
func (g *gitLab) Student() string { return g.env("GITLAB_USER_LOGIN") }

func (*gitLab) EngineRemedy() string {
	return "use a runner whose config.toml says privileged = true and start dockerd in the job, or a shell runner on a machine with Docker; integrations/gitlab/labctl.yml is a template"
}

// Fold writes the marks between which GitLab folds the log.
func (g *gitLab) Fold(title string) func() {
	g.sections++
	name := fmt.Sprintf("labctl_%d", g.sections)
	mark := func(kind, text string) {
		fmt.Fprintf(g.log, "\x1b[0Ksection_%s:%d:%s\r\x1b[0K%s\n", kind, time.Now().Unix(), name, text)
	}
	mark("start", oneLine(title, titleLimit))
	return func() { mark("end", "") }
}

// codeQuality is an entry of Code Climate's format, as far as GitLab reads it.
type codeQuality struct {
	Description string `json:"description"`
	CheckName   string `json:"check_name"`
	Fingerprint string `json:"fingerprint"`
	Severity    string `json:"severity"`
	Location    struct {
		Path  string `json:"path"`
		Lines struct {
			Begin int `json:"begin"`
		} `json:"lines"`
	} `json:"location"`
}

func (g *gitLab) Publish(o Outcome) error {
	found := []codeQuality{}
	for _, n := range o.notices() {
		fmt.Fprintf(g.log, "%s: %s\n", oneLine(n.title, titleLimit), oneLine(n.text, textLimit))
		if !n.bad || n.file == "" {
			continue // a finding of no file has no place in a merge request
		}
		q := codeQuality{Description: oneLine(n.title+": "+n.text, textLimit), CheckName: oneLine(n.title, titleLimit), Severity: "major"}
		sum := sha256.Sum256([]byte(n.file + "\x00" + n.title + "\x00" + n.text))
		q.Fingerprint = hex.EncodeToString(sum[:])
		q.Location.Path, q.Location.Lines.Begin = n.file, 1
		found = append(found, q)
	}
	report, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return err
	}
	var dotenv strings.Builder
	for _, v := range o.values() {
		fmt.Fprintf(&dotenv, "LABCTL_%s=%s\n", strings.ToUpper(strings.ReplaceAll(v[0], "-", "_")), v[1])
	}
	for name, text := range map[string]string{CodeQualityFile: string(report) + "\n", DotenvFile: dotenv.String()} {
		if err := home.Replace(filepath.Join(o.Dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
