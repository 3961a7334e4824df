package student

import (
	"os"
	"path/filepath"

	"labctl.dev/labctl/internal/home"
)

// writeFile replaces a file of labctl's own, which nobody else has to read.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return home.Replace(path, data, 0o600)
}
