package cli_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cli"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/labs"
)

// documents are the texts that tell people what to type, by their paths from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	root := os.DirFS("../..")
	texts := map[string]string{}
	for _, pattern := range []string{
		"*.md", "docs/*.md", "docs/adr/*.md", "labs/*/*.md", "labs/*/lab.yaml",
		"internal/lab/scaffold/files/*.md", "internal/lab/scaffold/files/lab.yaml",
	} {
		names, err := fs.Glob(root, pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("find %s: %v, %v", pattern, names, err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = strings.ReplaceAll(string(text), "[[ .ID ]]", "first-call") // as lab new fills it in
		}
	}
	return texts
}

// TestDocumentedCommandsExist holds every "labctl …" in code that the documents show
// against the commands and flags that there are. In code blocks, which people paste, the
// arguments must be as many as the command takes, and name labs, steps and checks that exist.
func TestDocumentedCommandsExist(t *testing.T) {
	catalog, err := lab.NewCatalog(labs.Files(), nil, grader.RunNames())
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for name, text := range documents(t) {
		for _, c := range commandsIn(text) {
			count++
			checker := docChecker{catalog: catalog, home: labOf(catalog, name)}
			if err := checker.check(c); err != nil {
				t.Errorf("%s:%d: labctl %s: %v", name, c.line, strings.Join(c.args, " "), err)
			}
		}
	}
	if count < 100 {
		t.Errorf("found only %d commands", count)
	}
}

// The test of the documents can fail: on commands, flags, numbers of arguments and names.
func TestDocumentedCommandsCheckerRefuses(t *testing.T) {
	catalog, err := lab.NewCatalog(labs.Files(), nil, grader.RunNames())
	if err != nil {
		t.Fatal(err)
	}
	home, err := catalog.Lab("clusterip")
	if err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{
		"`labctl up`":                                 true,
		"`labctl upp`":                                false,
		"`labctl lab verify --static`":                true,
		"`labctl lab verfy`":                          false,
		"`labctl up --colour`":                        false,
		"`labctl grade`":                              true,
		"```sh\nlabctl grade\n```":                    false,
		"```sh\nlabctl grade x --lab clusterip\n```":  true,
		"```sh\nlabctl grade x --lab clustrip\n```":   false,
		"```sh\nx=$(labctl labs --jsn) && true\n```":  false,
		"```sh\nlabctl labs --json | wc # labctl x\n": true,
		"plain text on labctl upp":                    true,
	} {
		for _, c := range commandsIn(text) {
			if err := (docChecker{catalog: catalog, home: home}).check(c); (err == nil) != ok {
				t.Errorf("%q: %v", text, err)
			}
		}
		if len(commandsIn(text)) == 0 && !strings.HasPrefix(text, "plain") {
			t.Errorf("%q: no command found", text)
		}
	}
}

// labOf returns the lab whose folder holds the document, or nil.
func labOf(catalog *lab.Catalog, document string) *lab.Lab {
	for _, l := range catalog.Labs {
		if filepath.Dir(l.Path) == filepath.Dir(document) {
			return l
		}
	}
	return nil
}

// documented is one call of labctl in a document.
type documented struct {
	line  int
	args  []string
	block bool // in a code block, to be pasted
}

// commandsIn finds the calls of labctl in code blocks and in code within lines.
func commandsIn(text string) []documented {
	var found []documented
	block := false
	span := regexp.MustCompile("`([^`]+)`")
	for i, line := range strings.Split(text, "\n") {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "```") {
			block = !block
			continue
		}
		if block {
			line, _, _ = strings.Cut(line, " #")
			for _, args := range calls(line) {
				found = append(found, documented{i + 1, args, true})
			}
			continue
		}
		for _, code := range span.FindAllStringSubmatch(line, -1) {
			for _, args := range calls(code[1]) {
				found = append(found, documented{i + 1, args, false})
			}
		}
	}
	return found
}

// calls returns the arguments of each labctl on a line of shell.
func calls(line string) [][]string {
	var all [][]string
	for _, m := range regexp.MustCompile(`(?:^|[ \t($'])(?:bin/)?labctl((?: [^;|&)'\x60]*)?)`).FindAllStringSubmatch(line, -1) {
		args := words(m[1])
		if len(args) > 0 {
			all = append(all, args)
		}
	}
	return all
}

// words splits as a shell does, as far as documents need it: at spaces outside of quotes.
func words(s string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?:"[^"]*"|[^ \t"])+`).FindAllString(s, -1) {
		all = append(all, strings.ReplaceAll(m, `"`, ""))
	}
	return all
}

// docChecker holds calls against the tree of commands and the labs.
type docChecker struct {
	catalog *lab.Catalog
	home    *lab.Lab // whose document it is; nil elsewhere
}

// takesArguments tells whether a command with others below it has arguments of its own, which
// its usage line has in capitals.
func takesArguments(cmd *cobra.Command) bool {
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	return regexp.MustCompile(`^[A-Z]`).MatchString(arguments)
}

