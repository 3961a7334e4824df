package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
)

const sumsName = "SHA256SUMS"

// sums are checksums in hexadecimal, by the files' names.
type sums map[string]string

// text is what sha256sum prints of the files, and what sha256sum -c reads.
func (s sums) text() []byte {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&out, "%s  %s\n", s[name], name)
	}
	return out.Bytes()
}

// parseSums reads text back. Names with a folder in them are refused: no release has any.
func parseSums(text []byte) (sums, error) {
	all := sums{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		sum, name, ok := strings.Cut(line, "  ")
		if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != sha256.Size || name != filepath.Base(name) {
			return nil, fmt.Errorf("%q is no line of %s", line, sumsName)
		}
		all[name] = sum
	}
	return all, nil
}

// folder is where a release goes.
type folder struct {
	dir  string
	sums sums
}

// newFolder opens a folder and removes the release that is in it, so that files of two
// versions are never taken for one release. Other files stay.
func newFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fault.Inputf("make the folder for the release: %w", err).WithRemedy("name another one with --out")
	}
	list := filepath.Join(dir, sumsName)
	text, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return &folder{dir: dir, sums: sums{}}, nil
	}
	if err != nil {
		return nil, err
	}
	earlier, err := parseSums(text)
	if err != nil {
		return nil, fault.Inputf("read %s: %w", list, err).WithRemedy("remove it, or name another folder with --out")
	}
	for name := range earlier {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return &folder{dir: dir, sums: sums{}}, os.Remove(list)
}

// add writes a file of the release.
func (f *folder) add(name string, body []byte) error {
	sum := sha256.Sum256(body)
	f.sums[name] = hex.EncodeToString(sum[:])
	return home.Replace(filepath.Join(f.dir, name), body, 0o644)
}

// finish writes the checksums, which come last: a folder with them is complete.
func (f *folder) finish() error {
	return home.Replace(filepath.Join(f.dir, sumsName), f.sums.text(), 0o644)
}
