package submission

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// tree is the files of a submission that matter, in memory: from here on nothing can
// lead to a file outside.
type tree struct {
	files map[string][]byte // by slash-separated path
	root  string            // the folder of files that is the submission; "" is the top
	shown string            // what comes before the paths in messages
}

// display returns a file's path as the student knows it.
func (t *tree) display(name string) string { return path.Join(t.shown, name) }

// names returns the files' paths in order.
func (t *tree) names() []string {
	names := make([]string, 0, len(t.files))
	for name := range t.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// digest sums names and contents up. Lengths go in, too, so that no two different trees
// are written alike.
func (t *tree) digest() string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%d:%s\n", len(t.root), t.root) // a hash takes every write
	for _, name := range t.names() {
		data := t.files[name]
		_, _ = fmt.Fprintf(sum, "%d:%s\n%d:", len(name), name, len(data))
		_, _ = sum.Write(data)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// source is a folder or an archive.
type source interface {
	// walk visits every entry but folders. It may be called several times.
	walk(visit func(entry) error) error
	Close() error
}

// entry is one thing in a source.
type entry struct {
	name string                        // as the source gives it
	mode fs.FileMode                   // its type
	open func() (io.ReadCloser, error) // valid during the visit only
}

// errEnough ends a walk whose remainder makes no difference.
var errEnough = errors.New("enough was seen")

// gather reads the files that matter. What kind of submission it is shows only after
// all names are known, so there are two walks.
func (r *reader) gather(s source) {
	names := r.list(s)
	if len(r.findings) > 0 {
		return
	}
	prefix := ""
	if r.tree.root == "" && !r.asIs {
		prefix = commonFolder(names)
		r.tree.shown = path.Join(r.tree.shown, prefix)
	}
	want := IsManifest
	top := path.Join(prefix, r.tree.root)
	if slices.ContainsFunc(names, func(n string) bool { return isKustomization(n) && path.Dir(n) == orDot(top) }) {
		want = func(string) bool { return true } // it may make a ConfigMap of any file
	}
	r.read(s, prefix, want)
	r.tree.dropReport()
}

// list returns the paths of all files that are not hidden, and refuses odd ones.
func (r *reader) list(s source) []string {
	var names []string
	seen := map[string]string{} // the names by how a file system that ignores case would have them
	err := s.walk(func(e entry) error {
		name := path.Clean(strings.TrimPrefix(e.name, "./"))
		switch {
		case !fs.ValidPath(name) || strings.ContainsAny(e.name, "\\\x00:"):
			r.refuse(fmt.Sprintf("%.200q", e.name), "is not a path within the submission")
		case Hidden(name):
		case e.mode&fs.ModeSymlink != 0:
			r.refuse(r.tree.display(name), "is a link; hand in the file itself")
		case !e.mode.IsRegular():
			r.refuse(r.tree.display(name), "is not an ordinary file")
		case strings.Count(name, "/") > r.limits.Depth:
			r.refuse(r.tree.display(name), "lies more than %d folders deep", r.limits.Depth)
		case len(name) > r.limits.Path:
			r.refuse(fmt.Sprintf("%.60q…", name), "is a path of more than %d bytes", r.limits.Path)
		case seen[Folded(name)] == name:
			r.refuse(r.tree.display(name), "is in the archive twice")
		case seen[Folded(name)] != "":
			r.refuse(r.tree.display(name), "is the same as %s on systems that ignore case; rename one", seen[Folded(name)])
		default:
			seen[Folded(name)] = name
			names = append(names, name)
		}
		if len(names) > r.limits.Files || len(r.findings) > r.limits.Files {
			return errEnough
		}
		return nil
	})
	if len(names) > r.limits.Files {
		r.refuse(r.path, "has more than %d files", r.limits.Files)
	} else if err != nil && !errors.Is(err, errEnough) {
		r.refuse(r.path, "cannot be read: %s", cause(err))
	}
	return names
}

// read takes the contents of the wanted files into the tree, without the prefix.
func (r *reader) read(s source, prefix string, want func(name string) bool) {
	total := int64(0)
	err := s.walk(func(e entry) error {
		name := path.Clean(strings.TrimPrefix(e.name, "./"))
		if Hidden(name) || !want(name) {
			return nil
		}
		data, err := contents(e, r.limits.FileSize)
		short := strings.TrimPrefix(strings.TrimPrefix(name, prefix), "/")
		if err != nil {
			r.refuse(r.tree.display(short), "cannot be read: %s", cause(err))
			return nil
		}
		if int64(len(data)) > r.limits.FileSize {
			r.refuse(r.tree.display(short), "is larger than %d bytes", r.limits.FileSize)
			return nil
		}
		if total += int64(len(data)); total > r.limits.Size {
			r.refuse(r.path, "has more than %d bytes of manifests", r.limits.Size)
			return errEnough
		}
		r.tree.files[short] = data
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		r.refuse(r.path, "cannot be read: %s", cause(err))
	}
}

// contents reads an entry up to one byte more than the limit, whatever size it claims.
func contents(e entry, limit int64) ([]byte, error) {
	f, err := e.open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	return data, errors.Join(err, f.Close())
}

// commonFolder returns the folder that holds everything: archives are often made of a
// folder, and folders unpacked from them hold a single one.
func commonFolder(names []string) string {
	if len(names) == 0 {
		return ""
	}
	common := path.Dir(names[0])
	for _, name := range names[1:] {
		for common != "." && !strings.HasPrefix(name, common+"/") {
			common = path.Dir(common)
		}
	}
	if common == "." {
		return ""
	}
	return common
}

// orDot returns the path as path.Dir would, where the top is ".".
func orDot(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

// cause returns what an error of the file system comes down to, without the path, which
// the finding names already.
func cause(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
