package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/spf13/cobra"
)

// fakeProgram is a binary of the modules, in a folder of its own.
func fakeProgram(t *testing.T, pkg, body string, modules ...*debug.Module) program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return program{path: path, name: pkg, platform: platform{"linux", "amd64"}, info: &debug.BuildInfo{
		GoVersion: "go1.26.8 X:none", Deps: modules,
		Main:     debug.Module{Path: "labctl.dev/labctl", Version: "v1.2.3+dirty"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "c60a1a7"}},
	}}
}

func fakeBOM(t *testing.T, body string) []byte {
	t.Helper()
	toml := &debug.Module{Path: "github.com/BurntSushi/toml", Version: "v1.4.0", Sum: "h1:abc="}
	docker := &debug.Module{Path: "github.com/docker/cli", Version: "v29.7.2+incompatible", Sum: "h1:def="}
	forked := &debug.Module{Path: "example.com/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.0.1"}}
	text, err := billOfMaterials(fakeProgram(t, "cmd/labctl", body, toml, docker, forked),
		[]program{fakeProgram(t, "fixtures/apps/db", "db", toml)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestBillOfMaterialsIsReproducible(t *testing.T) {
	first := fakeBOM(t, "program")
	if again := fakeBOM(t, "program"); !bytes.Equal(again, first) {
		t.Errorf("the same program gave\n%s\nand\n%s", first, again)
	}
	var a, b cdx.BOM
	err := errors.Join(
		cdx.NewBOMDecoder(bytes.NewReader(first), cdx.BOMFileFormatJSON).Decode(&a),
		cdx.NewBOMDecoder(bytes.NewReader(fakeBOM(t, "Program")), cdx.BOMFileFormatJSON).Decode(&b))
	if err != nil || !strings.HasPrefix(a.SerialNumber, "urn:uuid:") || a.SerialNumber == b.SerialNumber {
		t.Errorf("serial numbers %q of one program and %q of another, %v", a.SerialNumber, b.SerialNumber, err)
	}
	if a.Metadata.Timestamp != "" {
		t.Errorf("time %s", a.Metadata.Timestamp)
	}
}

func TestBillOfMaterials(t *testing.T) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(fakeBOM(t, "program")), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	const (
		labctl = "pkg:golang/labctl.dev/labctl@v1.2.3%2Bdirty?goarch=amd64&goos=linux#cmd/labctl"
		db     = "pkg:golang/labctl.dev/labctl@v1.2.3%2Bdirty?goarch=amd64&goos=linux#fixtures/apps/db"
	)
	app := bom.Metadata.Component
	if bom.SpecVersion != cdx.SpecVersion1_6 || app.PackageURL != labctl || app.Version != "v1.2.3+dirty" ||
		(*app.Hashes)[0].Value != "1310ca2c8932dbd118668bd97442558a3e1f546b5e15c69699dfbd6024f548d8" {
		t.Errorf("%s: %+v", bom.SpecVersion, app)
	}
	var refs []string
	for _, c := range *bom.Components {
		refs = append(refs, c.BOMRef)
		if c.Name == "github.com/BurntSushi/toml" && (*c.Properties)[0] != (cdx.Property{Name: "go:sum", Value: "h1:abc="}) {
			t.Errorf("%s: %+v", c.Name, c.Properties)
		}
	}
	want := []string{
		db, "pkg:golang/example.com/fork@v1.0.1", "pkg:golang/github.com/BurntSushi/toml@v1.4.0",
		"pkg:golang/github.com/docker/cli@v29.7.2%2Bincompatible", "pkg:golang/stdlib@1.26.8",
	}
	if !slices.Equal(refs, want) {
		t.Errorf("components %q, want %q", refs, want)
	}
	dependencies := *bom.Dependencies
	if len(dependencies) != 2 || dependencies[0].Ref != labctl || len(*dependencies[0].Dependencies) != 5 ||
		dependencies[1].Ref != db || len(*dependencies[1].Dependencies) != 2 {
		t.Errorf("dependencies %+v", dependencies)
	}
}

func TestImage(t *testing.T) {
	arm := platform{"linux", "arm64"}
	contents := func(program string) tree {
		return imageOf(tree{"labctl": {0o755, []byte(program)}, "LICENSE": {0o644, []byte("ours")}, licensesName: {0o644, []byte("theirs")}, "README.md": {0o644, []byte("read")}})
	}
	first, err := image(contents("program"), arm, "v1.2.3+dirty", commitTime())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := image(contents("program"), arm, "v1.2.3+dirty", commitTime()); err != nil || !bytes.Equal(again, first) {
		t.Errorf("the same program gave different bytes, %v", err)
	}
	if other, err := image(contents("Program"), arm, "v1.2.3+dirty", commitTime()); err != nil || bytes.Equal(other, first) {
		t.Errorf("another program gave the same bytes, %v", err)
	}
	dir := unpack(t, first)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("the OCI layout: %v", err)
	}
	ref, err := name.NewTag("labctl/labctl:v1.2.3-dirty")
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(first)), nil }, &ref)
	if err != nil {
		t.Fatalf("the docker-archive: %v", err)
	}
	config, err := img.ConfigFile()
	if err != nil || config.Architecture != "arm64" || config.OS != "linux" || !config.Created.Equal(commitTime()) ||
		config.Config.Entrypoint[0] != "/usr/local/bin/labctl" || config.Config.Labels["org.opencontainers.image.version"] != "v1.2.3+dirty" {
		t.Errorf("%+v, %v", config, err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	files, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	body, err := io.ReadAll(files)
	if err != nil {
		t.Fatal(err)
	}
	in := unpack(t, body)
	for file, want := range map[string]string{
		"bin/labctl": "program", "share/doc/labctl/LICENSE": "ours", "share/doc/labctl/" + licensesName: "theirs",
	} {
		if got, err := os.ReadFile(filepath.Join(in, "usr/local", file)); err != nil || string(got) != want {
			t.Errorf("%s in the image: %q, %v", file, got, err)
		}
	}
}

// unpack writes a tar's files to a new folder.
func unpack(t *testing.T, body []byte) string {
	t.Helper()
	dir := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(body)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		folder, isFile := filepath.Dir(path), h.Typeflag != tar.TypeDir
		if !isFile {
			folder = path
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if !isFile {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Hidden commands are no business of users': they get no page, and no other page names them.
func TestDocuments(t *testing.T) {
	nothing := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "labctl", Short: "Labs"}
	root.AddCommand(&cobra.Command{Use: "up", Short: "Start", Run: nothing},
		&cobra.Command{Use: "secret", Short: "Not for you", Hidden: true, Run: nothing})
	docs, err := documentsOf(root, filepath.Join(t.TempDir(), "man"), commitTime())
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range docs {
		if strings.Contains(name, "secret") || strings.Contains(string(e.body), "secret") {
			t.Errorf("%s tells of a hidden command", name)
		}
	}
	page := string(docs["share/man/man1/labctl-up.1"].body)
	if !strings.Contains(page, `.TH "LABCTL-UP" "1" "Nov 2026" "labctl" "labctl"`) {
		t.Errorf("the page of labctl up:\n%s", page)
	}
}

// The pages of labctl itself are the same whoever builds them.
func TestDocumentsOfLabctl(t *testing.T) {
	first, err := documents(filepath.Join(t.TempDir(), "man"), commitTime())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LABCTL_CLUSTER", "mine")
	t.Setenv("HOME", "/home/somebody")
	again, err := documents(filepath.Join(t.TempDir(), "man"), commitTime())
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range first {
		if !bytes.Equal(e.body, again[name].body) {
			t.Errorf("%s differs:\n%s", name, again[name].body)
		}
	}
	for _, name := range []string{"labctl.1", "labctl-up.1", "labctl-lab-new.1", "labctl-completion-bash.1"} {
		if len(first[manDir+"/"+name].body) == 0 {
			t.Errorf("no page %s", name)
		}
	}
	for _, name := range []string{bashCompletion, zshCompletion, fishCompletion} {
		if !strings.Contains(string(first[name].body), "labctl") {
			t.Errorf("%s: %q", name, first[name].body)
		}
	}
	for name := range first {
		if strings.Contains(name, "grader") || strings.Contains(name, "load-balancer") {
			t.Errorf("a hidden command has the page %s", name)
		}
	}
}
