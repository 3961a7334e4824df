package images

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"labctl.dev/labctl/internal/fault"
)

// toolchain builds the fixture programs for a labctl that came by "go install": a module
// holds no ignored files, so such a labctl has none embedded. They are built from the very
// version of the module that labctl is, and kept.
type toolchain struct {
	bin     string // the go command
	module  string
	version string
	dir     string // what was built, as linux-<arch>/<name>
	run     func(*exec.Cmd) error
}

// newToolchain returns nil where nothing can be built: without a go command, and where the
// build is not that of a module's version. One in a checkout can have the name of a version
// that nobody else knows, or differ from it; only what came as a module has its checksum.
func newToolchain(cache string, build *debug.BuildInfo, look func(string) (string, error)) *toolchain {
	if build == nil || build.Main.Sum == "" || !semver.IsValid(build.Main.Version) || semver.Build(build.Main.Version) != "" {
		return nil
	}
	bin, err := look("go")
	if err != nil {
		return nil
	}
	return &toolchain{
		bin: bin, module: build.Main.Path, version: build.Main.Version,
		dir: filepath.Join(cache, "programs", build.Main.Version), run: (*exec.Cmd).Run,
	}
}

func (t *toolchain) path(arch, name string) string {
	return filepath.Join(t.dir, "linux-"+arch, name)
}

// built returns a program of an earlier build, or errNotBuilt.
func (t *toolchain) built(arch, name string) ([]byte, error) {
	body, err := os.ReadFile(t.path(arch, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the fixture program %s for linux/%s: %w", name, arch, errNotBuilt)
	}
	return body, err
}

// build makes a program and keeps it.
func (t *toolchain) build(ctx context.Context, arch, name string) ([]byte, error) {
	temp, err := os.MkdirTemp("", "labctl-go-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	body, err := t.install(ctx, temp, arch, name)
	if err != nil {
		return nil, fault.Environmentf("this labctl has no fixture program %s for linux/%s, and building it failed: %w", name, arch, err).
			WithRemedy("%s", programsRemedy)
	}
	file := t.path(arch, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	return body, writeFile(file, body)
}

// install runs "go install" with a GOPATH of its own, because the go command refuses GOBIN
// when it builds for another system.
func (t *toolchain) install(ctx context.Context, temp, arch, name string) ([]byte, error) {
	env, err := t.settings(ctx, temp)
	if err != nil {
		return nil, err
	}
	env = append(env, "GOPATH="+temp, "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	if _, err := t.output(ctx, temp, env, "install", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
		t.module+"/fixtures/apps/"+name+"@"+t.version); err != nil {
		return nil, err
	}
	body, err := os.ReadFile(filepath.Join(temp, "bin", "linux_"+arch, name))
	if errors.Is(err, fs.ErrNotExist) { // as on linux/<arch> itself
		body, err = os.ReadFile(filepath.Join(temp, "bin", name))
	}
	return body, err
}

// settings returns an environment with the user's caches and sources of modules, and with
// nothing else of the go command's settings: a GOBIN or GOFLAGS of the user's would lead
// the result elsewhere or change it, and no variable takes them out of the file of settings.
func (t *toolchain) settings(ctx context.Context, dir string) ([]string, error) {
	out, err := t.output(ctx, dir, os.Environ(), "env", "-json", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB",
		"GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH", "GOTOOLCHAIN")
	if err != nil {
		return nil, err
	}
	kept := map[string]string{}
	if err := json.Unmarshal(out, &kept); err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", t.bin, err)
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GOBIN=") || strings.HasPrefix(v, "GOFLAGS=")
	})
	for name, value := range kept {
		env = append(env, name+"="+value)
	}
	return append(env, "GOENV=off", "GOWORK=off", "GO111MODULE=on"), nil
}

// output runs the go command. An error has the last of what it said.
func (t *toolchain) output(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, t.bin, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &stdout, &stderr
	cmd.WaitDelay = time.Second // a compiler that keeps the pipes open must not keep us waiting
	err := t.run(cmd)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, lastLine(stderr.String()))
	}
	return stdout.Bytes(), nil
}
