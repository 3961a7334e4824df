package images

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// entry is one file of a layer. Owner and group are numbers; times are always the epoch.
type entry struct {
	kind     byte   // tar.TypeReg, TypeDir, TypeSymlink, TypeLink
	mode     int64  // permission bits
	uid, gid int    //
	target   string // of links
	body     *io.SectionReader
}

// tree is the content of a layer by path, without a leading slash.
type tree map[string]entry

func (t tree) dir(name string, mode int64, uid int) {
	t[name] = entry{kind: tar.TypeDir, mode: mode, uid: uid, gid: uid}
}

func (t tree) file(name string, mode int64, body []byte) {
	r := bytes.NewReader(body)
	t[name] = entry{kind: tar.TypeReg, mode: mode, body: io.NewSectionReader(r, 0, r.Size())}
}

func (t tree) link(name, target string) {
	t[name] = entry{kind: tar.TypeSymlink, mode: 0o777, target: target}
}

// users adds the name service's files, with one user besides root.
func (t tree) users(name, home string, id int) {
	line := "root:x:0:0:root:/root:/bin/sh\n"
	group := "root:x:0:\n"
	line += fmt.Sprintf("%s:x:%d:%d:%s:%s:/bin/sh\n", name, id, id, name, home)
	group += fmt.Sprintf("%s:x:%d:\n", name, id)
	t.file("etc/passwd", 0o644, []byte(line))
	t.file("etc/group", 0o644, []byte(group))
	t.file("etc/nsswitch.conf", 0o644, []byte("passwd: files\ngroup: files\nhosts: files dns\n"))
	t.dir("tmp", 0o1777, 0)
}

// writeTo writes a tar that depends on nothing but the tree: sorted, parents first, hard
// links last because their targets must be there.
func (t tree) writeTo(out io.Writer) error {
	for name := range maps.Clone(t) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := t[dir]; !ok {
				t.dir(dir, 0o755, 0)
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		if la, lb := t[a].kind == tar.TypeLink, t[b].kind == tar.TypeLink; la != lb {
			if la {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	w := tar.NewWriter(out)
	for _, name := range names {
		if err := writeEntry(w, name, t[name]); err != nil {
			return fmt.Errorf("write %s to a layer: %w", name, err)
		}
	}
	return w.Close()
}

func writeEntry(w *tar.Writer, name string, e entry) error {
	h := &tar.Header{
		Typeflag: e.kind, Name: name, Linkname: e.target, Mode: e.mode,
		Uid: e.uid, Gid: e.gid, ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	if e.kind == tar.TypeDir {
		h.Name += "/"
	}
	if e.kind != tar.TypeReg {
		return w.WriteHeader(h)
	}
	h.Size = e.body.Size()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(w, io.NewSectionReader(e.body, 0, e.body.Size()))
	return err
}
