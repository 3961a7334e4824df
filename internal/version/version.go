// Package version tells which labctl this is, from what the Go toolchain stamped into it.
package version

import (
	"runtime"
	"runtime/debug"
)

// Info identifies a build.
type Info struct {
	Version string `json:"version"`          // a tag, or a pseudo-version of the commit
	Commit  string `json:"commit,omitempty"` // full hash; "" where it was built outside a checkout
	Date    string `json:"date,omitempty"`   // of the commit, RFC 3339, UTC
	Dirty   bool   `json:"dirty,omitempty"`  // built from a changed checkout
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// Current returns this binary's.
func Current() Info {
	info := Info{Version: "unknown", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if v := build.Main.Version; v != "" {
		info.Version = v
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.time":
			info.Date = s.Value
		case "vcs.modified":
			info.Dirty = s.Value == "true"
		}
	}
	return info
}
