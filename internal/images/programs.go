package images

import (
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

// program returns one of the embedded programs.
func program(from fs.FS, arch, name string) ([]byte, error) {
	file := path.Join("programs", "linux-"+arch, name)
	body, err := fs.ReadFile(from, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Environmentf("this labctl was built without the fixture program %s for linux/%s", name, arch).
			WithRemedy("build labctl with: make build")
	}
	if err != nil {
		return nil, fmt.Errorf("read the embedded program %s: %w", name, err)
	}
	return body, nil
}
