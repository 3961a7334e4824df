package check

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settled is how long a file must be left alone: editors write in several steps.
const settled = 100 * time.Millisecond

// watchFolder tells of manifests and answers that are written in the folder, by their names
// within it. Without a folder there is nothing to tell. It ends with ctx.
func watchFolder(ctx context.Context, dir string) (<-chan string, error) {
	names := make(chan string, 16)
	if _, err := os.Stat(dir); dir == "" || err != nil {
		close(names)
		return names, nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch the working folder: %w", err)
	}
	if err := w.Add(dir); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("watch the working folder %s: %w", dir, err)
	}
	go follow(ctx, w, dir, names)
	return names, nil
}

// follow gathers what is written until it comes to rest.
func follow(ctx context.Context, w *fsnotify.Watcher, dir string, names chan<- string) {
	defer close(names)
	defer func() { _ = w.Close() }()
	rest := time.NewTimer(settled)
	defer rest.Stop()
	written := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			if name, err := filepath.Rel(dir, e.Name); err == nil && manifest(name) && !e.Has(fsnotify.Chmod) {
				written[name] = true
				rest.Reset(settled)
			}
		case <-w.Errors: //nolint:errcheck // a lost event costs a reminder, no verdict
		case <-rest.C:
			for name := range written {
				select {
				case names <- name:
				case <-ctx.Done():
					return
				}
			}
			clear(written)
		}
	}
}

func manifest(name string) bool {
	if filepath.Base(name)[0] == '.' { // an editor's own
		return false
	}
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}
