package class_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/class"
)

// taped makes a .tar.gz of entries without contents, and one file for each of the names.
func taped(t *testing.T, headers []tar.Header, names ...string) string {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	tape := tar.NewWriter(packed)
	for _, h := range headers {
		if err := tape.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		h := tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: 1, ModTime: noon()}
		if err := tape.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tape.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := tape.Close(); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestTape is about what a .tar.gz may hold that leads elsewhere.
func TestTape(t *testing.T) {
	dir, work := t.TempDir(), t.TempDir()
	write(t, dir, map[string]string{"class.tgz": taped(t, []tar.Header{
		{Name: "etc", Linkname: "/etc", Typeflag: tar.TypeSymlink}, {Name: "hard.zip", Linkname: "/etc/passwd", Typeflag: tar.TypeLink},
		{Name: "device.zip", Typeflag: tar.TypeChar}, {Name: "pipe", Typeflag: tar.TypeFifo}, {Name: "empty/", Typeflag: tar.TypeDir, Mode: 0o755},
	}, "a.zip", "etc/b.zip", "../c.zip", "/d.zip", strings.Repeat("d/", 21)+"e.yaml", "f/"+strings.Repeat("x", 256), "./g.zip")})
	c := found(t, class.Options{Path: filepath.Join(dir, "class.tgz"), Work: work})
	got := described(t, c)
	want := []string{"layout\tfolders", "handed-in\ta\t\ta.zip\t" + at, "missing\tempty", "handed-in\tetc\t\tetc/b.zip\t" + at, "handed-in\tg\t\tg.zip\t" + at,
		"ignored\t../c.zip\tis not a path within the archive", "ignored\t/d.zip\tis not a path within the archive",
		"ignored\t" + strings.Repeat("d/", 21) + "e.yaml\thas too long a name, or lies too deep",
		"ignored\tdevice.zip\tis not an ordinary file", "ignored\tempty\tis an empty folder", "ignored\tetc\tis a link",
		"ignored\tf/" + strings.Repeat("x", 256) + "\thas too long a name, or lies too deep", "ignored\thard.zip\tis a link", "ignored\tpipe\tis not an ordinary file"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if outside, err := filepath.Glob(filepath.Join(work, "*.zip")); err != nil || outside != nil {
		t.Errorf("wrote %v, %v", outside, err)
	}
}

// TestLargeFile sees that one file too large costs nobody else their submission.
func TestLargeFile(t *testing.T) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, size := range map[string]int{"a.zip": 64<<20 + 1, "b.zip": 1} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"class.zip": out.String()})
	c := found(t, class.Options{Path: filepath.Join(dir, "class.zip")})
	if len(c.Students) != 1 || c.Students[0].ID != "b" || len(c.Ignored) != 1 || c.Ignored[0].Reason != "is larger than 67108864 bytes" {
		t.Errorf("got %+v, ignored %+v", c.Students, c.Ignored)
	}
}

// TestManyEntries sees that the number of files is bounded, even of those that do not matter.
func TestManyEntries(t *testing.T) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := range 100_001 {
		if _, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf(".%d", i), Method: zip.Store}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"class.zip": out.String()})
	_, err := class.Find(class.Options{Path: filepath.Join(dir, "class.zip")})
	if err == nil || !strings.Contains(err.Error(), "it holds more than 100000 files and folders") {
		t.Errorf("got %v", err)
	}
}

// TestZipZones sees that a time without a zone is one of the class's zone.
func TestZipZones(t *testing.T) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	plain := &zip.FileHeader{Name: "plain.zip"}
	plain.ModifiedDate, plain.ModifiedTime = 46<<9|11<<5|24, 12<<11 //nolint:staticcheck // noon of 2026-11-24 as MS-DOS wrote it, without a zone
	for _, h := range []*zip.FileHeader{plain, {Name: "zoned.zip", Modified: noon()}} {
		if _, err := z.CreateHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"class.zip": out.String()})
	c, err := class.Find(class.Options{Path: filepath.Join(dir, "class.zip"), Location: zone(t, "Europe/Berlin")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // the test is over
	for _, s := range c.Students {
		want := map[string]time.Time{"plain": noon().Add(-time.Hour), "zoned": noon()}[s.ID]
		if !s.Handed.Submitted.Equal(want) {
			t.Errorf("%s: got %v, want %v", s.ID, s.Handed.Submitted, want)
		}
	}
	if _, err := os.Stat(c.Students[0].Handed.Path); err != nil {
		t.Error(err)
	}
}
