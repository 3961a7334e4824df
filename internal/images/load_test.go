package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"labctl.dev/labctl/internal/engine"
)

// fakeNodes are nodes by name, each with what it says of itself.
type fakeNodes struct {
	says      map[string]string
	importErr error
	old       string // the node whose ctr does not know --local

	mu       sync.Mutex
	imported map[string]string // archive by node
	commands map[string]string // the import's command by node
}

func (f *fakeNodes) Exec(_ context.Context, node string, spec engine.ExecSpec) error {
	if spec.Stdin == nil {
		says, ok := f.says[node]
		if !ok {
			fmt.Fprint(spec.Stderr, "noise\nno such container\n")
			return errors.New("exit 1")
		}
		_, err := io.WriteString(spec.Stdout, says)
		return err
	}
	if f.importErr != nil { // it does not even read
		fmt.Fprint(spec.Stderr, "ctr: no space left\n")
		return f.importErr
	}
	if node == f.old && slices.Contains(spec.Cmd, "--local") {
		fmt.Fprint(spec.Stderr, "ctr: flag provided but not defined: -local\n")
		return errors.New("exit 1")
	}
	archive, err := io.ReadAll(spec.Stdin)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.imported[node], f.commands[node] = string(archive), strings.Join(spec.Cmd, " ")
	return err
}

// nodeSays is the answer of a node that has the images.
func nodeSays(snapshotter string, images ...Image) string {
	lines := []string{"version = 3", "    snapshotter = '" + snapshotter + "'", "images:", "REF TYPE DIGEST SIZE PLATFORMS LABELS"}
	for _, i := range images {
		lines = append(lines, i.Name()+" application/vnd.oci.image.manifest.v1+json "+i.Digest+" 1.0 MiB linux/amd64 -")
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestAbsent(t *testing.T) {
	a, b := Image{Ref: Frontend, Digest: "sha256:aa"}, Image{Ref: Backend, Digest: "sha256:bb"}
	older := Image{Ref: Frontend, Digest: "sha256:00"}
	for _, c := range []struct {
		name string
		list string
		want []Image
	}{
		{"nothing listed", "", []Image{a, b}},
		{"all there", nodeSays("", a, b), nil},
		{"one there", nodeSays("", b), []Image{a}},
		{"another version there", nodeSays("", older, b), []Image{a}},
		{"another's name", strings.ReplaceAll(nodeSays("", a, b), "docker.io/", "example.com/"), []Image{a, b}},
		{"an odd line", "docker.io/labctl/frontend:v1\n", []Image{a, b}},
	} {
		t.Run(c.name, func(t *testing.T) {
			images := []Image{a, b}
			if got := absent(c.list, images); !slices.Equal(got, c.want) {
				t.Errorf("absent %+v, want %+v", got, c.want)
			}
			if images[0] != a || images[1] != b {
				t.Errorf("the caller's images are now %+v", images)
			}
		})
	}
}

func TestLoadNodes(t *testing.T) {
	s := newTestStore(t, nil)
	images := assembled(t, s, Frontend, Backend)
	f := &fakeNodes{
		says:     map[string]string{"empty": nodeSays("native"), "half": nodeSays("overlayfs", images[0]), "full": nodeSays("overlayfs", images...)},
		old:      "empty",
		imported: map[string]string{}, commands: map[string]string{},
	}
	if err := s.LoadNodes(t.Context(), f, []string{"empty", "half", "full"}, images); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		node, snapshotter string
		missing           []Image // nil: nothing is sent
	}{
		{"empty", "native", images}, {"half", "overlayfs", images[1:]}, {"full", "", nil},
	} {
		archive, sent := f.imported[c.node]
		if sent != (c.missing != nil) {
			t.Errorf("%s: sent = %v", c.node, sent)
		}
		if !sent {
			continue
		}
		var want bytes.Buffer
		if err := s.WriteArchive(&want, c.missing); err != nil {
			t.Fatal(err)
		}
		if archive != want.String() {
			t.Errorf("%s was sent another archive than that of %+v", c.node, c.missing)
		}
		if command := f.commands[c.node]; !strings.HasPrefix(command, "ctr -n k8s.io images import ") || !strings.Contains(command, "--snapshotter "+c.snapshotter+" ") {
			t.Errorf("%s: %q", c.node, command)
		} else if strings.HasSuffix(command, " --local -") != (c.node != f.old) {
			t.Errorf("%s: %q, but only the node %s cannot import with --local", c.node, command, f.old)
		}
	}
}

func TestLoadNodesFails(t *testing.T) {
	s := newTestStore(t, nil)
	images := assembled(t, s, Frontend)
	full := errors.New("exit 3")
	for _, c := range []struct {
		name   string
		nodes  *fakeNodes
		images []Image
		want   []string
	}{
		{"a node that is gone", &fakeNodes{}, images, []string{"into n: look what is there: exit 1: no such container"}},
		{"a node that is full", &fakeNodes{says: map[string]string{"n": nodeSays("")}, importErr: full}, images, []string{"into n: import: exit 3: ctr: no space left"}},
		{
			"an image that the store lost", &fakeNodes{says: map[string]string{"n": nodeSays("")}, imported: map[string]string{}, commands: map[string]string{}},
			[]Image{{Ref: Backend, Digest: "sha256:aa"}}, []string{"write an archive of images", "no such file"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.LoadNodes(t.Context(), c.nodes, []string{"n"}, c.images)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
			}
		})
	}
}

func TestSnapshotter(t *testing.T) {
	for config, want := range map[string]string{
		"":                              "overlayfs",
		"  snapshotter = 'native'":      "native",
		"a = 1\nsnapshotter = \"fuse\"": "fuse",
		"disable_snapshotter = 'x'":     "overlayfs",
	} {
		if got := snapshotter(config); got != want {
			t.Errorf("snapshotter(%q) = %q, want %q", config, got, want)
		}
	}
}

func TestLoadEngine(t *testing.T) {
	s := newTestStore(t, nil)
	images := assembled(t, s, Frontend, Probe)
	for _, c := range []struct {
		name string
		ids  map[string]string
		want []Image
	}{
		{"empty", nil, images},
		{"by the configuration's digest", map[string]string{Frontend: images[0].ID, Probe: images[1].ID}, nil},
		{"by the manifest's digest", map[string]string{Frontend: images[0].Digest}, images[1:]},
		{"an older one", map[string]string{Frontend: "sha256:00", Probe: images[1].ID}, images[:1]},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &fakeEngine{ids: c.ids}
			if err := s.LoadEngine(t.Context(), e, images); err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			if c.want != nil {
				if err := s.WriteArchive(&want, c.want); err != nil {
					t.Fatal(err)
				}
			}
			if e.loaded != want.String() {
				t.Errorf("the engine was given %d bytes, want the %d of %+v", len(e.loaded), want.Len(), c.want)
			}
		})
	}
	if err := s.LoadEngine(t.Context(), &fakeEngine{loadErr: errors.New("disk full")}, images); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v", err)
	}
}
