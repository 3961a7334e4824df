package submission

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
)

// Packed is a submission as an archive.
type Packed struct {
	*Submission
	Files   []string // in the archive, by name
	Archive []byte   // a .tar.gz: the same bytes for the same files
}

// Pack reads the folder as Read does, refusing the same, and makes an archive of what matters
// in it, with the report beside it.
func Pack(dir string, limits Limits, report []byte) (*Packed, error) {
	sub, err := Read(dir, limits)
	if err != nil {
		return nil, err
	}
	files, err := collect(dir, limits)
	if err != nil {
		return nil, err
	}
	files[ReportName] = report
	p := &Packed{Submission: sub}
	for name := range files {
		p.Files = append(p.Files, name)
	}
	slices.Sort(p.Files)
	if p.Archive, err = archive(p.Files, files); err != nil {
		return nil, fmt.Errorf("pack %s: %w", dir, err)
	}
	return p, nil
}

// Archive returns what was read as a .tar.gz, which Unpack reads on another machine: the same
// bytes for the same files, and nothing else that the student handed in.
func (s *Submission) Archive() ([]byte, error) {
	data, err := archive(slices.Sorted(maps.Keys(s.files)), s.files)
	if err != nil {
		return nil, fmt.Errorf("pack the submission of %s: %w", s.Student, err)
	}
	return data, nil
}

// Unpack reads what Archive made, with the same care as Read and to the same digest.
func Unpack(packed []byte, student string, limits Limits) (*Submission, error) {
	r := newReader(student, limits)
	r.student, r.asIs = student, true
	r.gather(tarArchive{bytes.NewReader(packed), io.NopCloser(nil), int64(len(packed)), r.limits.Unpacked})
	return r.finish()
}

// collect reads the files that a grading of the folder would read, but for copies that labctl
// made and archives, which a kustomization would draw in.
func collect(dir string, limits Limits) (map[string][]byte, error) {
	r := newReader(dir, limits)
	s, err := openFolder(dir)
	if err != nil {
		return nil, fault.Inputf("read %s: %w", dir, err)
	}
	defer func() { _ = s.Close() }() // only read from
	names := r.list(s)
	want := IsManifest
	if slices.ContainsFunc(names, func(n string) bool { return isKustomization(n) && path.Dir(n) == "." }) {
		want = func(name string) bool {
			return !strings.Contains(path.Base(name), ".bak-") && ArchiveKind(name) == ""
		}
	}
	r.read(s, "", want)
	if err := r.refusal(); err != nil {
		return nil, err
	}
	return r.tree.files, nil
}

// archive writes the files without anything of this machine or moment.
func archive(names []string, files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	tape := tar.NewWriter(zipped)
	for _, name := range names {
		err := tape.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: int64(fs.FileMode(0o644)), Size: int64(len(files[name])),
			ModTime: time.Unix(0, 0).UTC(), Format: tar.FormatUSTAR,
		})
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(tape, bytes.NewReader(files[name])); err != nil {
			return nil, err
		}
	}
	err := errors.Join(tape.Close(), zipped.Close())
	return out.Bytes(), err
}
