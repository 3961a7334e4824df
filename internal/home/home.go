// Package home says where labctl keeps its files on this machine, and reads and writes files safely.
package home

import (
	"fmt"
	"os"
	"path/filepath"
)

// Cache returns the folder of what can be made again: images, root file systems.
// LABCTL_CACHE overrides the user's cache folder.
func Cache() (string, error) {
	if dir := os.Getenv("LABCTL_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(dir, "labctl"), nil
}

// State returns the folder of what must not be lost: which clusters are labctl's, and
// who serves their load balancers. LABCTL_STATE overrides the user's state folder.
func State() (string, error) {
	if dir := os.Getenv("LABCTL_STATE"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "labctl"), nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home folder: %w", err)
	}
	return filepath.Join(dir, ".local", "state", "labctl"), nil
}
