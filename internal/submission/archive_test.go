package submission_test

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

	"github.com/rogpeppe/go-internal/txtar"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/submission"
)

const service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"

func writeFolder(t *testing.T, dir string, files []txtar.File) {
	t.Helper()
	for _, f := range files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func writeZip(t *testing.T, name string, files []txtar.File, prefix string) {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		w, err := z.Create(prefix + f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeTar(t *testing.T, name string, files []txtar.File, prefix string, headers ...tar.Header) {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	archive := tar.NewWriter(packed)
	for _, f := range files {
		headers = append(headers, tar.Header{Name: prefix + f.Name, Mode: 0o600, Size: int64(len(f.Data)), Typeflag: tar.TypeReg})
	}
	for i, h := range headers {
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if j := i - (len(headers) - len(files)); j >= 0 {
			if _, err := archive.Write(files[j].Data); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []interface{ Close() error }{archive, packed} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOddEntries puts one odd entry beside a good one. It must be refused by name, and
// in a folder and an archive alike.
func TestOddEntries(t *testing.T) {
	good := []txtar.File{{Name: "a.yaml", Data: []byte(service)}}
	t.Chdir(t.TempDir())
	writeFolder(t, "link", good)
	if err := os.Symlink("/etc/passwd", "link/b.yaml"); err != nil {
		t.Fatal(err)
	}
	writeFolder(t, "folderlink", good)
	if err := os.Symlink("/etc", "folderlink/etc"); err != nil {
		t.Fatal(err)
	}
	writeFolder(t, "deep", append(good, txtar.File{Name: strings.Repeat("d/", 9) + "b.yaml"}))
	writeTar(t, "link.tgz", good, "", tar.Header{Name: "b.yaml", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink})
	writeTar(t, "hard.tgz", good, "", tar.Header{Name: "b.yaml", Linkname: "a.yaml", Typeflag: tar.TypeLink})
	writeTar(t, "device.tgz", good, "", tar.Header{Name: "b.yaml", Typeflag: tar.TypeChar})
	writeTar(t, "up.tar.gz", append(good, txtar.File{Name: "../b.yaml"}), "")
	writeTar(t, "root.tar.gz", append(good, txtar.File{Name: "/tmp/b.yaml"}), "")
	writeZip(t, "up.zip", append(good, txtar.File{Name: "x/../../b.yaml"}), "")
	writeZip(t, "windows.zip", append(good, txtar.File{Name: `C:\b.yaml`}), "")
	writeZip(t, "twice.zip", append(good, good...), "")
	writeZip(t, "case.zip", append(good, txtar.File{Name: "A.YAML"}), "")
	writeZip(t, "accent.zip", append(good, txtar.File{Name: "caf\u00e9.yaml"}, txtar.File{Name: "cafe\u0301.yaml"}), "")
	writeZip(t, "long.zip", append(good, txtar.File{Name: strings.Repeat("x", 301)}), "")
	writeZip(t, "bomb.zip", append(good, txtar.File{Name: "b.txt", Data: make([]byte, 9<<20)}), "")
	writeTar(t, "bomb.tgz", append(good, txtar.File{Name: "b.txt", Data: make([]byte, 9<<20)}), "")
	for name, want := range map[string]string{
		"case.zip":    "A.YAML: is the same as a.yaml on systems that ignore case; rename one",
		"accent.zip":  "cafe\u0301.yaml: is the same as caf\u00e9.yaml on systems that ignore case; rename one",
		"long.zip":    `"` + strings.Repeat("x", 60) + `"…: is a path of more than 300 bytes`,
		"bomb.zip":    `bomb.zip: cannot be read: "b.txt" is packed more than 200 to 1`,
		"bomb.tgz":    "bomb.tgz: cannot be read: it unpacks to more than 8388608 bytes",
		"link":        "b.yaml: is a link; hand in the file itself",
		"folderlink":  "etc: is a link; hand in the file itself",
		"deep":        "d/d/d/d/d/d/d/d/d/b.yaml: lies more than 8 folders deep",
		"link.tgz":    "b.yaml: is a link; hand in the file itself",
		"hard.tgz":    "b.yaml: is a link; hand in the file itself",
		"device.tgz":  "b.yaml: is not an ordinary file",
		"up.tar.gz":   `"../b.yaml": is not a path within the submission`,
		"root.tar.gz": `"/tmp/b.yaml": is not a path within the submission`,
		"up.zip":      `"x/../../b.yaml": is not a path within the submission`,
		"windows.zip": `"C:\\b.yaml": is not a path within the submission`,
		"twice.zip":   "a.yaml: is in the archive twice",
	} {
		refused(t, name, submission.Limits{}, want)
	}
}

func TestLimits(t *testing.T) {
	t.Chdir(t.TempDir())
	files := []txtar.File{
		{Name: "a.yaml", Data: []byte(service)}, {Name: "b.yaml", Data: []byte(strings.ReplaceAll(service, "a}", "b}"))},
		{Name: "large.txt", Data: make([]byte, 1<<20)},
	}
	writeFolder(t, "f", files)
	writeZip(t, "f.zip", files, "")
	writeTar(t, "f.tgz", files, "")
	size := int64(len(service))
	for _, name := range []string{"f", "f.zip", "f.tgz"} {
		enough := submission.Limits{Files: 3, FileSize: size, Size: 2 * size, Objects: 2}
		if s, err := submission.Read(name, enough); err != nil || len(s.Objects) != 2 {
			t.Errorf("%s just within the limits: %v", name, err)
		}
		refused(t, name, submission.Limits{Files: 2}, name+": has more than 2 files")
		refused(t, name, submission.Limits{FileSize: size - 1}, fmt.Sprintf("a.yaml: is larger than %d bytes\nb.yaml: is larger than %d bytes", size-1, size-1))
		refused(t, name, submission.Limits{Size: 2*size - 1}, fmt.Sprintf("%s: has more than %d bytes of manifests", name, 2*size-1))
		refused(t, name, submission.Limits{Objects: 1}, name+": has more than 1 objects")
	}
	refused(t, "f.tgz", submission.Limits{Unpacked: 1 << 20}, "f.tgz: cannot be read: it unpacks to more than 1048576 bytes")
}

func refused(t *testing.T, name string, limits submission.Limits, want string) {
	t.Helper()
	_, err := submission.Read(name, limits)
	if want = "submission " + name + " is refused:\n" + want; fmt.Sprint(err) != want || fault.KindOf(err) != fault.Input {
		t.Errorf("%s:\ngot  %v\nwant %s", name, err, want)
	}
}

// TestExpansion reads what is small and would become large. Each must be refused, soon and in
// little memory.
func TestExpansion(t *testing.T) {
	t.Chdir(t.TempDir())
	overlays := []txtar.File{{Name: "l0/a.yaml", Data: []byte(service)}, {Name: "l0/kustomization.yaml", Data: []byte("resources: [a.yaml]\n")}}
	for level := range 20 {
		for _, side := range []string{"x", "y"} {
			resources := fmt.Sprintf("resources: [../l%d]\nnamePrefix: %s\n", level, side)
			overlays = append(overlays, txtar.File{Name: fmt.Sprintf("l%d%s/kustomization.yaml", level, side), Data: []byte(resources)})
		}
		both := fmt.Sprintf("resources: [../l%[1]dx, ../l%[1]dy]\n", level)
		overlays = append(overlays, txtar.File{Name: fmt.Sprintf("l%d/kustomization.yaml", level+1), Data: []byte(both)})
	}
	overlays = append(overlays, txtar.File{Name: "kustomization.yaml", Data: []byte("resources: [l20]\n")})
	writeZip(t, "overlays.zip", overlays, "")
	writeFolder(t, "documents", []txtar.File{{Name: "a.yaml", Data: bytes.Repeat([]byte("---\n"), 1<<18)}})
	aliases := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		aliases += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 8), c-1)
	}
	writeFolder(t, "aliases", []txtar.File{{Name: "a.yaml", Data: []byte(aliases)}})
	writeFolder(t, "nested", []txtar.File{{Name: "a.yaml", Data: bytes.Repeat([]byte("["), 1<<19)}})
	for name, want := range map[string]string{
		"overlays.zip": "kustomization.yaml: includes the same files again and again, to more than 200 objects",
		"documents":    "a.yaml: has more than 200 documents",
		"aliases":      "a.yaml, document 1: is not YAML: document contains excessive aliasing",
		"nested":       "a.yaml, document 1: is not YAML: exceeded max depth of 10000",
	} {
		refused(t, name, submission.Limits{}, want)
	}
}
