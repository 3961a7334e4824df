package images

import (
	"archive/tar"
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/internal/fault"
)

// unpackPrefix begins the names of the folders that bundles are unpacked to, in the cache
// folder: what is in place later must be on the same file system.
const unpackPrefix = ".bundle-"

// InspectBundle reads a bundle from its first byte to its last, and returns what it holds
// if all of it is as it was saved. It is a fault of kind Input otherwise.
func InspectBundle(ctx context.Context, file string) (Bundle, error) {
	r, err := openBundle(ctx, file)
	if err != nil {
		return Bundle{}, err
	}
	defer r.Close()
	err = r.files(func(BundledFile) (io.WriteCloser, error) { return discard{io.Discard}, nil })
	return r.head, err
}

type discard struct{ io.Writer }

func (discard) Close() error { return nil }

// LoadBundle brings the images of a bundle into the store. Nothing in the store changes
// before all of the bundle has been read and found as it was saved.
func (s *Store) LoadBundle(ctx context.Context, file string) (Bundle, error) {
	r, err := openBundle(ctx, file)
	if err != nil {
		return Bundle{}, err
	}
	defer r.Close()
	if r.head.Arch != s.arch {
		return Bundle{}, fault.Inputf("bundle %s: %s: its images are for %s, and this machine is %s", file, bundleHead, r.head.Arch, s.arch).
			WithRemedy("save one on a machine with %s: labctl bundle save FILE", s.arch)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Bundle{}, err
	}
	defer unlock()
	dir, err := s.unpackFolder()
	if err != nil {
		return Bundle{}, fmt.Errorf("unpack the bundle %s: %w", file, err)
	}
	defer os.RemoveAll(dir)

	end := s.progress.Begin("unpack and check " + file)
	err = s.unpack(r, dir)
	end(err)
	if err != nil {
		return Bundle{}, err
	}
	if err := s.adopt(dir, r.head); err != nil {
		return Bundle{}, fmt.Errorf("put the images of %s in place: %w", file, err)
	}
	return r.head, nil
}

// unpackFolder makes a new folder and removes what killed processes left; the lock is held.
func (s *Store) unpackFolder() (string, error) {
	left, err := filepath.Glob(filepath.Join(s.cache, unpackPrefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(s.cache, unpackPrefix+"*")
}

// unpack writes the bundle's files to the folder and checks them and what they say.
func (s *Store) unpack(r *bundleReader, dir string) error {
	err := r.files(func(f BundledFile) (io.WriteCloser, error) {
		to := bundlePath(dir, f)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return nil, err
		}
		return os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	})
	if err != nil {
		return err
	}
	unpacked := &Store{cache: dir, dir: filepath.Join(dir, "images"), arch: s.arch}
	if err := unpacked.complete(r.head); err != nil {
		return r.refuse("%w", err)
	}
	return nil
}

// adopt moves checked files into place: what others refer to before what refers to it, so
// that being stopped on the way leaves a store that works.
func (s *Store) adopt(dir string, b Bundle) error {
	keep := s.preferred(dir, b)
	var node BundledFile
	for _, records := range []bool{false, true} {
		for _, f := range b.Files {
			if f.Name == bundleNode {
				node = f
			}
			if strings.HasPrefix(f.Name, bundleRecords) != records || keep[f.Name] {
				continue
			}
			to := bundlePath(s.cache, f)
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			if err := os.Rename(bundlePath(dir, f), to); err != nil {
				return err
			}
		}
	}
	return s.adoptNode(b, node)
}

// adoptNode makes the bundle's node image this machine's, and removes what earlier bundles
// brought: each is hundreds of megabytes.
func (s *Store) adoptNode(b Bundle, f BundledFile) error {
	file := loadedNode(f)
	inNode, err := filepath.Rel("node-image", file)
	if err != nil {
		return err
	}
	record, err := NodeImage{Ref: b.NodeImage.Ref, Archive: inNode, ID: b.NodeImage.ID, Kubernetes: b.NodeImage.Kubernetes}.encode()
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(s.cache, "node-image", "latest.json"), record); err != nil {
		return err
	}
	earlier, err := filepath.Glob(filepath.Join(s.cache, filepath.Dir(file), "*.tar"))
	if err != nil {
		return err
	}
	for _, e := range earlier {
		if e != filepath.Join(s.cache, file) {
			err = errors.Join(err, os.Remove(e))
		}
	}
	return err
}

// preferred returns the bundle's records that stay out: this labctl would find no use for
// them, and has what it needs under the same name.
func (s *Store) preferred(dir string, b Bundle) map[string]bool {
	unpacked := &Store{cache: dir, dir: filepath.Join(dir, "images"), arch: s.arch}
	keep := map[string]bool{}
	wanted := s.wanted()
	for _, name := range b.records() {
		offered, _ := unpacked.getRecord(name)
		own, ok := s.getRecord(name)
		if ok && own.Inputs == wanted[name] && offered.Inputs != wanted[name] {
			keep[bundleRecords+filepath.Base(s.recordPath(name))] = true
		}
	}
	return keep
}

