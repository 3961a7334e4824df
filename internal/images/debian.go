package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// packages is a set of Debian packages and what of their content is wanted.
type packages struct {
	Install []string // their dependencies come along
	Without []string // path.Match patterns of packages to leave out
	Drop    []string // regular expressions of paths to leave out
	Applets []string // names under which busybox is wanted
}

// postgresqlPackages is the server without its compiler: LLVM is larger than all the rest
// and of no use to queries that take a millisecond. bash and busybox are for those who look
// around in the pod.
func postgresqlPackages() *packages {
	return &packages{
		Install: []string{"postgresql", "libnss-wrapper", "libc-bin", "busybox", "bash"},
		Without: []string{
			"perl*", "libperl*", "*-perl", "libllvm*", "libz3-*", "locales", "libc-l10n", "*-common", "adduser", "passwd",
			"ssl-cert", "openssl", "debconf", "ucf", "sensible-utils", "base-files", "base-passwd", "bash-completion", "dpkg", "tar", "mawk",
			"init-system-helpers", "sysvinit-utils", "lsb-base", "netbase", "usrmerge", "gcc-*-base", "libpam-*",
			"libsemanage*", "libsepol*", "libgdbm*", "libdb5*", "debianutils", "libbsd0", "libedit2", "libmd0", "postgresql",
		},
		Drop: append(documentation(),
			`/llvmjit`, `/bitcode/`, `^usr/share/zoneinfo/(right|posix)/`, `^usr/lib/postgresql/[0-9]+/bin/(oid2name|pgbench|vacuumlo|pg_(upgrade|rewind|test.*|archivecleanup|waldump|checksums|recvlogical|receivewal|verifybackup|amcheck|basebackup))$`,
			`^usr/(s?bin)/(ldconfig|iconv|localedef|zdump|tzselect|zic)`, `^etc/`, `^var/`),
		Applets: []string{
			"sh", "cat", "chmod", "cp", "cut", "date", "df", "du", "echo", "env", "find", "free", "grep", "head", "hostname",
			"id", "kill", "less", "ln", "ls", "mkdir", "mv", "nc", "nslookup", "ping", "ps", "rm", "sed", "sleep", "sort",
			"stat", "tail", "test", "top", "touch", "tr", "true", "vi", "wc", "wget", "whoami",
		},
	}
}

func haproxyPackages() *packages {
	return &packages{
		Install: []string{"haproxy"},
		Without: []string{
			"perl*", "libperl*", "*-perl", "*-common", "adduser", "passwd", "debconf", "base-files", "dpkg", "tar", "mawk",
			"init-system-helpers", "sysvinit-utils", "lsb-base", "usrmerge", "gcc-*-base", "libpam-*", "libsemanage*", "libsepol*",
			"libgdbm*", "libdb5*", "debianutils", "libaudit1", "libcap-ng0", "libbz2-*", "libacl1", "libmd0", "libselinux1",
		},
		Drop: append(documentation(), `^etc/`, `^var/`),
	}
}

func documentation() []string {
	return []string{
		`^usr/share/(doc|man|locale|info|lintian|bug|bash-completion|common-licenses|doc-base|menu|gdb|vim|applications|pixmaps|readline|initramfs-tools|apport|postgresql-common)/`,
		`/share/(locale|man)/`, `/gconv/`, `/systemd/`, `/tmpfiles\.d/`, `/sysusers\.d/`, `/audit/`, `\.pc$`, `/pkgconfig/`,
		`^usr/lib/locale/C\.utf8/LC_MESSAGES/.*\.mo$`,
	}
}