func (d docChecker) check(c documented) error {
	cmd, rest := cli.NewCmd(ui.Streams{}), c.args
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		i := slices.IndexFunc(cmd.Commands(), func(s *cobra.Command) bool { return s.Name() == rest[0] })
		if i < 0 {
			break
		}
		cmd, rest = cmd.Commands()[i], rest[1:]
	}
	switch {
	case cmd.DisableFlagParsing:
		return nil // what follows is another program's
	case cmd.HasSubCommands() && len(rest) > 0 && builtin(rest[0]):
		return nil
	case cmd.HasSubCommands() && !takesArguments(cmd) && len(rest) > 0 && !strings.HasPrefix(rest[0], "-"):
		return fmt.Errorf("no such command %q", rest[0])
	}
	args, flags, err := split(cmd, rest)
	if err != nil || !c.block {
		return err
	}
	if err := cmd.ValidateArgs(args); err != nil {
		return err
	}
	return d.names(cmd, args, flags)
}

// builtin are cobra's own commands, which it adds only when it runs.
func builtin(name string) bool { return name == "help" || name == "completion" }

// split separates flags, which must exist, from arguments.
func split(cmd *cobra.Command, rest []string) (args []string, flags map[string]string, err error) {
	cmd.InitDefaultHelpFlag()
	flags = map[string]string{}
	for i := 0; i < len(rest); i++ {
		name, value, joined := strings.Cut(rest[i], "=")
		var flag *pflag.Flag
		switch {
		case strings.HasPrefix(name, "--"):
			flag = cmd.Flag(name[2:])
		case len(name) == 2 && name[0] == '-':
			flag = cmd.Flags().ShorthandLookup(name[1:])
		case strings.HasPrefix(name, "-"):
		default:
			args = append(args, rest[i])
			continue
		}
		if flag == nil {
			return nil, nil, fmt.Errorf("no such flag %q", name)
		}
		if flag.NoOptDefVal == "" && !joined && i+1 < len(rest) {
			i++
			value = rest[i]
		}
		flags[flag.Name] = value
	}
	return args, flags, nil
}

// names holds what arguments name against the labs: of the document's own lab, where it is one's.
func (d docChecker) names(cmd *cobra.Command, args []string, flags map[string]string) error {
	if ids, ok := flags["lab"]; ok && !placeholder(ids) {
		for id := range strings.SplitSeq(ids, ",") {
			if _, err := d.catalog.Lab(id); err != nil {
				return err
			}
		}
	}
	if len(args) > 0 && placeholder(args[0]) {
		return nil
	}
	if cmd.Name() == "start" && d.known(args[0]) {
		_, err := d.catalog.Lab(args[0])
		return err
	}
	if d.home == nil {
		return nil
	}
	if step, ok := flags["step"]; ok {
		if _, _, err := d.home.FindStep(step); err != nil {
			return err
		}
	}
	if len(args) == 0 {
		return nil
	}
	switch cmd.Name() {
	case "explain", "hint", "answer":
		_, err := d.home.FindCheck(args[0])
		return err
	case "solution", "reset":
		_, _, err := d.home.FindStep(args[0])
		return err
	case "show":
		if _, err := strconv.Atoi(args[0]); err == nil {
			_, _, err := d.home.FindStep(args[0])
			return err
		}
	}
	return nil
}

// known tells whether a lab's name is one that labctl comes with, rather than the example of
// docs/adding-a-lab.md.
func (d docChecker) known(id string) bool { return id != "first-call" }

// placeholder tells whether readers put something of their own there: LAB, <file>, [[ .ID ]].
func placeholder(word string) bool {
	return word == strings.ToUpper(word) && strings.ToLower(word) != word || strings.ContainsAny(word, "<[")
}

// TestLabsAreForTheWorkingFolder: students have the folder that start made, and not labctl's
// source, and each lab says how to get there.
func TestLabsAreForTheWorkingFolder(t *testing.T) {
	catalog, err := lab.NewCatalog(labs.Files(), nil, grader.RunNames())
	if err != nil {
		t.Fatal(err)
	}
	front := documents(t)["README.md"]
	for _, l := range catalog.Labs {
		instructions, err := l.Instructions()
		if err != nil {
			t.Fatal(err)
		}
		text := instructions.All()
		for _, want := range []string{"\nlabctl start " + l.ID + "\n", "\ncd " + l.ID + "\n", "\n## When it does not work\n", "\n## What you learned\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("lab %s: its README.md lacks %q", l.ID, strings.TrimSpace(want))
			}
		}
		if !strings.Contains(front, "]("+filepath.Dir(l.Path)+"/"+lab.ReadMeName+")") {
			t.Errorf("README.md does not list lab %s", l.ID)
		}
		for _, never := range []string{"labs/", "](../"} {
			if strings.Contains(text, never) {
				t.Errorf("lab %s: its README.md has %q, which is not there for students", l.ID, never)
			}
		}
	}
}

// TestLinksLeadSomewhere follows the links to files.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	count := 0
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			count++
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			}
		}
	}
	if count < 5 {
		t.Errorf("found only %d links", count)
	}
}
