package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// unwatched is a Progress for nobody.
type unwatched struct{}

func (unwatched) Begin(string) func(error) { return func(error) {} }

// fakeSources gives what it has, and keeps what it was asked for.
type fakeSources struct {
	answers  string // the one image that can be pulled
	official v1.Image
	debian   bool
	asked    []string
	open     int // trees that nobody closed
}

func (f *fakeSources) Answers(ctx context.Context, ref string) error {
	if ref == f.answers {
		return nil
	}
	return errors.Join(ctx.Err(), errors.New("no route"))
}

func (f *fakeSources) Official(_ context.Context, ref string) (v1.Image, error) {
	f.asked = append(f.asked, ref)
	if f.official == nil {
		return nil, errors.New("no route")
	}
	return f.official, nil
}

func (f *fakeSources) Debian(_ context.Context, sets []*packages) ([]unpacked, error) {
	f.asked = append(f.asked, "debian")
	if !f.debian {
		return nil, errors.New("this is no Debian")
	}
	all := make([]unpacked, len(sets))
	for i, set := range sets {
		t := tree{}
		t.file("usr/lib/x/bin/initdb", 0o755, []byte(set.Install[0]))
		f.open++
		all[i] = unpacked{tree: t, versions: []string{set.Install[0] + "=1"}, close: func() { f.open-- }}
	}
	return all, nil
}

// newTestStore is an empty store with four small programs.
func newTestStore(t *testing.T, from *fakeSources) *Store {
	t.Helper()
	s := NewStore(t.TempDir(), unwatched{})
	s.arch, s.sources = "amd64", from
	s.programs = testPrograms("1")
	return s
}

func testPrograms(version string) fstest.MapFS {
	all := fstest.MapFS{}
	for _, name := range []string{"frontend", "backend", "probe", "db"} {
		all["programs/linux-amd64/"+name] = &fstest.MapFile{Data: []byte(name + version)}
	}
	return all
}

func TestLayerIsReproducible(t *testing.T) {
	steps := []func(tree){
		func(t tree) { t.file("usr/bin/a", 0o755, []byte("program")) },
		func(t tree) { t.dir("data", 0o1777, 999) },
		func(t tree) { t.link("bin", "usr/bin") },
		func(t tree) { t["a-link"] = entry{kind: tar.TypeLink, mode: 0o755, target: "usr/bin/a"} },
		func(t tree) { t.users("app", "/", 65532) },
	}
	digest := func(forEngine bool, steps []func(tree)) string {
		made := tree{}
		for _, step := range steps {
			step(made)
		}
		l, err := newTestStore(t, nil).putLayer(made, forEngine)
		if err != nil {
			t.Fatal(err)
		}
		return l.digest.String()
	}
	backwards := slices.Clone(steps)
	slices.Reverse(backwards)
	for _, forEngine := range []bool{true, false} {
		first := digest(forEngine, steps)
		if again := digest(forEngine, backwards); again != first {
			t.Errorf("the same tree gave %s and %s", first, again)
		}
		if less := digest(forEngine, steps[1:]); less == first {
			t.Error("another tree gave the same layer")
		}
	}
}

// TestLayersFitWhatReadsThem: they are compressed for nodes only.
func TestLayersFitWhatReadsThem(t *testing.T) {
	for _, c := range []struct {
		forEngine bool
		media     types.MediaType
		head      string
	}{{true, types.OCIUncompressedLayer, "etc/"}, {false, types.OCILayerZStd, "\x28\xb5\x2f\xfd"}} {
		l, err := newTestStore(t, nil).putLayer(tree{"etc/many": {kind: tar.TypeReg, mode: 0o644, body: io.NewSectionReader(strings.NewReader(strings.Repeat("a", 1<<20)), 0, 1<<20)}}, c.forEngine)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			want v1.Hash
			open func() (io.ReadCloser, error)
		}{"digest": {l.digest, l.Compressed}, "diff ID": {l.diffID, l.Uncompressed}} {
			r, err := c.open()
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := v1.SHA256(r)
			if err = errors.Join(err, r.Close()); err != nil || got != c.want {
				t.Errorf("%s %s, read %s, %v", name, c.want, got, err)
			}
		}
		blob, err := os.ReadFile(l.path)
		if media, _ := l.MediaType(); err != nil || media != c.media || !strings.HasPrefix(string(blob), c.head) || (len(blob) > 1<<20) != c.forEngine {
			t.Errorf("for the engine %v: %s, %d bytes, %.4q, %v", c.forEngine, media, len(blob), blob, err)
		}
	}
}

