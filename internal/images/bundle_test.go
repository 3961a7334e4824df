package images

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"labctl.dev/labctl/internal/fault"
)

// quiet is a Progress that nobody watches.
type quiet struct{}

func (quiet) Begin(string) func(error) { return func(error) {} }

// noRegistry offers Debian's packages, or nothing at all.
type noRegistry struct{ packages bool }

func (noRegistry) Official(context.Context, string) (v1.Image, error) {
	return nil, errors.New("no registry in this test")
}

func (noRegistry) Answers(context.Context, string) error {
	return errors.New("no registry in this test")
}

func (n noRegistry) Debian(_ context.Context, sets []*packages) ([]unpacked, error) {
	if !n.packages {
		return nil, errors.New("no packages in this test")
	}
	var all []unpacked
	for range sets {
		t := tree{}
		t.file("usr/bin/tool", 0o755, []byte("from a package"))
		all = append(all, unpacked{tree: t, versions: []string{"tool=1"}, close: func() {}})
	}
	return all, nil
}

// bundleStore is a store in a cache of its own; program is the content of its programs.
func bundleStore(t *testing.T, program string, packages bool) *Store {
	t.Helper()
	s := NewStore(t.TempDir(), quiet{})
	s.arch = "amd64"
	s.sources = noRegistry{packages: packages}
	files := fstest.MapFS{}
	for _, name := range []string{"frontend", "backend", "probe", "db"} {
		files["programs/linux-amd64/"+name] = &fstest.MapFile{Data: []byte(name + program)}
	}
	s.programs = files
	return s
}

// withNode puts a node image into the store's cache.
func withNode(t *testing.T, s *Store, content string) *Store {
	t.Helper()
	dir := filepath.Join(s.cache, "node-image", "part")
	archive := filepath.Join(dir, "node.tar")
	record, err := NodeImage{Ref: "labctl/node:v1-test", Archive: archive, ID: "sha256:12", Kubernetes: "v1.2.3"}.encode()
	if err = errors.Join(err, os.MkdirAll(dir, 0o700), os.WriteFile(archive, []byte(content), 0o600),
		os.WriteFile(filepath.Join(s.cache, "node-image", "latest.json"), record, 0o600)); err != nil {
		t.Fatal(err)
	}
	return s
}

// savedBundle is a bundle of small images.
func savedBundle(t *testing.T) (file string, b Bundle) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "b.tar.gz")
	b, err := withNode(t, bundleStore(t, " 1", true), "the node").SaveBundle(t.Context(), file, "v0.1")
	if err != nil {
		t.Fatal(err)
	}
	return file, b
}

