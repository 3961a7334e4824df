package ui

import (
	"bytes"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

const instructions = "# Title\n\nA paragraph that is long enough to be set\nanew in the `width` of a terminal.\n\n" +
	"```sh\nkubectl get endpointslices -l kubernetes.io/service-name=backend --watch\n```\n\n" +
	"1. An item that goes on\n   in another line, and on.\n2. See [the next lab](../20-nodeport/README.md).\n\n" +
	"| look at | with |\n|---|---|\n| a \\| b | `kubectl get endpointslices -l name` |\n"

func TestRenderMarkdown(t *testing.T) {
	out, err := RenderMarkdown(instructions, 40)
	if err != nil {
		t.Fatal(err)
	}
	const want = `Title

A paragraph that is long enough to be
set anew in the width of a terminal.

  kubectl get endpointslices -l kubernetes.io/service-name=backend --watch

1. An item that goes on in another line,
   and on.
2. See the next lab.

look at  with
a | b    kubectl get endpointslices -l
         name
`
	if diff := cmp.Diff(want, ansi.Strip(out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for line := range strings.Lines(out) {
		if openStyle(strings.TrimSuffix(line, "\n")) != "" {
			t.Errorf("a style goes on beyond its line: %q", line)
		}
		if code := strings.Contains(line, "--watch"); !code && ansi.StringWidth(strings.TrimSuffix(line, "\n")) > 40 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
	if !strings.Contains(out, "\x1b[1m") {
		t.Errorf("no style at all: %q", out)
	}
}

func TestMarkdownInAPipe(t *testing.T) {
	out, err := Streams{Out: &bytes.Buffer{}}.Markdown(instructions)
	if err != nil || out != instructions {
		t.Errorf("got %q, %v", out, err)
	}
	if w := (Streams{Out: &bytes.Buffer{}}).TextWidth(); w != 80 {
		t.Errorf("width %d", w)
	}
}

func TestFencesWithinFences(t *testing.T) {
	blocks := blocksOf("a\n````\n```\n| x\n````\n| y |\n")
	kinds := ""
	for _, b := range blocks {
		if len(b.lines) > 0 {
			kinds += map[blockKind]string{prose: "p", code: "c", table: "t"}[b.kind]
		}
	}
	if kinds != "pctp" {
		t.Errorf("blocks %q: %+v", kinds, blocks)
	}
}

// A list goes on after a code block that belongs to one of its items.
func TestListAroundCode(t *testing.T) {
	const text = "1. One.\n2. Two, as here:\n\n   ```yaml\n   kind: Pod\n   ```\n\n   It keeps its files,\n   and this is more of it.\n3. Three.\n4. Four.\n"
	const want = "1. One.\n2. Two, as here:\n\n     kind: Pod\n\n   It keeps its files, and this is more\n   of it.\n\n3. Three.\n4. Four.\n"
	out, err := RenderMarkdown(text, 40)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, ansi.Strip(out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
