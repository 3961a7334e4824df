package ci

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"

	"labctl.dev/labctl/internal/ui"
)

const (
	titleLimit = 120  // runes of a title
	textLimit  = 1000 // runes of an annotation; GitHub cuts at some thousands
	// summaryLimit is what GitHub takes of one step's summary, less what our own note needs.
	summaryLimit = 1<<20 - 1<<10
)

// gitHub is GitHub Actions, where a line of the log that begins with "::" is a command.
type gitHub struct {
	env func(string) string
	log io.Writer
}

func (*gitHub) Name() string      { return "GitHub Actions" }
func (g *gitHub) Student() string { return g.env("GITHUB_ACTOR") }

func (*gitHub) EngineRemedy() string {
	return "run the job on a Linux runner with Docker (runs-on: ubuntu-latest) and without container:, or start that container with options: --privileged -v /var/run/docker.sock:/var/run/docker.sock"
}

// Fold stops commands inside the group: evidence holds what a submission's programs said.
func (g *gitHub) Fold(title string) func() {
	token := rand.Text()
	fmt.Fprintf(g.log, "::group::%s\n::stop-commands::%s\n", data(oneLine(title, titleLimit)), token)
	return func() { fmt.Fprintf(g.log, "::%s::\n::endgroup::\n", token) }
}

func (g *gitHub) Publish(o Outcome) error {
	for _, n := range o.notices() {
		kind := "notice"
		if n.bad {
			kind = "error"
		}
		where := ""
		if n.file != "" {
			where = "file=" + property(n.file) + ","
		}
		fmt.Fprintf(g.log, "::%s %stitle=%s::%s\n", kind, where, property(oneLine(n.title, titleLimit)), data(oneLine(n.text, textLimit)))
	}
	if err := g.append("GITHUB_STEP_SUMMARY", bounded(o.Summary)); err != nil {
		return err
	}
	var outputs strings.Builder
	for _, v := range o.values() {
		// A delimiter that nobody can know keeps a value from being two.
		end := rand.Text()
		fmt.Fprintf(&outputs, "%s<<%s\n%s\n%s\n", v[0], end, v[1], end)
	}
	return g.append("GITHUB_OUTPUT", outputs.String())
}

// append adds to the file that a variable names; a runner that does not set it has none.
func (g *gitHub) append(variable, text string) error {
	name := g.env(variable)
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
		if closed := f.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return fmt.Errorf("write what %s names: %w", variable, err)
	}
	return nil
}

func bounded(summary string) string {
	if len(summary) <= summaryLimit {
		return summary
	}
	cut := strings.LastIndexByte(summary[:summaryLimit], '\n')
	return summary[:max(cut, 0)] + "\n\n(The rest is in the results.)\n"
}

// oneLine is text from outside on one line.
func oneLine(text string, limit int) string {
	return strings.TrimSpace(ui.Clean(text, limit))
}

// data escapes the text of a command, and property what comes before it.
func data(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func property(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(text)
}
