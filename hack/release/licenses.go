package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"labctl.dev/labctl/internal/fault"
)

// licensesName is the file with other people's licences, which ask to be handed on with what
// is made of their work.
const licensesName = "THIRD-PARTY-LICENSES.txt"

// component is a module that is in a program of ours, and its files of terms by their paths
// within it.
type component struct {
	name, version string
	terms         map[string][]byte
}

// thirdParty gathers the terms of all that is linked into labctl and into the programs that it
// embeds, each as it is built for the platform that it runs on.
func (b *builder) thirdParty(ctx context.Context, labctl program) ([]byte, error) {
	packages := map[platform][]string{labctl.platform: {"./" + labctl.name}}
	for _, app := range b.programs {
		packages[app.platform] = append(packages[app.platform], "./"+app.name)
	}
	all := map[string]*component{}
	for p, names := range packages {
		list, err := b.goList(ctx, p, append([]string{"-deps", "-f",
			"{{.Dir}}\t{{.Standard}}\t{{with .Module}}{{.Main}}\t{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}"}, names...)...)
		if err != nil {
			return nil, err
		}
		if err := gatherAll(all, list); err != nil {
			return nil, err
		}
	}
	goRoot, err := b.goList(ctx, labctl.platform, "-f", "{{.Root}}", "std")
	if err != nil {
		return nil, err
	}
	root, _, _ := strings.Cut(goRoot, "\n")
	standard := &component{name: "Go and its standard library", terms: map[string][]byte{}}
	if err := standard.gather(root, root); err != nil {
		return nil, err
	}
	components := []*component{standard}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		components = append(components, all[name])
	}
	return licenseText(components)
}

// gatherAll reads the terms of a list's packages into the components, by name.
func gatherAll(all map[string]*component, list string) error {
	for line := range strings.Lines(list) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) < 6 || f[1] == "true" || f[2] == "true" {
			continue // the standard library comes by itself, and what is ours has our own licence
		}
		c := all[f[3]]
		if c == nil {
			c = &component{name: f[3], version: f[4], terms: map[string][]byte{}}
			all[f[3]] = c
		}
		if err := c.gather(f[0], f[5]); err != nil {
			return err
		}
	}
	return nil
}

// goList asks the go command about packages as they are built for the platform.
func (b *builder) goList(ctx context.Context, p platform, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.checkout.root, &stdout, &stderr
	cmd.Env = append(os.Environ(), settings(p)...)
	if err := cmd.Run(); err != nil {
		return "", fault.Environmentf("go list for %s: %w\n%s", p, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// gather reads the terms that hold for a package: those in its folder and in every one above,
// up to its module's.
func (c *component) gather(pkg, module string) error {
	terms := regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)([-._].*)?$`)
	for dir := pkg; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !terms.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			path := filepath.Join(dir, e.Name())
			name, err := filepath.Rel(module, path)
			if err != nil {
				return err
			}
			if c.terms[filepath.ToSlash(name)], err = os.ReadFile(path); err != nil {
				return err
			}
		}
		if dir == module || len(dir) <= len(module) {
			return nil
		}
	}
}

// licenseText writes the components one after the other. One without terms must not be handed on.
func licenseText(components []*component) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("labctl holds work of others, under the terms that follow.\n")
	for _, c := range components {
		if len(c.terms) == 0 {
			return nil, fault.Inputf("module %s %s has no file of licence terms, so nobody may hand it on", c.name, c.version).
				WithRemedy("find out its terms, or do without the module")
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", strings.Repeat("=", 80), strings.TrimSpace(c.name+" "+c.version))
		for _, name := range slices.Sorted(maps.Keys(c.terms)) {
			fmt.Fprintf(&b, "%s\n%s\n\n%s\n", strings.Repeat("-", 80), name, bytes.TrimSpace(bytes.ReplaceAll(c.terms[name], []byte("\r\n"), []byte("\n"))))
		}
	}
	return b.Bytes(), nil
}
