package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"labctl.dev/labctl/internal/fault"
)

func lookGo(string) (string, error) { return "/usr/lib/go/bin/go", nil }

func moduleBuild(version, sum string) *debug.BuildInfo {
	return &debug.BuildInfo{Main: debug.Module{Path: "labctl.dev/labctl", Version: version, Sum: sum}}
}

func TestNewToolchain(t *testing.T) {
	noGo := func(string) (string, error) { return "", exec.ErrNotFound }
	for name, c := range map[string]struct {
		build *debug.BuildInfo
		look  func(string) (string, error)
		want  bool
	}{
		"a version of the module":        {moduleBuild("v1.2.3", "h1:x="), lookGo, true},
		"a commit of the module":         {moduleBuild("v0.0.0-20261125194601-d996659cfd48", "h1:x="), lookGo, true},
		"no go command":                  {moduleBuild("v1.2.3", "h1:x="), noGo, false},
		"no build information":           {nil, lookGo, false},
		"a test or an unstamped build":   {moduleBuild("(devel)", ""), lookGo, false},
		"a commit in a checkout":         {moduleBuild("v0.0.0-20261125194601-d996659cfd48", ""), lookGo, false},
		"a checkout with changes":        {moduleBuild("v1.2.3+dirty", ""), lookGo, false},
		"changes, whatever the checksum": {moduleBuild("v1.2.3+dirty", "h1:x="), lookGo, false},
	} {
		if got := newToolchain(t.TempDir(), c.build, c.look); (got != nil) != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// fakeGo is a go command that installs what it is asked for below GOPATH.
type fakeGo struct {
	calls  []string
	within string // the folder of bin that it writes to
	fails  string // what it says before it fails
}

func (f *fakeGo) run(cmd *exec.Cmd) error {
	f.calls = append(f.calls, strings.Join(cmd.Args[1:], " "))
	env := map[string]string{}
	for _, v := range cmd.Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	switch {
	case cmd.Args[1] == "env":
		_, err := fmt.Fprint(cmd.Stdout, `{"GOMODCACHE":"/mods","GOCACHE":"/builds","GOPROXY":"off"}`)
		return err
	case f.fails != "":
		fmt.Fprintf(cmd.Stderr, "go: downloading\n%s\n", f.fails)
		return errors.New("exit status 1")
	}
	for _, name := range []string{"GOBIN", "GOFLAGS"} {
		if value, ok := env[name]; ok {
			return fmt.Errorf("%s=%s", name, value)
		}
	}
	if env["GOMODCACHE"] != "/mods" || env["GOCACHE"] != "/builds" || env["GOPROXY"] != "off" || env["GOENV"] != "off" ||
		env["GOOS"] != "linux" || env["GOARCH"] != "amd64" || env["CGO_ENABLED"] != "0" || env["GOPATH"] != cmd.Dir {
		return fmt.Errorf("environment %q", cmd.Env)
	}
	name, _, _ := strings.Cut(filepath.Base(cmd.Args[len(cmd.Args)-1]), "@")
	dir := filepath.Join(env["GOPATH"], "bin", f.within)
	return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), []byte(name+" built"), 0o700))
}

// withoutPrograms is a store of a labctl that came by go install.
func withoutPrograms(t *testing.T, g *fakeGo) *Store {
	t.Helper()
	t.Setenv("GOBIN", "/elsewhere")
	t.Setenv("GOFLAGS", "-mod=vendor")
	s := newTestStore(t, &fakeSources{})
	s.programs = fstest.MapFS{}
	s.toolchain = newToolchain(s.cache, moduleBuild("v1.2.3", "h1:x="), lookGo)
	s.toolchain.run = g.run
	return s
}

// Both places are where the go command leaves programs, by the machine that it runs on.
func TestAssembleBuildsProgramsOnce(t *testing.T) {
	for _, within := range []string{"", "linux_amd64"} {
		g := &fakeGo{within: within}
		s := withoutPrograms(t, g)
		if missing, err := s.Missing(); err != nil || !slices.Contains(missing, Backend) || len(g.calls) > 0 {
			t.Errorf("missing before: %q, %v, after calls of go %q", missing, err, g.calls)
		}
		assembled(t, s, Backend)
		want := "install -trimpath -buildvcs=false -ldflags=-s -w -buildid= labctl.dev/labctl/fixtures/apps/backend@v1.2.3"
		if len(g.calls) != 2 || g.calls[1] != want {
			t.Errorf("calls of go: %q", g.calls)
		}
		if body, err := s.ready("backend"); err != nil || string(body) != "backend built" {
			t.Errorf("the program: %q, %v", body, err)
		}
		assembled(t, s, Backend)
		if missing, err := s.Missing(); err != nil || slices.Contains(missing, Backend) || len(g.calls) != 2 {
			t.Errorf("missing after: %q, %v, calls of go: %q", missing, err, g.calls)
		}
	}
}

func TestAssembleSaysWhyGoFailed(t *testing.T) {
	s := withoutPrograms(t, &fakeGo{fails: "go: module lookup disabled by GOPROXY=off"})
	_, err := s.Assemble(t.Context(), Backend)
	if err == nil || !strings.Contains(err.Error(), "exit status 1: go: module lookup disabled by GOPROXY=off") ||
		fault.KindOf(err) != fault.Environment || !strings.Contains(fault.RemedyOf(err), "release archive") {
		t.Errorf("error %v, remedy %q", err, fault.RemedyOf(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.toolchain.run = func(*exec.Cmd) error { cancel(); return errors.New("killed") }
	if _, err := s.Assemble(ctx, Backend); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
