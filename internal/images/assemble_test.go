package images

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"labctl.dev/labctl/internal/fault"
)

// assembled makes images, which must go well.
func assembled(t *testing.T, s *Store, refs ...string) []Image {
	t.Helper()
	all, err := s.Assemble(t.Context(), refs...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAssemble(t *testing.T) {
	from := &fakeSources{debian: true}
	s := newTestStore(t, from)
	if missing, err := s.Missing(); err != nil || !slices.Equal(missing, Refs()) {
		t.Errorf("missing from an empty store: %q, %v", missing, err)
	}
	first := assembled(t, s)
	for i, ref := range Refs() {
		if first[i].Ref != ref || first[i].Size == 0 || first[i].Source == "" {
			t.Errorf("image %d is %+v, want %s", i, first[i], ref)
		}
	}
	if from.open != 0 {
		t.Errorf("%d package trees were not closed", from.open)
	}
	if missing, err := s.Missing(); err != nil || len(missing) > 0 {
		t.Errorf("missing from a full store: %q, %v", missing, err)
	}
	asked := len(from.asked)
	again := assembled(t, s, Database, Frontend)
	if again[0] != first[3] || again[1] != first[0] || len(from.asked) != asked {
		t.Errorf("made again what was there: %+v, asked %q", again, from.asked)
	}
	if elsewhere := assembled(t, newTestStore(t, &fakeSources{debian: true})); !slices.Equal(elsewhere, first) {
		t.Errorf("the same inputs gave\n%+v\n%+v", first, elsewhere)
	}

	s.programs = testPrograms("2")
	if missing, err := s.Missing(); err != nil || !slices.Equal(missing, []string{Frontend, Backend, Probe, Database}) {
		t.Errorf("missing after the programs changed: %q, %v", missing, err)
	}
	newer := assembled(t, s)
	for i := range first {
		if same := newer[i] == first[i]; same != (first[i].Ref == HAProxy) {
			t.Errorf("%s after the programs changed: %+v, before: %+v", first[i].Ref, newer[i], first[i])
		}
	}
	if len(from.asked) != asked {
		t.Errorf("fetched again what did not change: %q", from.asked)
	}
}

func TestAssembleOnOfficial(t *testing.T) {
	base, err := random.Image(64, 2)
	if err != nil {
		t.Fatal(err)
	}
	if base, err = mutate.Config(base, v1.Config{Env: []string{"PATH=/official"}, User: "0"}); err != nil {
		t.Fatal(err)
	}
	digest, err := base.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s := newTestStore(t, &fakeSources{official: base})
	made := assembled(t, s, Database)[0]
	if want := "docker.io/library/postgres:17@" + digest.String(); made.Source != want {
		t.Errorf("source %q, want %q", made.Source, want)
	}
	img, err := s.open(made)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "999:999" || config.Config.Env[0] != "PATH=/official" || config.OS != "linux" || config.Architecture != "amd64" {
		t.Errorf("configuration %+v", config)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 3 {
		t.Fatalf("%d layers, %v; want the base's two and one", len(layers), err)
	}
	own, err := layers[2].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	content := tarContent(t, own)
	if content["usr/local/bin/labctl-db"] != "db1" {
		t.Errorf("the program is %q", content["usr/local/bin/labctl-db"])
	}
	if _, ok := content["etc/passwd"]; ok {
		t.Error("the official image's users were replaced")
	}
}

func TestAssembleFails(t *testing.T) {
	for _, c := range []struct {
		name, ref    string
		programs     fstest.MapFS
		kind         fault.Kind
		says, remedy string
	}{
		{"not ours", "nginx", testPrograms(""), fault.Input, "nginx is no fixture image", ""},
		{"built without programs", Backend, nil, fault.Environment, "without the fixture program backend for linux/amd64", "release archive, which holds the programs, or build it in a checkout with: make build"},
		{"no source at all", Database, testPrograms(""), fault.Environment, "make db: no registry (no route) and no packages: this is no Debian", "labctl bundle load"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestStore(t, &fakeSources{})
			s.programs = c.programs
			_, err := s.Assemble(t.Context(), c.ref)
			if err == nil || !strings.Contains(err.Error(), c.says) || fault.KindOf(err) != c.kind || !strings.Contains(fault.RemedyOf(err), c.remedy) {
				t.Errorf("error %v (kind %d, remedy %q)", err, fault.KindOf(err), fault.RemedyOf(err))
			}
		})
	}
}

func TestWriteArchive(t *testing.T) {
	s := newTestStore(t, nil)
	made := assembled(t, s, Frontend, Backend)
	var out bytes.Buffer
	twice := append(slices.Clone(made), made[0]) // its blobs must be there once
	if err := s.WriteArchive(&out, twice); err != nil {
		t.Fatal(err)
	}
	content := tarContent(t, &out)
	var index v1.IndexManifest
	var docker []dockerEntry
	if err := errors.Join(json.Unmarshal([]byte(content["index.json"]), &index), json.Unmarshal([]byte(content["manifest.json"]), &docker)); err != nil {
		t.Fatal(err)
	}
	if content["oci-layout"] != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout %q", content["oci-layout"])
	}
	for i, image := range made {
		d := index.Manifests[i]
		if d.Digest.String() != image.Digest || d.Annotations["io.containerd.image.name"] != "docker.io/"+image.Ref || d.Annotations["org.opencontainers.image.ref.name"] != "v1" {
			t.Errorf("index entry %+v of %+v", d, image)
		}
		if docker[i].RepoTags[0] != image.Ref || docker[i].Config != "blobs/sha256/"+strings.TrimPrefix(image.ID, "sha256:") {
			t.Errorf("docker's entry %+v of %+v", docker[i], image)
		}
		for _, name := range append(docker[i].Layers, docker[i].Config, blobName(d.Digest)) {
			if _, ok := content[name]; !ok {
				t.Errorf("%s: no %s in the archive", image.Ref, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		if hex, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && hex != hexSum(content[name]) {
			t.Errorf("%s is another blob", name)
		}
	}
	if err := s.WriteArchive(io.Discard, []Image{{Ref: Probe, Digest: "sha256:" + strings.Repeat("0", 64)}}); err == nil {
		t.Error("an image that is not there was written")
	}
}

func hexSum(text string) string {
	hash := sha256.Sum256([]byte(text))
	return hex.EncodeToString(hash[:])
}

// tarContent is a tar's content by name. No name may come twice.
func tarContent(t *testing.T, in io.Reader) map[string]string {
	t.Helper()
	all := map[string]string{}
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[h.Name]; twice {
			t.Errorf("%s is in the archive twice", h.Name)
		}
		all[h.Name] = string(body)
	}
}

func TestBaseIsKeptByItsPackages(t *testing.T) {
	s := newTestStore(t, &fakeSources{debian: true})
	assembled(t, s, HAProxy)
	for name, c := range map[string]struct {
		change func(*job)
		want   bool
	}{
		"the same":               {func(*job) {}, true},
		"other packages":         {func(j *job) { j.Packages.Install = append(j.Packages.Install, "strace") }, false},
		"another official image": {func(j *job) { j.Official += ".1" }, false},
		"only another layer":     {func(j *job) { j.Dirs = nil }, true},
	} {
		j := job{recipe: haproxyRecipe()}
		c.change(&j)
		if got := s.storedBase(&j); got != c.want {
			t.Errorf("%s: the stored base serves: %v, want %v", name, got, c.want)
		}
	}
}
