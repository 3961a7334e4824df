package images

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

const (
	kindsOwn  = "kindest/node:v1"
	localNode = "labctl/node:v1.37.2"
	other     = "example.com/node:v9"
)

// resolution is one situation in which a node image is asked for.
type resolution struct {
	name    string
	engine  fakeEngine
	record  string // of node-image/latest.json; "" for none
	archive bool   // whether its file is there
	answers string // the image that a registry gives
	want    string

	ref, why string   // what is chosen
	fail     []string // what the error says instead
	kind     fault.Kind
	loaded   string // what the engine was given
}

func resolutions() []resolution {
	const built = `{"ref":"` + localNode + `","archive":"node.tar","id":"sha256:aa"}`
	has := func(refs ...string) fakeEngine { return fakeEngine{ids: ids(refs...)} }
	const here = "built from modules and packages, "
	return []resolution{
		{name: "kind's own is present", engine: has(kindsOwn, localNode), record: built, ref: kindsOwn, why: "kind's own, present"},
		{name: "kind's own from its registry", record: built, archive: true, answers: kindsOwn, ref: kindsOwn, why: "kind's own, from its registry"},
		{name: "built here, present", engine: has(localNode), record: built, ref: localNode, why: here + "present"},
		{name: "built here, archived", record: built, archive: true, ref: localNode, why: here + "loaded from node.tar", loaded: "the archive"},
		{
			name: "built here, lost", record: built,
			fail: []string{"no registry answers (no route)", "make node-image", "labctl bundle load"}, kind: fault.Environment,
		},
		{
			name: "nothing at all",
			fail: []string{"no registry answers (no route)", "make node-image", "labctl bundle load"}, kind: fault.Environment,
		},
		{name: "an empty record is none", record: `{}`, fail: []string{"make node-image"}, kind: fault.Environment},
		{name: "a record that cannot be read", record: `{`, fail: []string{"read the record of the node image"}},
		{name: "the engine does not answer", engine: fakeEngine{err: errors.New("daemon down")}, record: built, fail: []string{"daemon down"}},
		{
			name: "the archive cannot be loaded", engine: fakeEngine{loadErr: errors.New("disk full")}, record: built, archive: true,
			fail: []string{"load " + localNode, "node.tar", "disk full"}, loaded: "the archive",
		},
		{name: "wanted, present", want: other, engine: has(other, kindsOwn), ref: other, why: "as asked, present"},
		{name: "wanted, from its registry", want: other, engine: has(kindsOwn), answers: other, ref: other, why: "as asked, from its registry"},
		{
			name: "wanted, absent", want: other, engine: has(kindsOwn, localNode), record: built, answers: kindsOwn,
			fail: []string{other + " is not in the engine", "no route", "--node-image"}, kind: fault.Environment,
		},
		{
			name: "wanted, archived", want: localNode, engine: has(kindsOwn), record: built, archive: true,
			ref: localNode, why: "as asked, " + here + "loaded from node.tar", loaded: "the archive",
		},
		{name: "wanted, lost", want: localNode, record: built, fail: []string{localNode + " is not in the engine"}, kind: fault.Environment},
		{
			name: "wanted, the archive cannot be loaded", want: localNode, engine: fakeEngine{loadErr: errors.New("disk full")},
			record: built, archive: true, fail: []string{"disk full"}, loaded: "the archive",
		},
	}
}

func TestResolveNode(t *testing.T) {
	for _, c := range resolutions() {
		t.Run(c.name, func(t *testing.T) {
			s := newTestStore(t, &fakeSources{answers: c.answers})
			putNode(t, s, c.record, c.archive)
			ref, why, err := s.ResolveNode(t.Context(), &c.engine, c.want, kindsOwn)
			if ref != c.ref || why != c.why || c.engine.loaded != c.loaded {
				t.Errorf("got %q (%s), loaded %q; want %q (%s), %q", ref, why, c.engine.loaded, c.ref, c.why, c.loaded)
			}
			if (err == nil) != (c.fail == nil) {
				t.Fatalf("error %v, want one that says %q", err, c.fail)
			}
			if err == nil {
				return
			}
			text := err.Error()
			var f *fault.Error
			if errors.As(err, &f) {
				text += "\n" + f.Remedy
			}
			for _, want := range c.fail {
				if !strings.Contains(text, want) {
					t.Errorf("error %q does not say %q", text, want)
				}
			}
			if c.kind != 0 && (f == nil || f.Kind != c.kind) {
				t.Errorf("error %v is of another kind", err)
			}
		})
	}
}

// putNode writes what `make node-image` leaves.
func putNode(t *testing.T, s *Store, record string, archive bool) {
	t.Helper()
	dir := filepath.Join(s.cache, "node-image")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	if record != "" {
		files["latest.json"] = record
	}
	if archive {
		files["node.tar"] = "the archive"
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResolveNodeIsInterrupted(t *testing.T) {
	s := newTestStore(t, &fakeSources{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.ResolveNode(ctx, &fakeEngine{}, "", kindsOwn); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while asking the registry: %v", err)
	}
}

func TestLocalNodeArchive(t *testing.T) {
	s := newTestStore(t, nil)
	for archive, want := range map[string]string{
		"node.tar":   filepath.Join(s.cache, "node-image", "node.tar"),
		"/else/n.gz": "/else/n.gz",
		"":           "",
	} {
		body, err := json.Marshal(NodeImage{Ref: localNode, Archive: archive})
		if err != nil {
			t.Fatal(err)
		}
		putNode(t, s, string(body), false)
		if n, ok, err := s.LocalNode(); n.Archive != want || !ok || err != nil {
			t.Errorf("archive %q: %+v, %v, %v; want %q", archive, n, ok, err, want)
		}
	}
}

func TestBrief(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("a\n\tb"), "a b"},
		{context.DeadlineExceeded, "no answer in 3s"},
		{errors.New(strings.Repeat("x", 200)), strings.Repeat("x", 160) + "…"},
	} {
		if got := brief(c.err); got != c.want {
			t.Errorf("brief(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}

// fakeEngine holds images by name.
type fakeEngine struct {
	ids          map[string]string
	err, loadErr error
	loaded       string
}

func ids(refs ...string) map[string]string {
	all := map[string]string{}
	for _, r := range refs {
		all[r] = "sha256:" + r
	}
	return all
}

func (e *fakeEngine) HasImage(_ context.Context, ref string) (string, bool, error) {
	id, ok := e.ids[ref]
	return id, ok, e.err
}

func (e *fakeEngine) LoadImages(_ context.Context, archive io.Reader) error {
	body, err := io.ReadAll(archive)
	e.loaded += string(body)
	return errors.Join(err, e.loadErr)
}
