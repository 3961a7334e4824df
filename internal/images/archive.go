package images

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Named is an image, and what it is called.
type Named struct {
	Ref   string // as in "labctl/db:v1"
	Image v1.Image
}

// WriteArchive writes images as one archive, which is an OCI layout and a docker-archive at
// once: containerd reads the first, so that manifests keep their digests, and engines of any
// age read the second. A layer that several images share is in it once. All are for linux and
// the architecture; the archive's files are of the time.
func WriteArchive(out io.Writer, arch string, at time.Time, images ...Named) error {
	w := &archive{tar: tar.NewWriter(out), arch: arch, at: at, seen: map[v1.Hash]bool{}}
	if err := w.write(images); err != nil {
		return fmt.Errorf("write an archive of images: %w", err)
	}
	return nil
}

// WriteArchive writes images of the store as one archive.
func (s *Store) WriteArchive(out io.Writer, images []Image) error {
	named := make([]Named, len(images))
	for i, image := range images {
		open, err := s.open(image)
		if err != nil {
			return fmt.Errorf("write an archive of images: %w", err)
		}
		named[i] = Named{image.Ref, open}
	}
	return WriteArchive(out, s.arch, time.Unix(0, 0), named...)
}

type archive struct {
	tar  *tar.Writer
	arch string
	at   time.Time
	seen map[v1.Hash]bool
}

// dockerEntry is one of manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (a *archive) write(images []Named) error {
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	var docker []dockerEntry
	for _, i := range images {
		m, err := i.Image.Manifest()
		if err != nil {
			return err
		}
		d, err := a.describe(i, m)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, d)
		entry := dockerEntry{Config: blobName(m.Config.Digest), RepoTags: []string{i.Ref}}
		for _, l := range m.Layers {
			entry.Layers = append(entry.Layers, blobName(l.Digest))
		}
		docker = append(docker, entry)
	}
	err := errors.Join(
		a.json("oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}),
		a.json("index.json", index),
		a.json("manifest.json", docker))
	for _, i := range images {
		if err == nil {
			err = a.blobs(i.Image)
		}
	}
	return errors.Join(err, a.tar.Close())
}

// describe names a manifest in the index, as containerd and as the specification want it.
func (a *archive) describe(i Named, m *v1.Manifest) (v1.Descriptor, error) {
	digest, err := i.Image.Digest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	raw, err := i.Image.RawManifest()
	_, tag, _ := strings.Cut(i.Ref, ":")
	return v1.Descriptor{
		MediaType: m.MediaType, Digest: digest, Size: int64(len(raw)),
		Platform: &v1.Platform{OS: "linux", Architecture: a.arch},
		Annotations: map[string]string{
			"io.containerd.image.name": Image{Ref: i.Ref}.Name(), "org.opencontainers.image.ref.name": tag,
		},
	}, err
}

func (a *archive) json(name string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.file(name, body)
}

// blobs writes what the image consists of.
func (a *archive) blobs(i v1.Image) error {
	layers, err := i.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := a.layer(l); err != nil {
			return err
		}
	}
	m, err := i.Manifest()
	if err != nil {
		return err
	}
	config, errConfig := i.RawConfigFile()
	manifest, errManifest := i.RawManifest()
	digest, errDigest := i.Digest()
	if err := errors.Join(errConfig, errManifest, errDigest); err != nil {
		return err
	}
	return errors.Join(a.blob(m.Config.Digest, config), a.blob(digest, manifest))
}

func (a *archive) layer(l v1.Layer) error {
	digest, err := l.Digest()
	if err != nil || a.seen[digest] {
		return err
	}
	a.seen[digest] = true
	size, err := l.Size()
	if err != nil {
		return err
	}
	r, err := l.Compressed()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read from
	if err := a.header(blobName(digest), size); err != nil {
		return err
	}
	_, err = io.Copy(a.tar, r)
	return err
}

func (a *archive) blob(digest v1.Hash, body []byte) error {
	if a.seen[digest] {
		return nil
	}
	a.seen[digest] = true
	return a.file(blobName(digest), body)
}

func (a *archive) file(name string, body []byte) error {
	if err := a.header(name, int64(len(body))); err != nil {
		return err
	}
	_, err := a.tar.Write(body)
	return err
}

func (a *archive) header(name string, size int64) error {
	return a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: a.at})
}

func blobName(h v1.Hash) string { return "blobs/sha256/" + h.Hex }