// bundleReader reads a bundle once, from its beginning. What is wrong with the file is a
// fault of kind Input that names it, the entry and the defect.
type bundleReader struct {
	file *os.File
	path string
	gz   *gzip.Reader
	tar  *tar.Reader
	head Bundle
}

// openBundle reads bundle.json.
func openBundle(ctx context.Context, file string) (*bundleReader, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fault.Inputf("read the bundle: %w", err)
	}
	r := &bundleReader{file: f, path: file}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// Close closes the file.
func (r *bundleReader) Close() error { return r.file.Close() }

func (r *bundleReader) open(ctx context.Context) error {
	info, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("read the bundle: %w", err)
	}
	if !info.Mode().IsRegular() {
		return r.refuse("it is no file")
	}
	if r.gz, err = gzip.NewReader(bufio.NewReaderSize(until(ctx, r.file), 1<<20)); err != nil {
		return r.broken("no bundle", err)
	}
	r.tar = tar.NewReader(r.gz)
	h, err := r.tar.Next()
	if err != nil {
		return r.broken("no bundle", err)
	}
	if h.Name != bundleHead || h.Typeflag != tar.TypeReg || h.Size > maxBundleHead {
		return r.refuse("no bundle: it begins with %q, not with %s", h.Name, bundleHead)
	}
	body, err := io.ReadAll(r.tar)
	if err != nil {
		return r.broken(bundleHead, err)
	}
	if err := json.Unmarshal(body, &r.head); err != nil {
		return r.refuse("%s: %w", bundleHead, err)
	}
	if err := r.head.check(); err != nil {
		return r.refuse("%s: %w", bundleHead, err)
	}
	return nil
}

// files reads all files, each to what open returns for it, and refuses what is not exactly
// as bundle.json says.
func (r *bundleReader) files(open func(BundledFile) (io.WriteCloser, error)) error {
	for _, f := range r.head.Files {
		h, err := r.tar.Next()
		if errors.Is(err, io.EOF) {
			return r.refuse("%s: missing", f.Name)
		}
		if err != nil {
			return r.broken(f.Name, err)
		}
		if h.Name != f.Name || h.Typeflag != tar.TypeReg {
			return r.refuse("%s: in its place is %q", f.Name, h.Name)
		}
		if h.Size != f.Size {
			return r.refuse("%s: altered: %d bytes, and %d were saved", f.Name, h.Size, f.Size)
		}
		if err := r.one(f, open); err != nil {
			return err
		}
	}
	if h, err := r.tar.Next(); err == nil {
		return r.refuse("%q: not listed in %s", h.Name, bundleHead)
	} else if !errors.Is(err, io.EOF) {
		return r.broken("after the last entry", err)
	}
	// The checksum of the whole follows what tar reads.
	var more [1]byte
	if _, err := io.ReadFull(r.gz, more[:]); err == nil {
		return r.refuse("altered: more follows after the last entry")
	} else if !errors.Is(err, io.EOF) {
		return r.broken("after the last entry", err)
	}
	return nil
}

// one reads the file that the archive is at.
func (r *bundleReader) one(f BundledFile, open func(BundledFile) (io.WriteCloser, error)) error {
	w, err := open(f)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", f.Name, err)
	}
	var unreadable error
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(w, hash), readerFunc(func(p []byte) (int, error) {
		n, err := r.tar.Read(p)
		if err != nil && !errors.Is(err, io.EOF) {
			unreadable = err
		}
		return n, err
	}))
	err = errors.Join(err, w.Close())
	if unreadable != nil {
		return r.broken(f.Name, unreadable)
	}
	if err != nil {
		return fmt.Errorf("unpack %s: %w", f.Name, err)
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != f.SHA256 {
		return r.refuse("%s: altered: its sha256 is %s, and %s was saved", f.Name, sum, f.SHA256)
	}
	return nil
}

// broken says where reading failed and why. Errors that are not the file's stay as they are.
func (r *bundleReader) broken(entry string, err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return r.refuse("%s: truncated: the file ends here", entry)
	case errors.As(err, &corrupt), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, tar.ErrHeader),
		errors.Is(err, tar.ErrFieldTooLong), errors.Is(err, tar.ErrInsecurePath):
		return r.refuse("%s: altered or not compressed by labctl: %w", entry, err)
	}
	return fmt.Errorf("read the bundle %s: %s: %w", r.path, entry, err)
}

func (r *bundleReader) refuse(format string, args ...any) error {
	return fault.Inputf("bundle %s: %w", r.path, fmt.Errorf(format, args...)).
		WithRemedy("copy the file again, or save it again: labctl bundle save FILE")
}
