package gradescope

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/internal/submission"
)

func firstLine(data []byte) string {
	first, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(first)
}

// maxLook is how many entries are looked at to find a lone archive.
const maxLook = 100

// Handed returns the path of what a student handed in, for submission.Read. Gradescope unpacks a
// .zip and leaves a .tar.gz, such as labctl submit makes, as it is: alone, that is the submission.
func (r Root) Handed() (string, error) {
	dir := r.Submission()
	f, err := os.Open(dir)
	if err != nil {
		return "", fmt.Errorf("find the submission: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	entries, err := f.ReadDir(maxLook)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("find the submission: %w", err)
	}
	var lone []fs.DirEntry
	for _, e := range entries {
		if !submission.Hidden(e.Name()) {
			lone = append(lone, e)
		}
	}
	if len(lone) == 1 && lone[0].Type().IsRegular() && submission.ArchiveKind(lone[0].Name()) != "" {
		return filepath.Join(dir, lone[0].Name()), nil
	}
	return dir, nil
}
