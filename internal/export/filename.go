package export

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxStem bounds, in bytes, the readable part of a file's name. With the hash and a suffix
	// it stays far below the 255 that file systems allow.
	maxStem = 80
	// hashDigits are 64 bits: nobody finds an id whose file would be somebody else's.
	hashDigits = 16
)

// FileName returns the name, without a suffix, of the files that are about a student. Two ids
// have two names, on file systems that do not tell upper from lower case as well. A plain id in
// lower case is its own name; any other keeps what is readable of it, and a hash of all of it
// follows.
func FileName(student string) string {
	if plain(student) {
		return student
	}
	sum := sha256.Sum256([]byte(student))
	return stem(student) + "-" + hex.EncodeToString(sum[:])[:hashDigits]
}

// plain tells whether an id can be a name as it is, and cannot be one with a hash.
func plain(student string) bool {
	return len(student) <= maxStem && !reserved(student) && !strings.HasSuffix(student, ".") &&
		regexp.MustCompile(`^[a-z0-9_][a-z0-9._@+-]*$`).MatchString(student) &&
		!regexp.MustCompile(`-[0-9a-f]{16}$`).MatchString(student)
}

// reserved tells whether Windows takes a file of that name for a device, whatever its suffix.
func reserved(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	return regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`).MatchString(base)
}

// stem is what is readable of an id. Accents are taken off: file systems spell them in
// different ways.
func stem(student string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(student) {
		switch {
		case unicode.Is(unicode.Mn, r):
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._@+", r):
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('-')
		}
		gap = false
		if b.Len()+len(string(r)) > maxStem {
			break
		}
		b.WriteRune(r)
	}
	s := strings.Trim(b.String(), ".@+-")
	if s == "" || reserved(s) {
		return strings.TrimSuffix("student-"+s, "-")
	}
	return s
}