func TestLayerContent(t *testing.T) {
	made := tree{}
	made.file("z/deep/file", 0o644, []byte("body"))
	made.dir("data", 0o1777, 999)
	made["a"] = entry{kind: tar.TypeLink, mode: 0o644, target: "z/deep/file"}
	var out bytes.Buffer
	if err := made.writeTo(&out); err != nil {
		t.Fatal(err)
	}
	var names []string
	r := tar.NewReader(&out)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if !h.ModTime.IsZero() && h.ModTime.Unix() != 0 {
			t.Errorf("%s has the time %v", h.Name, h.ModTime)
		}
		if h.Name == "data/" && (h.Uid != 999 || h.Gid != 999 || h.Mode != 0o1777) {
			t.Errorf("data: %+v", h)
		}
		if h.Name == "z/deep/file" {
			if body, err := io.ReadAll(r); err != nil || string(body) != "body" {
				t.Errorf("file: %q, %v", body, err)
			}
		}
	}
	// Parents come before their content, hard links after their targets.
	if want := []string{"data/", "z/", "z/deep/", "z/deep/file", "a"}; !slices.Equal(names, want) {
		t.Errorf("entries %q, want %q", names, want)
	}
}

func TestPutBlob(t *testing.T) {
	s := newTestStore(t, nil)
	digest, size, err := s.putBlob(func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err })
	const want = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	if err != nil || digest != want || size != 5 {
		t.Errorf("putBlob = %s, %d, %v", digest, size, err)
	}
	if body, err := os.ReadFile(s.blobPath(digest)); err != nil || string(body) != "hello" {
		t.Errorf("blob: %q, %v", body, err)
	}
	broken := errors.New("broken")
	if _, _, err := s.putBlob(func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(s.blobPath(digest)))
	if err != nil || len(entries) != 1 {
		t.Errorf("a failed write left something: %v, %v", entries, err)
	}
}

// liar is a layer that is not what its digest says.
type liar struct{ *layer }

func (l liar) Digest() (v1.Hash, error) {
	return v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}, nil
}

func TestKeepChecksLayers(t *testing.T) {
	l, err := newTestStore(t, nil).putLayer(tree{"etc": {kind: tar.TypeDir, mode: 0o755}}, true)
	if err != nil {
		t.Fatal(err)
	}
	s := newTestStore(t, nil)
	if size, err := s.keep(l); err != nil || size != l.size {
		t.Errorf("keep = %d, %v; want %d", size, err, l.size)
	}
	if _, err := s.keep(liar{l}); err == nil || !strings.Contains(err.Error(), "came as "+l.digest.String()) {
		t.Errorf("a layer with another's content: %v", err)
	}
}

func TestRecords(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(s *Store, r record) error
		want   bool
	}{
		{"whole", func(*Store, record) error { return nil }, true},
		{"no manifest", func(s *Store, r record) error { return os.Remove(s.blobPath(r.Digest)) }, false},
		{"no configuration", func(s *Store, r record) error { return os.Remove(s.blobPath(r.ID)) }, false},
		{"a short configuration", func(s *Store, r record) error { return os.Truncate(s.blobPath(r.ID), 1) }, false},
		{"no JSON", func(s *Store, _ record) error { return os.WriteFile(s.recordPath("probe"), []byte("{"), 0o600) }, false},
		{"another architecture's", func(s *Store, _ record) error { s.arch = "arm64"; return nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestStore(t, nil)
			made, err := s.Assemble(t.Context(), Probe)
			if err != nil {
				t.Fatal(err)
			}
			r, ok := s.getRecord("probe")
			if !ok || r.Image != made[0] || r.Inputs == "" {
				t.Fatalf("record %+v of %+v", r, made[0])
			}
			if err := c.damage(s, r); err != nil {
				t.Fatal(err)
			}
			if _, ok := s.getRecord("probe"); ok != c.want {
				t.Errorf("record is there: %v, want %v", ok, c.want)
			}
		})
	}
}
