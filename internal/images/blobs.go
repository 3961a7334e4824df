package images

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"labctl.dev/labctl/internal/home"
)

// blobPath is where a blob is or will be; digest is "sha256:…".
func (s *Store) blobPath(digest string) string {
	return filepath.Join(s.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// putBlob writes what write gives it under its own digest.
func (s *Store) putBlob(write func(io.Writer) error) (digest string, size int64, err error) {
	dir := filepath.Join(s.dir, "blobs", "sha256")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", 0, err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return "", 0, err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	hash := sha256.New()
	err = write(io.MultiWriter(f, hash))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", 0, err
	}
	info, err := os.Stat(f.Name())
	if err != nil {
		return "", 0, err
	}
	digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return digest, info.Size(), os.Rename(f.Name(), s.blobPath(digest))
}

// layer is one whose blob is in the store.
type layer struct {
	path           string
	digest, diffID v1.Hash
	size           int64
	media          types.MediaType
}

// putLayer stores a tree as a layer. Nodes read it in zstd: each of them is sent it through four
// processes, which costs them more than to unpack it. An engine that loads it itself may be too
// old to know zstd.
func (s *Store) putLayer(t tree, forEngine bool) (*layer, error) {
	l := &layer{media: types.OCILayerZStd}
	whole := sha256.New()
	write := func(w io.Writer) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		return errors.Join(t.writeTo(io.MultiWriter(z, whole)), z.Close())
	}
	if forEngine {
		l.media = types.OCIUncompressedLayer
		write = func(w io.Writer) error { return t.writeTo(io.MultiWriter(w, whole)) }
	}
	digest, size, err := s.putBlob(write)
	if err == nil {
		l.digest, err = v1.NewHash(digest)
	}
	if err != nil {
		return nil, fmt.Errorf("write a layer: %w", err)
	}
	l.path, l.size = s.blobPath(digest), size
	l.diffID = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(whole.Sum(nil))}
	return l, nil
}

// Digest, DiffID, Size, MediaType, Compressed and Uncompressed make it a v1.Layer.
func (l *layer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l *layer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *layer) Size() (int64, error)                { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.media, nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return os.Open(l.path) }

// Uncompressed is a tar.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(l.path)
	if err != nil || l.media == types.OCIUncompressedLayer {
		return f, err
	}
	z, err := zstd.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return unpacking{z.IOReadCloser(), f}, nil
}

// unpacking reads a compressed file.
type unpacking struct {
	io.ReadCloser
	file io.Closer
}

func (u unpacking) Close() error { return errors.Join(u.ReadCloser.Close(), u.file.Close()) }

// record is a file made/<name>.json.
type record struct {
	Inputs string `json:"inputs"` // digest of everything it was made from
	Image
}

// putImage stores all blobs of an image and its record.
func (s *Store) putImage(name string, r record, img v1.Image) (Image, error) {
	layers, err := img.Layers()
	if err != nil {
		return Image{}, err
	}
	for _, l := range layers {
		size, err := s.keep(l)
		if err != nil {
			return Image{}, err
		}
		r.Size += size
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return Image{}, err
	}
	if r.ID, _, err = s.putBlob(func(w io.Writer) error { _, err := w.Write(config); return err }); err != nil {
		return Image{}, err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return Image{}, err
	}
	if r.Digest, _, err = s.putBlob(func(w io.Writer) error { _, err := w.Write(manifest); return err }); err != nil {
		return Image{}, err
	}
	return r.Image, s.putRecord(name, r)
}

// keep makes sure that a layer's blob is in the store.
func (s *Store) keep(l v1.Layer) (int64, error) {
	want, err := l.Digest()
	if err != nil {
		return 0, err
	}
	size, err := l.Size()
	if err != nil {
		return 0, err
	}
	if info, err := os.Stat(s.blobPath(want.String())); err == nil && info.Size() == size {
		return size, nil
	}
	got, _, err := s.putBlob(func(w io.Writer) error {
		r, err := l.Compressed()
		if err != nil {
			return err
		}
		_, err = io.Copy(w, r)
		return errors.Join(err, r.Close())
	})
	if err != nil {
		return 0, fmt.Errorf("fetch layer %s: %w", want, err)
	}
	if got != want.String() {
		return 0, fmt.Errorf("layer %s came as %s", want, got)
	}
	return size, nil
}

func (s *Store) recordPath(name string) string {
	return filepath.Join(s.dir, "made", name+"-"+s.arch+".json")
}

func (s *Store) putRecord(name string, r record) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := s.recordPath(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return writeFile(path, append(body, '\n'))
}

// writeFile replaces a file whole or not at all.
func writeFile(path string, body []byte) error {
	return home.Replace(path, body, 0o600)
}

// getRecord returns what was made under the name, if its blobs are all there.
func (s *Store) getRecord(name string) (record, bool) {
	var r record
	body, err := os.ReadFile(s.recordPath(name))
	if err != nil || json.Unmarshal(body, &r) != nil {
		return r, false
	}
	img, err := s.open(r.Image)
	if err != nil {
		return r, false
	}
	manifest, err := img.Manifest()
	if err != nil {
		return r, false
	}
	for _, d := range append(manifest.Layers, manifest.Config) {
		if info, err := os.Stat(s.blobPath(d.Digest.String())); err != nil || info.Size() != d.Size {
			return r, false
		}
	}
	return r, true
}

// stored is the core of a v1.Image whose blobs are in the store.
type stored struct {
	store    *Store
	manifest *v1.Manifest
	raw      []byte
}

// open gives a stored image back.
func (s *Store) open(i Image) (v1.Image, error) {
	raw, err := os.ReadFile(s.blobPath(i.Digest))
	if err != nil {
		return nil, err
	}
	m, err := v1.ParseManifest(strings.NewReader(string(raw)))
	if err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", i.Ref, err)
	}
	return partial.CompressedToImage(&stored{store: s, manifest: m, raw: raw})
}

func (i *stored) MediaType() (types.MediaType, error) { return i.manifest.MediaType, nil }
func (i *stored) RawManifest() ([]byte, error)        { return i.raw, nil }
func (i *stored) RawConfigFile() ([]byte, error) {
	return os.ReadFile(i.store.blobPath(i.manifest.Config.Digest.String()))
}

// LayerByDigest finds one of the image's layers.
func (i *stored) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, d := range i.manifest.Layers {
		if d.Digest == h {
			return &storedLayer{path: i.store.blobPath(h.String()), descriptor: d}, nil
		}
	}
	return nil, fmt.Errorf("no layer %s: %w", h, fs.ErrNotExist)
}

// storedLayer is a layer of an image in the store, compressed or not.
type storedLayer struct {
	path       string
	descriptor v1.Descriptor
}

func (l *storedLayer) Digest() (v1.Hash, error)            { return l.descriptor.Digest, nil }
func (l *storedLayer) Size() (int64, error)                { return l.descriptor.Size, nil }
func (l *storedLayer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }
func (l *storedLayer) Compressed() (io.ReadCloser, error)  { return os.Open(l.path) }
