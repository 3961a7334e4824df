// Package labs holds the labs that labctl comes with: one folder a lab. To add a lab is
// to add a folder here, see docs/adding-a-lab.md; nothing else has to change.
package labs

import "embed"

// The pattern takes every folder whose name begins with a number. "all:" keeps files
// whose names begin with a dot or an underscore, which embed would drop silently.
//
//go:embed all:[0-9]*
var files embed.FS

// Files returns the folders of the labs.
func Files() embed.FS { return files }
