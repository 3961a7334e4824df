// Package images makes the fixture images and brings them, and the node image, to where
// they run. It needs no registry and no Dockerfile: images are put together from embedded
// programs, and from Debian's packages where the official ones cannot be had.
package images

import (
	"context"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// The fixture images' names.
const (
	Frontend = "labctl/frontend:v1"
	Backend  = "labctl/backend:v1"
	Probe    = "labctl/probe:v1"
	Database = "labctl/db:v1"
	HAProxy  = "labctl/haproxy:v1"
)

// Refs returns the names of all fixture images.
func Refs() []string {
	return []string{Frontend, Backend, Probe, Database, HAProxy}
}

// Image is one that is ready in the store.
type Image struct {
	Ref    string `json:"ref"`
	ID     string `json:"id"`     // digest of its configuration, "sha256:…": the engine's image id
	Digest string `json:"digest"` // digest of its manifest, "sha256:…"
	Source string `json:"source"` // what it was made from, for people
	Size   int64  `json:"size"`   // bytes of its layers
}

// Matches tells whether a container status's imageID means this image. Runtimes give the
// configuration's digest, or a name with the manifest's digest.
func (i Image) Matches(imageID string) bool {
	at := strings.LastIndex(imageID, "sha256:")
	if at < 0 {
		return false
	}
	digest := imageID[at:]
	return digest == i.ID || digest == i.Digest
}

// Name is the image's full name, as container runtimes keep it.
func (i Image) Name() string { return "docker.io/" + i.Ref }

// Progress shows steps, which may overlap, to whoever is waiting.
type Progress interface {
	Begin(step string) (end func(err error))
}

// Engine is what this package needs of a container engine.
type Engine interface {
	HasImage(ctx context.Context, ref string) (id string, ok bool, err error)
	LoadImages(ctx context.Context, archive io.Reader) error
}

// Store keeps images as content-addressed files below one folder:
//
//	blobs/sha256/<hex>   layers, configurations, manifests
//	made/<name>.json     what was made, from which inputs
//
// Any number of processes may use it at the same time.
type Store struct {
	cache     string // labctl's cache folder
	dir       string // this store's in it
	arch      string
	progress  Progress
	programs  fs.FS
	toolchain *toolchain // for programs that are not embedded; nil where there is none
	sources   sources
}

// NewStore returns the store in the folder images of the cache folder. The images are for
// this machine's architecture.
func NewStore(cacheDir string, p Progress) *Store {
	build, _ := debug.ReadBuildInfo()
	return &Store{
		cache: cacheDir, dir: filepath.Join(cacheDir, "images"), arch: runtime.GOARCH,
		progress: p, programs: programs, toolchain: newToolchain(cacheDir, build, exec.LookPath),
		sources: &upstream{arch: runtime.GOARCH},
	}
}
