package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli"
	"labctl.dev/labctl/internal/ui"
)

// commands are all that users see and can run.
func commands(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.Hidden || builtin(c.Name()) {
			continue
		}
		if c.Runnable() && !c.HasSubCommands() || takesArguments(c) {
			all = append(all, c)
		}
		all = append(all, commands(c)...)
	}
	return all
}

// TestHelpOfEveryCommand: what --help prints says what the command does, shows how it is
// called, and names each of its flags.
func TestHelpOfEveryCommand(t *testing.T) {
	count := 0
	for _, c := range commands(cli.NewCmd(ui.Streams{})) {
		if c.DisableFlagParsing {
			continue // its help is another program's
		}
		count++
		t.Run(c.CommandPath(), func(t *testing.T) {
			var out bytes.Buffer
			root := cli.NewCmd(ui.Streams{Out: &out, Err: &out})
			root.SetOut(&out)
			root.SetArgs(append(strings.Fields(c.CommandPath())[1:], "--help"))
			if err := root.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			help := out.String()
			wanted := []string{"Usage:\n  " + c.CommandPath(), "Examples:\n  labctl "}
			for line := range strings.Lines(c.LocalFlags().FlagUsages()) {
				wanted = append(wanted, strings.TrimSpace(line))
			}
			for _, want := range wanted {
				if !strings.Contains(help, want) {
					t.Errorf("no %q in:\n%s", want, help)
				}
			}
			if said := strings.TrimSpace(help[:strings.Index(help, "Usage:")]); len(said) < 20 {
				t.Errorf("says only %q of what it does", said)
			}
		})
	}
	if count < 30 {
		t.Errorf("found only %d commands", count)
	}
}

// TestHelpFitsATerminal: no line of the lists of commands and flags is broken by a terminal.
func TestHelpFitsATerminal(t *testing.T) {
	for _, path := range []string{"", "lab", "report", "batch"} {
		var out bytes.Buffer
		root := cli.NewCmd(ui.Streams{Out: &out, Err: &out, OutTerminal: true}) // 80 columns, where it cannot be told
		root.SetArgs(append(strings.Fields(path), "--help"))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if columns := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); columns > 80 && !strings.HasPrefix(line, "  labctl ") {
				t.Errorf("labctl %s --help: %d columns: %q", path, columns, line)
			}
		}
	}
}

// TestEveryCommandIsScripted: each has a script that calls it as a user would, one in which it
// refuses something, and one that asks for JSON where it has that.
func TestEveryCommandIsScripted(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("find the scripts: %v, %v", files, err)
	}
	var scripts strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(text)
		scripts.WriteByte('\n')
	}
	for _, c := range commands(cli.NewCmd(ui.Streams{})) {
		path := regexp.QuoteMeta(c.CommandPath())
		wanted := map[string]string{"bad input": `(?m)^(exits [1-9]\d*|! exec) ` + path + `\b`}
		if c.Flags().Lookup("json") != nil {
			wanted["JSON"] = `(?m)^(exits \d+|!? ?exec) ` + path + `\b.*--json`
		}
		for what, pattern := range wanted {
			if !regexp.MustCompile(pattern).MatchString(scripts.String()) {
				t.Errorf("%s: no script has %s", c.CommandPath(), what)
			}
		}
	}
}
