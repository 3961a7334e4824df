package class

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"labctl.dev/labctl/internal/submission"
)

// The bounds of what is found, far above what a class hands in.
const (
	maxEntries = 100_000  // files and folders
	maxFile    = 64 << 20 // of one file in a download, in bytes
	maxDepth   = 20       // folders within folders
	maxPath    = 1000     // length of a path in bytes
	maxName    = 255      // of one part of a path
	maxRatio   = 200      // no text is packed better
	minTotal   = 64 << 20 // that any download may unpack to
	maxTotal   = 8 << 30
)

// unpacker writes the files of a download into a folder. What is odd about one file is told
// and leaves it out; archives in the download stay archives.
type unpacker struct {
	into    *os.Root
	in      *time.Location
	ignore  func(name, reason string)
	seen    map[string]string // spellings by how a file system that ignores case has them
	entries int
	total   int64
	most    int64
}

// packed is one entry of a download.
type packed struct {
	name     string
	mode     fs.FileMode
	modified time.Time
	open     func() (io.ReadCloser, error) // valid during the visit only
}

// unpack writes the archive's files into the folder.
func (u *unpacker) unpack(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	u.seen = map[string]string{}
	u.most = min(maxTotal, max(minTotal, info.Size()*maxRatio))
	if strings.EqualFold(archiveKind(name), ".zip") {
		return u.zip(name)
	}
	return u.tar(name)
}

func (u *unpacker) zip(name string) error {
	z, err := zip.OpenReader(name)
	if err != nil {
		return err
	}
	defer func() { _ = z.Close() }() // only read from
	for _, f := range z.File {
		open := f.Open
		if f.Flags&1 != 0 {
			open = func() (io.ReadCloser, error) { return nil, errors.New("it is encrypted") }
		}
		if err := u.visit(packed{f.Name, f.Mode(), u.modified(f), open}); err != nil {
			return err
		}
	}
	return nil
}

// modified returns when an entry was changed. Plain zip files have no zone: theirs is taken
// to be the class's.
func (u *unpacker) modified(f *zip.File) time.Time {
	t := f.Modified
	if f.Modified.Year() < 1981 || zoned(f.Extra) {
		return t
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, u.in)
}

// zoned tells whether one of the extra fields holds a time in UTC: NTFS, Unix, extended or
// Info-ZIP.
func zoned(extra []byte) bool {
	for len(extra) >= 4 {
		tag, size := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		switch tag {
		case 0x000a, 0x000d, 0x5455, 0x5855:
			return true
		}
		if extra = extra[4:]; size > len(extra) {
			return false
		}
		extra = extra[size:]
	}
	return false
}

func (u *unpacker) tar(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	bounded := &io.LimitedReader{R: unzipped, N: u.most + minTotal}
	for archive := tar.NewReader(bounded); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) && bounded.N > 0 {
			return nil
		}
		if err != nil && bounded.N <= 0 {
			return fmt.Errorf("it unpacks to more than %d bytes", u.most)
		}
		if err != nil {
			return err
		}
		mode := h.FileInfo().Mode()
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeLink: // looks like an ordinary file to FileInfo
			mode = fs.ModeSymlink
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(archive), nil }
		if err := u.visit(packed{h.Name, mode, h.ModTime, open}); err != nil {
			return err
		}
	}
}

// visit writes one entry. An error ends the unpacking.
func (u *unpacker) visit(e packed) error {
	if u.entries++; u.entries > maxEntries {
		return fmt.Errorf("it holds more than %d files and folders", maxEntries)
	}
	raw := strings.TrimSuffix(strings.TrimPrefix(e.name, "./"), "/")
	name := strings.ToValidUTF8(raw, "_")
	switch {
	case name == "" || name == ".":
		return nil
	case !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00:"):
		u.ignore(name, "is not a path within the archive")
	case hiddenPath(name):
	case e.mode&fs.ModeSymlink != 0:
		u.ignore(name, "is a link")
	case e.mode.IsDir():
		return u.folder(name)
	case !e.mode.IsRegular():
		u.ignore(name, "is not an ordinary file")
	case tooLong(name):
		u.ignore(name, "has too long a name, or lies too deep")
	case u.clash(name) != "":
		u.ignore(name, "is the same as "+u.clash(name)+" on systems that ignore case")
	default:
		return u.write(name, e)
	}
	return nil
}

func hiddenPath(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if submission.Hidden(part) {
			return true
		}
	}
	return false
}

func tooLong(name string) bool {
	if len(name) > maxPath || strings.Count(name, "/") > maxDepth {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxName {
			return true
		}
	}
	return false
}

// clash returns the earlier path that the name, or a folder of it, cannot be told from
// everywhere; "" is none. A file may not come twice.
func (u *unpacker) clash(name string) string {
	if earlier := u.seen[submission.Folded(name)]; earlier != "" {
		return earlier
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if earlier := u.seen[submission.Folded(dir)]; earlier != "" && earlier != dir+"/" {
			return strings.TrimSuffix(earlier, "/")
		}
	}
	return ""
}

// folder makes a folder, so that an empty one is seen as such.
func (u *unpacker) folder(name string) error {
	switch earlier := u.seen[submission.Folded(name)]; {
	case tooLong(name), earlier == name+"/", earlier == "" && u.clash(name) != "":
		return nil // what lies in it is told of
	case earlier != "":
		u.ignore(name, "is the same as "+strings.TrimSuffix(earlier, "/")+" on systems that ignore case")
		return nil
	}
	u.note(name)
	u.seen[submission.Folded(name)] = name + "/"
	return u.into.MkdirAll(name, 0o700)
}

// note remembers how the folders of a path are spelled.
func (u *unpacker) note(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		u.seen[submission.Folded(dir)] = dir + "/"
	}
}

func (u *unpacker) write(name string, e packed) error {
	u.note(name)
	u.seen[submission.Folded(name)] = name
	if err := u.into.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	source, err := e.open()
	if err != nil {
		u.ignore(name, "cannot be unpacked: "+err.Error())
		return nil
	}
	defer func() { _ = source.Close() }() // only read from
	target, err := u.into.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	// What it holds counts, not what it says that it does.
	n, err := io.Copy(writeErrors{target}, io.LimitReader(source, min(maxFile, u.most-u.total)+1))
	if err := target.Close(); err != nil {
		return err
	}
	u.total += n
	var broken writeError
	switch {
	case errors.As(err, &broken):
		return broken.error
	case u.total > u.most:
		return fmt.Errorf("it unpacks to more than %d bytes", u.most)
	case n > maxFile:
		u.ignore(name, fmt.Sprintf("is larger than %d bytes", maxFile))
		return u.into.Remove(name)
	case err != nil:
		u.ignore(name, "cannot be unpacked: "+err.Error())
		return u.into.Remove(name)
	}
	if e.modified.Year() < 1981 { // nobody knows
		return nil
	}
	return u.into.Chtimes(name, e.modified, e.modified)
}

// writeErrors marks the errors of writing, which are ours, unlike those of a broken archive.
type writeErrors struct{ io.Writer }

type writeError struct{ error }

func (w writeErrors) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = writeError{err}
	}
	return n, err
}