// files lists a folder's files with their content, but for locks.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" {
			return err
		}
		body, err := os.ReadFile(p)
		all[strings.TrimPrefix(p, dir)] = string(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBundleRoundTrip(t *testing.T) {
	file, saved := savedBundle(t)
	to := bundleStore(t, " 1", false)
	loaded, err := to.LoadBundle(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.NodeImage != saved.NodeImage || !slices.Equal(loaded.Images, saved.Images) || loaded.Labctl != "v0.1" {
		t.Errorf("loaded %+v, saved %+v", loaded, saved)
	}
	images, err := to.Assemble(t.Context()) // with neither registry nor packages
	if err != nil {
		t.Fatal(err)
	}
	for i, img := range images {
		if got := (BundledImage{img.Ref, img.ID, img.Digest}); got != saved.Images[i] {
			t.Errorf("assembled %+v, saved %+v", got, saved.Images[i])
		}
	}
	if err := to.WriteArchive(io.Discard, images); err != nil {
		t.Error(err)
	}
	node, ok, err := to.LocalNode()
	if err != nil || !ok || node.Ref != "labctl/node:v1-test" || node.ID != "sha256:12" || node.Kubernetes != "v1.2.3" {
		t.Fatalf("node image %+v, %v, %v", node, ok, err)
	}
	if body, err := os.ReadFile(node.Archive); err != nil || string(body) != "the node" {
		t.Errorf("node archive %q, %v", body, err)
	}
	if left, _ := filepath.Glob(filepath.Join(to.cache, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	again := filepath.Join(t.TempDir(), "again")
	if _, err := to.SaveBundle(t.Context(), again, "v0.1"); err != nil {
		t.Fatal(err)
	}
	one, _ := os.ReadFile(file)
	two, _ := os.ReadFile(again)
	if !bytes.Equal(one, two) {
		t.Error("what was loaded is saved as another bundle")
	}
}

// Another labctl has other programs: it puts its own images together from the bases.
func TestBundleOfAnotherLabctl(t *testing.T) {
	file, saved := savedBundle(t)
	to := bundleStore(t, " 2", false)
	if _, err := to.LoadBundle(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	images, err := to.Assemble(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if images[0].ID == saved.Images[0].ID {
		t.Error("the image holds the other labctl's program")
	}
	if _, err := to.LoadBundle(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if missing, err := to.Missing(); err != nil || len(missing) > 0 {
		t.Errorf("loading again took away %v (%v)", missing, err)
	}
}

func TestLoadBundleReplacesEarlierNode(t *testing.T) {
	file, _ := savedBundle(t)
	to := bundleStore(t, " 1", false)
	if _, err := to.LoadBundle(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(t.TempDir(), "newer")
	if _, err := withNode(t, bundleStore(t, " 1", true), "a newer node").SaveBundle(t.Context(), newer, "v0.2"); err != nil {
		t.Fatal(err)
	}
	if _, err := to.LoadBundle(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	node, _, err := to.LocalNode()
	if body, errRead := os.ReadFile(node.Archive); err != nil || errRead != nil || string(body) != "a newer node" {
		t.Errorf("node archive %q, %v, %v", body, err, errRead)
	}
	if all, _ := filepath.Glob(filepath.Join(to.cache, "node-image", "loaded", "*")); len(all) != 1 {
		t.Errorf("archives: %v", all)
	}
}

// Whatever byte changes and wherever the file ends: it is noticed, or makes no difference.
func TestBundleEveryByteCounts(t *testing.T) {
	file, saved := savedBundle(t)
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad")
	try := func(content []byte) error {
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := InspectBundle(t.Context(), bad)
		if err == nil && !slices.Equal(b.Files, saved.Files) {
			t.Error("accepted, and is not what was saved")
		}
		if err != nil && (fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), bad)) {
			t.Errorf("kind %d: %v", fault.KindOf(err), err)
		}
		return err
	}
	accepted := 0
	for i := 0; i < len(body); i += 7 {
		flipped := bytes.Clone(body)
		flipped[i] ^= 0x55
		if try(flipped) == nil { // a time in gzip's header, an unused bit of a code
			accepted++
		}
		if err := try(body[:i]); err == nil {
			t.Errorf("cut at %d of %d: accepted", i, len(body))
		}
	}
	if accepted > len(body)/7/50 {
		t.Errorf("%d changed bytes of %d are said to make no difference", accepted, len(body)/7)
	}
	if err := try(append(bytes.Clone(body), 0)); err == nil {
		t.Error("with a byte after the end: accepted")
	}
}

func TestLoadBundleInterrupted(t *testing.T) {
	file, _ := savedBundle(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bundleStore(t, " 1", false).LoadBundle(ctx, file); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestSaveBundleRefuses(t *testing.T) {
	dir := t.TempDir()
	gone := withNode(t, bundleStore(t, "", true), "x")
	if err := os.Remove(filepath.Join(gone.cache, "node-image", "part", "node.tar")); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		store *Store
		file  string
		kind  fault.Kind
		want  string
	}{
		"no node image":   {bundleStore(t, "", true), dir + "/b", fault.Environment, "there is no node image"},
		"archive is gone": {gone, dir + "/b", fault.Environment, "is gone"},
		"no images":       {withNode(t, bundleStore(t, "", false), "x"), dir + "/b", fault.Environment, "no packages"},
		"onto a folder":   {withNode(t, bundleStore(t, "", true), "x"), dir, fault.Input, "is no file"},
		"into nowhere":    {withNode(t, bundleStore(t, "", true), "x"), dir + "/no/b", fault.Input, "there is no folder"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tt.store.SaveBundle(t.Context(), tt.file, "v0.1")
			if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != tt.kind {
				t.Errorf("error %v of kind %d, want %q of kind %d", err, fault.KindOf(err), tt.want, tt.kind)
			}
			if left := files(t, dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	_, err := bundleStore(t, "", true).SaveBundle(t.Context(), dir+"/b", "v0.1")
	if !strings.Contains(fault.RemedyOf(err), "make node-image") {
		t.Errorf("remedy %q", fault.RemedyOf(err))
	}
}

// A blob that rotted on the disk is not carried on.
func TestSaveBundleOfDamagedStore(t *testing.T) {
	s := withNode(t, bundleStore(t, "", true), "x")
	images, err := s.Assemble(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	blob := s.blobPath(images[0].ID)
	body, err := os.ReadFile(blob)
	if err = errors.Join(err, os.WriteFile(blob, flip(body), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = s.SaveBundle(t.Context(), filepath.Join(t.TempDir(), "b"), "v0.1")
	if err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("error %v", err)
	}
}
