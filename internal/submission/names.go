package submission

import (
	"path"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// ArchiveKind returns the suffix, in small letters, that says what archive a file is, or "".
func ArchiveKind(name string) string {
	for _, suffix := range []string{".zip", ".tar.gz", ".tgz"} {
		if strings.HasSuffix(strings.ToLower(name), suffix) {
			return suffix
		}
	}
	return ""
}

// IsManifest tells whether a file is one by its name.
func IsManifest(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// Hidden tells whether a path is of those that systems and editors leave behind.
func Hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || part == "__MACOSX" || strings.EqualFold(part, "thumbs.db") || strings.EqualFold(part, "desktop.ini") {
			return true
		}
	}
	return false
}

// Folded is a name as file systems compare it that ignore case and the ways to write accents.
func Folded(name string) string { return norm.NFC.String(strings.ToLower(norm.NFC.String(name))) }
