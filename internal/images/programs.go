package images

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"labctl.dev/labctl/internal/fault"
)

// programs holds the fixture programs at programs/linux-<arch>/<name>. The folder is filled
// by `make build`; a fresh clone has none and still compiles.
//
//go:embed all:programs
var programs embed.FS

// programsRemedy is for a labctl that has no fixture programs and cannot build them.
const programsRemedy = "take labctl from a release archive, which holds the programs, or build it in a checkout with: make build"

// errNotBuilt says that a program is not there yet, and that Assemble would build it.
var errNotBuilt = errors.New("not built yet")

// ready returns a fixture program that is embedded or was built before. Where it is neither,
// the error is errNotBuilt if program can build it, else a fault with a remedy.
func (s *Store) ready(name string) ([]byte, error) {
	body, err := fs.ReadFile(s.programs, path.Join("programs", "linux-"+s.arch, name))
	switch {
	case err == nil:
		return body, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the embedded program %s: %w", name, err)
	case s.toolchain == nil:
		return nil, fault.Environmentf("this labctl was built without the fixture program %s for linux/%s", name, s.arch).
			WithRemedy("%s", programsRemedy)
	}
	return s.toolchain.built(s.arch, name)
}

// program is ready, and builds what is not built yet.
func (s *Store) program(ctx context.Context, name string) ([]byte, error) {
	body, err := s.ready(name)
	if !errors.Is(err, errNotBuilt) {
		return body, err
	}
	end := s.progress.Begin("build the fixture program " + name)
	body, err = s.toolchain.build(ctx, s.arch, name)
	end(err)
	return body, err
}
