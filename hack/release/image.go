package main

import (
	"bytes"
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
	var out bytes.Buffer
	err = images.WriteArchive(&out, p.arch, at, images.Named{Ref: "labctl/labctl:" + tag(version), Image: img})
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
