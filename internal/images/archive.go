package images

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// WriteArchive writes images as one archive, which is an OCI layout and a docker-archive at
// once: containerd reads the first, so that manifests keep their digests, and engines of any
// age read the second. A layer that several images share is in it once.
func (s *Store) WriteArchive(out io.Writer, images []Image) error {
	w := &archive{tar: tar.NewWriter(out), store: s, seen: map[string]bool{}}
	if err := w.write(images); err != nil {
		return fmt.Errorf("write an archive of images: %w", err)
	}
	return nil
}

type archive struct {
	tar   *tar.Writer
	store *Store
	seen  map[string]bool
}

// dockerEntry is one of manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (a *archive) write(images []Image) error {
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	var docker []dockerEntry
	var blobs []v1.Descriptor
	for _, i := range images {
		img, err := a.store.open(i)
		if err != nil {
			return err
		}
		m, err := img.Manifest()
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
		blobs = append(append(append(blobs, m.Layers...), m.Config), d)
	}
	return errors.Join(
		a.json("oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}),
		a.json("index.json", index),
		a.json("manifest.json", docker),
		a.blobs(blobs),
		a.tar.Close())
}

// describe names a manifest in the index, as containerd and as the specification want it.
func (a *archive) describe(i Image, m *v1.Manifest) (v1.Descriptor, error) {
	hash, err := v1.NewHash(i.Digest)
	if err != nil {
		return v1.Descriptor{}, err
	}
	info, err := os.Stat(a.store.blobPath(i.Digest))
	if err != nil {
		return v1.Descriptor{}, err
	}
	_, tag, _ := strings.Cut(i.Ref, ":")
	return v1.Descriptor{
		MediaType: m.MediaType, Digest: hash, Size: info.Size(),
		Platform: &v1.Platform{OS: "linux", Architecture: a.store.arch},
		Annotations: map[string]string{
			"io.containerd.image.name": i.Name(), "org.opencontainers.image.ref.name": tag,
		},
	}, nil
}

func (a *archive) json(name string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := a.header(name, int64(len(body))); err != nil {
		return err
	}
	_, err = a.tar.Write(body)
	return err
}

func (a *archive) blobs(all []v1.Descriptor) error {
	for _, d := range all {
		if a.seen[d.Digest.String()] {
			continue
		}
		a.seen[d.Digest.String()] = true
		if err := a.blob(d); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) blob(d v1.Descriptor) error {
	f, err := os.Open(a.store.blobPath(d.Digest.String()))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := a.header(blobName(d.Digest), d.Size); err != nil {
		return err
	}
	_, err = io.Copy(a.tar, f)
	return err
}

func (a *archive) header(name string, size int64) error {
	return a.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0),
	})
}

func blobName(h v1.Hash) string { return "blobs/sha256/" + h.Hex }
