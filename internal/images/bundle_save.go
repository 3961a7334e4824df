package images

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"labctl.dev/labctl/internal/fault"
)

// SaveBundle writes the node image and all fixture images, which it assembles where they
// are missing, to the file, whole or not at all. labctl is the version to note in it.
func (s *Store) SaveBundle(ctx context.Context, file, labctl string) (Bundle, error) {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return Bundle{}, fault.Inputf("%s is no file to write a bundle to", file)
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return Bundle{}, fault.Inputf("there is no folder %s to write a bundle to", filepath.Dir(file))
	}
	node, err := s.nodeToBundle()
	if err != nil {
		return Bundle{}, err
	}
	images, err := s.Assemble(ctx)
	if err != nil {
		return Bundle{}, err
	}
	b := Bundle{
		Schema: BundleSchema, Labctl: labctl, Arch: s.arch,
		NodeImage: BundledNode{Ref: node.Ref, ID: node.ID, Kubernetes: node.Kubernetes},
	}
	for _, i := range images {
		b.Images = append(b.Images, BundledImage{Ref: i.Ref, ID: i.ID, Digest: i.Digest})
	}
	contents := &contents{list: []content{{bundleNode, node.Archive}}}
	if err := s.bundleImages(contents); err != nil {
		return Bundle{}, fmt.Errorf("list the fixture images' files: %w", err)
	}
	end := s.progress.Begin("take checksums of the images")
	b.Files, err = contents.sums(ctx)
	end(err)
	if err != nil {
		return Bundle{}, err
	}
	end = s.progress.Begin("write " + file)
	err = contents.save(ctx, file, b)
	end(err)
	return b, err
}

// nodeToBundle returns the node image whose archive is on this machine.
func (s *Store) nodeToBundle() (NodeImage, error) {
	node, ok, err := s.LocalNode()
	if err != nil {
		return node, err
	}
	remedy := "run `make node-image` in labctl's source (Debian, root)"
	if !ok {
		return node, fault.Environmentf("there is no node image to bundle: none was built or loaded here").WithRemedy("%s", remedy)
	}
	if info, err := os.Stat(node.Archive); err != nil || !info.Mode().IsRegular() {
		return node, fault.Environmentf("the archive of the node image %s is gone: %s", node.Ref, node.Archive).WithRemedy("%s", remedy)
	}
	return node, nil
}

// content is one file of a bundle, and where it is.
type content struct{ entry, path string }

type contents struct{ list []content }

func (c *contents) add(entry, path string) {
	for _, known := range c.list {
		if known.entry == entry {
			return
		}
	}
	c.list = append(c.list, content{entry, path})
}

// bundleImages lists the records of the fixture images and of their bases, and their blobs.
// With the bases, a labctl whose own programs differ can still put its images together.
func (s *Store) bundleImages(c *contents) error {
	for _, r := range recipes() {
		j := job{recipe: r}
		if err := s.bundleImage(c, short(r.Ref)); err != nil {
			return err
		}
		if _, kept := s.getRecord(j.baseName()); !kept || r.Packages == nil {
			continue
		}
		if err := s.bundleImage(c, j.baseName()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) bundleImage(c *contents, name string) error {
	r, ok := s.getRecord(name)
	if !ok {
		return fmt.Errorf("%s is not in the store any more", name)
	}
	img, err := s.open(r.Image)
	if err != nil {
		return err
	}
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	file := s.recordPath(name)
	c.add(bundleRecords+filepath.Base(file), file)
	for _, l := range m.Layers {
		c.add(bundledBlob(l.Digest.String()), s.blobPath(l.Digest.String()))
	}
	c.add(bundledBlob(r.ID), s.blobPath(r.ID))
	c.add(bundledBlob(r.Digest), s.blobPath(r.Digest))
	return nil
}

// sums reads everything once: what a bundle holds is said at its beginning.
func (c *contents) sums(ctx context.Context) ([]BundledFile, error) {
	files := make([]BundledFile, len(c.list))
	for i, one := range c.list {
		size, sum, err := copySum(ctx, io.Discard, one.path)
		if err != nil {
			return nil, err
		}
		files[i] = BundledFile{Name: one.entry, Size: size, SHA256: sum}
		if path.Dir(one.entry)+"/" == bundleBlobs && path.Base(one.entry) != sum {
			return nil, fault.Environmentf("%s is damaged: its content is %s", one.path, sum).
				WithRemedy("remove the folder %s: labctl makes it again", filepath.Dir(filepath.Dir(filepath.Dir(one.path))))
		}
	}
	return files, nil
}

// copySum copies a file and returns its size and checksum.
func copySum(ctx context.Context, w io.Writer, file string) (size int64, sum string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(w, hash), until(ctx, f))
	if err != nil {
		return 0, "", fmt.Errorf("copy %s: %w", file, err)
	}
	return size, hex.EncodeToString(hash.Sum(nil)), nil
}

// readerFunc is a Read.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// until reads until the context ends.
func until(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

// save writes the bundle beside the file and then puts it in its place.
func (c *contents) save(ctx context.Context, file string, b Bundle) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".labctl-bundle-*")
	if errors.Is(err, fs.ErrPermission) {
		return fault.Inputf("write the bundle: %w", err)
	}
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	defer os.Remove(f.Name()) // gone already where all went well
	w := bufio.NewWriterSize(f, 1<<20)
	if err = c.write(ctx, w, b); err == nil {
		err = errors.Join(w.Flush(), f.Chmod(0o644), f.Sync()) // it may go onto a stick that is pulled next
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write the bundle %s: %w", file, err)
	}
	return nil
}

func (c *contents) write(ctx context.Context, w io.Writer, b Bundle) error {
	gz, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	out := tar.NewWriter(gz)
	head, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := out.WriteHeader(bundleEntry(bundleHead, int64(len(head)))); err != nil {
		return err
	}
	if _, err := out.Write(head); err != nil {
		return err
	}
	for i, f := range b.Files {
		if err := out.WriteHeader(bundleEntry(f.Name, f.Size)); err != nil {
			return err
		}
		if _, sum, err := copySum(ctx, out, c.list[i].path); err != nil {
			return err
		} else if sum != f.SHA256 {
			return fmt.Errorf("%s changed meanwhile", c.list[i].path)
		}
	}
	return errors.Join(out.Close(), gz.Close())
}

// bundleEntry has no time and no owner: the same images give the same bundle.
func bundleEntry(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)}
}
