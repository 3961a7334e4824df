package submission

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// folder is a source of files in a folder.
type folder struct{ fs.FS }

// rootFolder is a folder of the machine. The operating system itself sees to it that no
// link leads out of it.
type rootFolder struct {
	folder
	*os.Root
}

func (r rootFolder) Close() error { return r.Root.Close() }

func openFolder(name string) (source, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return rootFolder{folder{root.FS()}, root}, nil
}

func (folder) Close() error { return nil }

func (f folder) walk(visit func(entry) error) error {
	return fs.WalkDir(f.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && Hidden(name) {
				return fs.SkipDir
			}
			return nil
		}
		return visit(entry{
			name: name, mode: d.Type(),
			open: func() (io.ReadCloser, error) { return f.Open(name) },
		})
	})
}

// No text is packed better than maxRatio to 1; what claims to be is made to fill the machine.
// Small files may be anything.
const (
	maxRatio  = 200
	ratioFrom = 8 << 20
)

// zipArchive is a source of files in a .zip.
type zipArchive struct{ *zip.ReadCloser }

func openZip(name string) (source, error) {
	z, err := zip.OpenReader(name)
	if err != nil {
		return nil, err
	}
	return zipArchive{z}, nil
}

func (z zipArchive) walk(visit func(entry) error) error {
	for _, f := range z.File {
		if f.Mode().IsDir() {
			continue
		}
		if f.UncompressedSize64 > ratioFrom && f.UncompressedSize64/maxRatio > f.CompressedSize64 {
			return fmt.Errorf("%.200q is packed more than %d to 1", f.Name, maxRatio)
		}
		if err := visit(entry{name: f.Name, mode: f.Mode().Type(), open: f.Open}); err != nil {
			return err
		}
	}
	return nil
}

// tarArchive is a source of files in a .tar.gz. It is unpacked anew in each walk, and at
// most so far.
type tarArchive struct {
	io.ReadSeeker
	io.Closer
	size int64 // of the archive
	most int64
}

func openTar(name string, most int64) (source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return tarArchive{f, f, info.Size(), most}, nil
}

func (t tarArchive) walk(visit func(entry) error) error {
	if _, err := t.Seek(0, io.SeekStart); err != nil {
		return err
	}
	unzipped, err := gzip.NewReader(t.ReadSeeker)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	most := min(t.most, max(t.size*maxRatio, ratioFrom))
	bounded := &io.LimitedReader{R: unzipped, N: most}
	for archive := tar.NewReader(bounded); ; {
		h, err := archive.Next()
		if err != nil && bounded.N <= 0 {
			return fmt.Errorf("it unpacks to more than %d bytes", most)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader || strings.HasSuffix(h.Name, "/") {
			continue
		}
		mode := h.FileInfo().Mode().Type()
		if h.Typeflag == tar.TypeLink { // looks like an ordinary file to FileInfo
			mode = fs.ModeSymlink
		}
		err = visit(entry{name: h.Name, mode: mode, open: func() (io.ReadCloser, error) { return io.NopCloser(archive), nil }})
		if err != nil {
			return err
		}
	}
}