// Debian fetches packages from the mirrors that this machine is set up with, verified by
// apt, into a folder of their own; nothing is installed and no root is needed.
func (u *upstream) Debian(ctx context.Context, sets []*packages) (all []unpacked, err error) {
	for _, tool := range []string{"apt-get", "apt-config", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("this is no Debian: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "labctl-debian-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	a, err := newApt(ctx, dir, u.arch)
	if err != nil {
		return nil, err
	}
	chosen := make([][]deb, len(sets))
	for i, set := range sets {
		if chosen[i], err = a.resolve(ctx, set); err != nil {
			return nil, err
		}
	}
	if err := a.download(ctx, slices.Concat(chosen...)); err != nil {
		return nil, err
	}
	all = make([]unpacked, len(sets))
	g, ctx := errgroup.WithContext(ctx)
	for i, set := range sets {
		g.Go(func() (err error) {
			all[i], err = a.unpack(ctx, set, chosen[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		for _, one := range all {
			if one.close != nil {
				one.close()
			}
		}
		return nil, err
	}
	return all, nil
}

// unpack merges packages into one tree. File contents go to one temporary file.
func (a *apt) unpack(ctx context.Context, set *packages, debs []deb) (unpacked, error) {
	spool, err := os.CreateTemp("", "labctl-debian-")
	if err != nil {
		return unpacked{}, err
	}
	u := unpacked{tree: tree{}, close: func() { _ = spool.Close() }}
	if err := os.Remove(spool.Name()); err != nil { // it lives as long as it is open
		u.close()
		return unpacked{}, err
	}
	drop, err := regexp.Compile(strings.Join(set.Drop, "|"))
	if err != nil {
		u.close()
		return unpacked{}, err
	}
	for _, d := range debs {
		u.versions = append(u.versions, d.name+"="+d.version)
		if err := addDeb(ctx, u.tree, filepath.Join(a.archives(), d.file), drop, spool); err != nil {
			u.close()
			return unpacked{}, fmt.Errorf("unpack %s: %w", d.name, err)
		}
	}
	for _, dir := range mergedDirs() {
		u.tree.link(dir, "usr/"+dir)
	}
	for _, name := range set.Applets {
		if _, taken := u.tree["usr/bin/"+name]; !taken {
			u.tree.link("usr/bin/"+name, "busybox")
		}
	}
	return u, nil
}

// mergedDirs are those that are links into usr.
func mergedDirs() []string { return []string{"bin", "sbin", "lib", "lib64"} }

// addDeb adds one package's content.
func addDeb(ctx context.Context, t tree, file string, drop *regexp.Regexp, spool *os.File) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = addTar(t, out, drop, spool)
	if err == nil {
		_, err = io.Copy(io.Discard, out) // the end's padding
	}
	if ended := cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("dpkg-deb: %w: %s", ended, strings.TrimSpace(complaint.String())))
	}
	return err
}

// addTar adds what is wanted of a tar. Owners are always root: Debian's packages name others
// only for programs that change user, which none of these images has.
func addTar(t tree, in io.Reader, drop *regexp.Regexp, spool *os.File) error {
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := merged(h.Name)
		if name == "." || name == "usr" || drop.MatchString(name) || drop.MatchString(name+"/") {
			continue
		}
		e := entry{kind: h.Typeflag, mode: h.Mode & 0o1777}
		switch h.Typeflag {
		case tar.TypeDir:
			continue // those that are needed appear with their content
		case tar.TypeSymlink:
			e.target = h.Linkname
		case tar.TypeLink:
			e.target = merged(h.Linkname)
		case tar.TypeReg:
			at, err := spool.Seek(0, io.SeekEnd)
			if err != nil {
				return err
			}
			n, err := io.Copy(spool, r)
			if err != nil {
				return err
			}
			e.body = io.NewSectionReader(spool, at, n)
		default:
			continue // devices: none of these packages needs one
		}
		t[name] = e
	}
}

// merged moves a package's path to where it is on a system with a merged /usr.
func merged(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	first, _, _ := strings.Cut(name, "/")
	if slices.Contains(mergedDirs(), first) {
		return "usr/" + name
	}
	if name == "" {
		return "."
	}
	return name
}
