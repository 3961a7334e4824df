package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/fault"
)

func commitTime() time.Time { return time.Date(2026, 11, 25, 22, 19, 2, 0, time.UTC) }

// small is a tree like an archive's; elsewhere is a time zone that must make no difference.
func small() tree {
	return tree{
		"labctl":                      {mode: 0o755, body: []byte("program")},
		"LICENSE":                     {mode: 0o644, body: []byte("text")},
		"share/man/man1/labctl.1":     {mode: 0o644, body: []byte("page")},
		"share/man/man1/labctl-up.1":  {mode: 0o644, body: []byte("page")},
		"share/zsh/site-functions/_l": {mode: 0o644, body: []byte("x")},
	}
}

func TestArchivesAreReproducible(t *testing.T) {
	elsewhere := commitTime().In(time.FixedZone("elsewhere", 5*60*60))
	for name, write := range map[string]func(tree, time.Time) ([]byte, error){"tar.gz": tree.tarGz, "zip": tree.zip} {
		first, err := write(small(), commitTime())
		if err != nil {
			t.Fatal(err)
		}
		if again, err := write(small(), elsewhere); err != nil || !bytes.Equal(again, first) {
			t.Errorf("%s: the same tree gave different bytes, %v", name, err)
		}
		other := small()
		other["labctl"] = entry{mode: 0o755, body: []byte("Program")}
		if changed, err := write(other, commitTime()); err != nil || bytes.Equal(changed, first) {
			t.Errorf("%s: another tree gave the same bytes, %v", name, err)
		}
		if later, err := write(small(), commitTime().Add(time.Hour)); err != nil || bytes.Equal(later, first) {
			t.Errorf("%s: another time gave the same bytes, %v", name, err)
		}
	}
}

func TestTarContent(t *testing.T) {
	body, err := small().tarGz(commitTime())
	if err != nil {
		t.Fatal(err)
	}
	gz, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(commitTime()) {
			t.Errorf("%s: %+v", h.Name, h)
		}
		if h.Name == "labctl" && h.Mode != 0o755 || h.Name == "LICENSE" && h.Mode != 0o644 {
			t.Errorf("%s has the mode %o", h.Name, h.Mode)
		}
	}
	want := []string{
		"LICENSE", "labctl", "share/", "share/man/", "share/man/man1/", "share/man/man1/labctl-up.1",
		"share/man/man1/labctl.1", "share/zsh/", "share/zsh/site-functions/", "share/zsh/site-functions/_l",
	}
	if !slices.Equal(names, want) {
		t.Errorf("entries %q, want %q", names, want)
	}
}

func TestZipContent(t *testing.T) {
	body, err := small().zip(commitTime())
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		e, ok := small()[f.Name]
		if !ok || !f.Modified.Equal(commitTime()) || int64(f.Mode().Perm()) != e.mode || f.UncompressedSize64 != uint64(len(e.body)) {
			t.Errorf("%+v", f.FileHeader)
		}
	}
	if len(r.File) != len(small()) {
		t.Errorf("%d files", len(r.File))
	}
}

func TestSums(t *testing.T) {
	dir := t.TempDir()
	made, err := newFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(made.add("b.zip", []byte("hello")), made.add("a.tar.gz", nil), made.finish()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, sumsName))
	const want = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.tar.gz\n" +
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  b.zip\n"
	if err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
	if parsed, err := parseSums(text); err != nil || !maps.Equal(parsed, made.sums) {
		t.Errorf("parsed %v, %v", parsed, err)
	}
	if tool, err := exec.LookPath("sha256sum"); err == nil {
		cmd := exec.Command(tool, "-c", sumsName)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("sha256sum -c: %v: %s", err, out)
		}
	}
	for _, bad := range []string{"x", "00  a\n", strings.Repeat("0", 64) + " a\n", strings.Repeat("0", 64) + "  ../a\n", strings.Repeat("0", 64) + "  \n"} {
		if _, err := parseSums([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestNewFolderRemovesTheEarlierReleaseOnly(t *testing.T) {
	dir := t.TempDir()
	made, err := newFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	foreign := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600)
	if err := errors.Join(foreign, made.add("labctl_v1.zip", nil), made.finish()); err != nil {
		t.Fatal(err)
	}
	if _, err := newFolder(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("left %v, %v", left, err)
	}
}

// repository is a checkout with one commit.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("SOURCE_DATE_EPOCH", "")
	t.Setenv("GIT_COMMITTER_DATE", "2026-11-25T22:19:02Z")
	for _, args := range [][]string{
		{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first"},
	} {
		if _, err := git(t.Context(), dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenCheckout(t *testing.T) {
	dir := repository(t)
	c, err := openCheckout(t.Context(), false)
	if err != nil || !c.time.Equal(commitTime()) || filepath.Base(c.root) != filepath.Base(dir) {
		t.Errorf("a clean one: %+v, %v", c, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	if c, err := openCheckout(t.Context(), false); err != nil || c.time.Unix() != 1000000000 {
		t.Errorf("SOURCE_DATE_EPOCH: %+v, %v", c, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	if _, err := openCheckout(t.Context(), false); err == nil || !strings.Contains(fault.RemedyOf(err), "SOURCE_DATE_EPOCH") {
		t.Errorf("a time before zip archives: %v", err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "")
	if err := os.WriteFile(filepath.Join(dir, "new.go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openCheckout(t.Context(), false); err == nil || !strings.Contains(err.Error(), "new.go") ||
		fault.KindOf(err) != fault.Input || !strings.Contains(fault.RemedyOf(err), "--dirty") {
		t.Errorf("a changed one: %v, remedy %q", err, fault.RemedyOf(err))
	}
	if _, err := openCheckout(t.Context(), true); err != nil {
		t.Errorf("a changed one that is allowed: %v", err)
	}
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	t.Chdir(t.TempDir())
	if _, err := openCheckout(t.Context(), true); err == nil || fault.RemedyOf(err) == "" {
		t.Errorf("no checkout: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--only linux/riscv64": "hint: --only takes one of linux/amd64, linux/arm64, darwin/amd64",
		"now":                  "error: there are no arguments",
		"--outt x":             "flag provided but not defined",
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &stderr); code != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit code %d: %s", args, code, &stderr)
		}
	}
	if only, err := choose("darwin/arm64"); err != nil || len(only) != 1 || only[0] != (platform{"darwin", "arm64"}) {
		t.Errorf("%v, %v", only, err)
	}
	if all, err := choose(""); err != nil || len(all) != 6 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestSameVersion(t *testing.T) {
	b := &builder{}
	if err := errors.Join(b.sameVersion("v1.0.0"), b.sameVersion("v1.0.0")); err != nil {
		t.Error(err)
	}
	if err := b.sameVersion("v1.0.0+dirty"); err == nil || !strings.Contains(fault.RemedyOf(err), "--out") {
		t.Errorf("a checkout that changed: %v", err)
	}
	if err := (&builder{}).sameVersion("(devel)"); err == nil {
		t.Error("a binary without a version")
	}
}
