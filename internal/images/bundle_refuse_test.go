package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

// tarEntry is one of a bundle that a test writes.
type tarEntry struct {
	name string
	kind byte
	body []byte
}

func readEntries(t *testing.T, file string) []tarEntry {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []tarEntry
	for r := tar.NewReader(gz); ; {
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
		all = append(all, tarEntry{h.Name, h.Typeflag, body})
	}
}

func writeEntries(t *testing.T, all []tarEntry) (file string) {
	t.Helper()
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	w := tar.NewWriter(gz)
	for _, e := range all {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o644}
		if e.kind == tar.TypeReg {
			h.Size = int64(len(e.body))
		} else {
			h.Linkname = "/etc/passwd"
		}
		err := w.WriteHeader(h)
		if e.kind == tar.TypeReg && err == nil {
			_, err = w.Write(e.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(t.TempDir(), "b")
	if err := errors.Join(w.Close(), gz.Close(), os.WriteFile(file, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

// rehead changes the description of a bundle.
func rehead(change func(*Bundle)) func([]tarEntry) []tarEntry {
	return func(all []tarEntry) []tarEntry {
		var b Bundle
		if err := json.Unmarshal(all[0].body, &b); err != nil {
			panic(err)
		}
		change(&b)
		all[0].body, _ = json.Marshal(b)
		return all
	}
}

// resum makes the description fit the altered entries again.
func resum(all []tarEntry) []tarEntry {
	return rehead(func(b *Bundle) {
		for i := range b.Files {
			sum := sha256.Sum256(all[i+1].body)
			b.Files[i] = BundledFile{Name: all[i+1].name, Size: int64(len(all[i+1].body)), SHA256: hex.EncodeToString(sum[:])}
		}
	})(all)
}

func alter(all []tarEntry, folder string, change func(body []byte) []byte) []tarEntry {
	for i, e := range all {
		if path.Dir(e.name)+"/" == folder {
			all[i].body = change(bytes.Clone(e.body))
			return all
		}
	}
	panic(folder)
}

func flip(body []byte) []byte { body[len(body)/2] ^= 1; return body }

func TestLoadBundleRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	tests := map[string]struct {
		change func([]tarEntry) []tarEntry
		want   string
	}{
		"node altered":        {func(a []tarEntry) []tarEntry { a[1].body = flip(a[1].body); return a }, "node-image/node.tar: altered: its sha256"},
		"node longer":         {func(a []tarEntry) []tarEntry { a[1].body = append(a[1].body, 'x'); return a }, "node-image/node.tar: altered: 9 bytes, and 8"},
		"blob altered":        {func(a []tarEntry) []tarEntry { return alter(a, bundleBlobs, flip) }, "altered: its sha256"},
		"blob renamed":        {func(a []tarEntry) []tarEntry { return resum(alter(a, bundleBlobs, flip)) }, "no file of a bundle has such a name"},
		"record altered":      {func(a []tarEntry) []tarEntry { return alter(a, bundleRecords, flip) }, "images/made/frontend-amd64.json: altered"},
		"entry missing":       {func(a []tarEntry) []tarEntry { return a[:len(a)-1] }, ": missing"},
		"entry too many":      {func(a []tarEntry) []tarEntry { return append(a, a[1]) }, "not listed in bundle.json"},
		"order":               {func(a []tarEntry) []tarEntry { a[1], a[2] = a[2], a[1]; return a }, "node-image/node.tar: in its place is"},
		"link":                {func(a []tarEntry) []tarEntry { a[1].kind = tar.TypeSymlink; return a }, "node-image/node.tar: in its place is"},
		"other architecture":  {rehead(func(b *Bundle) { b.Arch = "arm64" }), "bundle.json: its images are for arm64, and this machine is amd64"},
		"other schema":        {rehead(func(b *Bundle) { b.Schema = "labctl.dev/bundle/v9" }), `its schema is "labctl.dev/bundle/v9"`},
		"other images":        {rehead(func(b *Bundle) { b.Images[0].Digest = b.Images[1].Digest }), "which is not what the bundle holds"},
		"option as image":     {rehead(func(b *Bundle) { b.NodeImage.Ref = "--privileged" }), "names no image"},
		"escapes":             {rehead(func(b *Bundle) { b.Labctl = "\x1b[2J" }), "is no version"},
		"no node":             {rehead(func(b *Bundle) { b.NodeImage.Ref = "" }), "it holds no node image"},
		"too large":           {rehead(func(b *Bundle) { b.Files[0].Size = maxBundle + 1 }), "bytes in all"},
		"negative":            {rehead(func(b *Bundle) { b.Files[0].Size = -1 }), "size -1"},
		"twice":               {rehead(func(b *Bundle) { b.Files[1] = b.Files[0] }), "listed twice"},
		"climbing":            {climb("images/made/../../../outside"), "no file of a bundle has such a name"},
		"absolute":            {climb(outside), "no file of a bundle has such a name"},
		"architecture climbs": {rehead(func(b *Bundle) { b.Arch = "../x" }), "is none"},
		"record climbs": {func(a []tarEntry) []tarEntry {
			return resum(alter(a, bundleRecords, func([]byte) []byte { return []byte(`{"digest":"sha256:../../../x"}`) }))
		}, "is not in the bundle"},
		"blob left out": {leaveOut(bundleBlobs), "in the bundle"},
		"not a bundle":  {func(a []tarEntry) []tarEntry { return a[1:] }, `no bundle: it begins with "node-image/node.tar"`},
		"empty archive": {func([]tarEntry) []tarEntry { return nil }, "no bundle: truncated"},
		"no JSON":       {func(a []tarEntry) []tarEntry { a[0].body = []byte("{"); return a }, "bundle.json: unexpected end of JSON"},
	}
	good, _ := savedBundle(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := writeEntries(t, tt.change(readEntries(t, good)))
			s := withNode(t, bundleStore(t, " 1", false), "own node")
			before := files(t, s.cache)
			_, err := s.LoadBundle(t.Context(), file)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
				t.Fatalf("error %v, want one of %s with %q", err, file, tt.want)
			}
			if fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "" {
				t.Errorf("kind %d, remedy %q", fault.KindOf(err), fault.RemedyOf(err))
			}
			if after := files(t, s.cache); !equalFiles(before, after) {
				t.Errorf("the cache changed: %d files, before %d", len(after), len(before))
			}
			if _, err := os.Stat(outside); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file was written outside: %v", err)
			}
		})
	}
}

// climb adds an entry whose name leads out of the cache, and lists it.
func climb(name string) func([]tarEntry) []tarEntry {
	return func(all []tarEntry) []tarEntry {
		all = append(all, tarEntry{name, tar.TypeReg, []byte("x")})
		return resum(rehead(func(b *Bundle) { b.Files = append(b.Files, BundledFile{}) })(all))
	}
}

// leaveOut drops the last file of a folder, from the list too.
func leaveOut(folder string) func([]tarEntry) []tarEntry {
	return func(all []tarEntry) []tarEntry {
		for i := len(all) - 1; ; i-- {
			if strings.HasPrefix(all[i].name, folder) {
				all = slices.Delete(all, i, i+1)
				return rehead(func(b *Bundle) { b.Files = slices.Delete(b.Files, i-1, i) })(all)
			}
		}
	}
}

func equalFiles(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, body := range a {
		if other, ok := b[name]; !ok || other != body {
			return false
		}
	}
	return true
}
