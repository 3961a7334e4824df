//go:build !windows

package doctor

import "golang.org/x/sys/unix"

// freeSpace returns the bytes that are free for users on the file system of path.
func freeSpace(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil //nolint:gosec,unconvert // the types differ between systems
}
