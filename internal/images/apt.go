package images

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const archiveKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// apt is Debian's package tool, with lists, archives and an empty list of installed
// packages of its own, so that it resolves the same on every machine.
type apt struct {
	dir    string
	config string
}

// deb is one package that was chosen.
type deb struct{ name, version, file string }

func (a *apt) archives() string { return filepath.Join(a.dir, "archives") }

func newApt(ctx context.Context, dir, arch string) (*apt, error) {
	a := &apt{dir: dir, config: filepath.Join(dir, "apt.conf")}
	for _, d := range []string{"lists/partial", "archives/partial", "cache"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	list, err := mirrors(ctx)
	if err != nil {
		return nil, err
	}
	acquire, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output() // proxies above all
	if err != nil {
		return nil, fmt.Errorf("read apt's settings: %w", err)
	}
	config := string(acquire) + fmt.Sprintf(`
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist %[1]q;
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists %[2]q;
Dir::State::status %[3]q;
Dir::Cache %[4]q;
Dir::Cache::archives %[5]q;
APT::Architecture %[6]q;
#clear APT::Architectures;
APT::Architectures { %[6]q; };
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::http::Timeout "15";
`, filepath.Join(dir, "sources.list"), filepath.Join(dir, "lists"), filepath.Join(dir, "status"),
		filepath.Join(dir, "cache"), a.archives(), arch)
	err = errors.Join(
		os.WriteFile(a.config, []byte(config), 0o644),
		os.WriteFile(filepath.Join(dir, "status"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(list), 0o644))
	if err != nil {
		return nil, err
	}
	if _, err := a.run(ctx, "update", "-q"); err != nil {
		return nil, fmt.Errorf("update the package lists: %w", err)
	}
	return a, nil
}

// mirrors returns this machine's sources of Debian's own packages, without third parties'.
func mirrors(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--no-release-info",
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its sources: %w", err)
	}
	options := ""
	if _, err := os.Stat(archiveKeyring); err == nil {
		options = "[signed-by=" + archiveKeyring + "] "
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "main" {
			continue
		}
		u, err := url.Parse(f[0])
		if err != nil || !slices.Contains([]string{"debian", "debian-security"}, path.Base(path.Clean(u.Path))) {
			continue
		}
		if l := "deb " + options + strings.Join(f, " ") + "\n"; !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return "", errors.New("apt knows no source of Debian's packages")
	}
	return strings.Join(lines, ""), nil
}

func (a *apt) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Dir = a.archives()
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.config, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("apt-get %s: %w: %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}

// resolve returns the wanted packages with their dependencies, sorted by name.
func (a *apt) resolve(ctx context.Context, set *packages) ([]deb, error) {
	out, err := a.run(ctx, append([]string{"install", "-qq", "--print-uris"}, set.Install...)...)
	if err != nil {
		return nil, err
	}
	return parseURIs(out, set.Without)
}

// parseURIs reads lines like 'http://…/x.deb' NAME_VERSION_ARCH.deb SIZE HASH.
func parseURIs(out string, without []string) ([]deb, error) {
	var debs []deb
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 3 || !strings.HasPrefix(f[0], "'") {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(f[1], ".deb"), "_")
		if len(parts) != 3 {
			return nil, fmt.Errorf("apt names an unexpected file %q", f[1])
		}
		version, err := url.PathUnescape(parts[1])
		if err != nil {
			return nil, fmt.Errorf("version of %q: %w", f[1], err)
		}
		unwanted := slices.ContainsFunc(without, func(pattern string) bool {
			ok, err := path.Match(pattern, parts[0])
			return ok && err == nil
		})
		if !unwanted {
			debs = append(debs, deb{name: parts[0], version: version, file: f[1]})
		}
	}
	slices.SortFunc(debs, func(a, b deb) int { return strings.Compare(a.name, b.name) })
	return debs, nil
}

// download fetches packages, each once.
func (a *apt) download(ctx context.Context, debs []deb) error {
	args := []string{"download", "-qq"}
	for _, d := range debs {
		if pinned := d.name + "=" + d.version; !slices.Contains(args, pinned) {
			args = append(args, pinned)
		}
	}
	if _, err := a.run(ctx, args...); err != nil {
		return fmt.Errorf("download packages: %w", err)
	}
	return nil
}
