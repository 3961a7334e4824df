package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

// The terms of a package are those beside it and above it, up to its module.
func TestLicenses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"LICENSE": "above everything", "m/LICENSE": "the module's\r\nterms\r\n", "m/a/b/COPYING.txt": "the package's", "m/a/license.go": "package a",
		"m/NOTICE": "a notice", "m/c/LICENSE": "another package's", "m/a/LICENSES/x": "of a folder",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	c := &component{name: "example.com/m", version: "v1.0.0", terms: map[string][]byte{}}
	if err := c.gather(filepath.Join(dir, "m", "a", "b"), filepath.Join(dir, "m")); err != nil {
		t.Fatal(err)
	}
	text, err := licenseText([]*component{c})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			said = append(said, line)
		}
	}
	want := []string{
		"labctl holds work of others, under the terms that follow.", "example.com/m v1.0.0",
		"LICENSE", "the module's", "terms", "NOTICE", "a notice", "a/b/COPYING.txt", "the package's",
	}
	if !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
	if _, err := licenseText([]*component{{name: "example.com/n", version: "v2.0.0"}}); fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "example.com/n v2.0.0 has no file") {
		t.Errorf("a module without terms: %v", err)
	}
}

// All that labctl is made of has terms, and they are found, wherever it runs: what it embeds
// runs on Linux.
func TestThirdParty(t *testing.T) {
	b := &builder{checkout: checkout{root: "../.."}, programs: []program{
		{name: "fixtures/apps/db", platform: platform{"linux", "amd64"}}, {name: "fixtures/apps/probe", platform: platform{"linux", "arm64"}},
	}}
	for _, p := range platforms() {
		text, err := b.thirdParty(t.Context(), program{name: "cmd/labctl", platform: p})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\nGo and its standard library\n", "\nk8s.io/client-go v", "\ngithub.com/onsi/ginkgo/v2 v", "Apache License", "Permission is hereby granted"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: there is no %q in %d bytes", p, want, len(text))
			}
		}
		if strings.Contains(string(text), "\nlabctl.dev/labctl ") {
			t.Errorf("%s: labctl itself is not somebody else's", p)
		}
	}
}
