package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"labctl.dev/labctl/internal/images"
)

const (
	inImage   = "usr/local/bin/labctl"
	imageDocs = "usr/local/share/doc/labctl/"
)

// imageOf chooses what of an archive goes into an image: labctl, and the terms.
func imageOf(archive tree) tree {
	return tree{
		inImage: archive["labctl"], "tmp": {mode: 0o1777},
		imageDocs + "LICENSE": archive["LICENSE"], imageDocs + licensesName: archive[licensesName],
	}
}

// image is an archive of a container image, as an OCI layout which is a docker-archive, too:
// engines with an older image store read only that.
//
// The image holds nothing that runs but labctl, so it is something to copy from. To run, labctl
// needs the command line of an engine beside it, and access to that engine's socket; that is
// also why no user is set: the socket is root's, or of a group whose number only the host knows.
func image(contents tree, p platform, version string, at time.Time) ([]byte, error) {
	img, err := newImage(contents, p, version, at)
	if err != nil {
		return nil, err
	}
	files, err := layoutOf(img, images.Image{Ref: "labctl/labctl:" + tag(version)}, p)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = files.tar(&out, at)
	return out.Bytes(), err
}

// tag is a version as a tag of an image, which has no plus sign.
func tag(version string) string { return strings.ReplaceAll(version, "+", "-") }

func newImage(contents tree, p platform, version string, at time.Time) (v1.Image, error) {
	var files bytes.Buffer
	if err := contents.tar(&files, at); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: at}
	if img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: created, CreatedBy: "labctl"}}); err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.os, p.arch, created
	config.Config = v1.Config{
		Entrypoint: []string{"/" + inImage}, WorkingDir: "/",
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"},
		Labels: map[string]string{
			"org.opencontainers.image.title": "labctl", "org.opencontainers.image.version": version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(img, config)
}

// layoutOf are the files of an image's archive.
func layoutOf(img v1.Image, named images.Image, p platform) (tree, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	raw, errManifest := img.RawManifest()
	config, errConfig := img.RawConfigFile()
	digest, errDigest := img.Digest()
	layers, errLayers := img.Layers()
	if err := errors.Join(errManifest, errConfig, errDigest, errLayers); err != nil {
		return nil, err
	}
	files := tree{blob(digest): {mode: 0o644, body: raw}, blob(manifest.Config.Digest): {mode: 0o644, body: config}}
	var names []string
	for i, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		names = append(names, blob(manifest.Layers[i].Digest))
		files[names[i]] = entry{mode: 0o644, body: body}
	}
	_, version, _ := strings.Cut(named.Ref, ":")
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{{
		MediaType: manifest.MediaType, Digest: digest, Size: int64(len(raw)),
		Platform: &v1.Platform{OS: p.os, Architecture: p.arch},
		Annotations: map[string]string{
			"io.containerd.image.name": named.Name(), "org.opencontainers.image.ref.name": version,
		},
	}}}
	docker := []map[string]any{{"Config": blob(manifest.Config.Digest), "RepoTags": []string{named.Ref}, "Layers": names}}
	for name, content := range map[string]any{
		"oci-layout": map[string]string{"imageLayoutVersion": "1.0.0"}, "index.json": index, "manifest.json": docker,
	} {
		body, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		files[name] = entry{mode: 0o644, body: body}
	}
	return files, nil
}

func blob(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
