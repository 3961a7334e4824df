package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
)

// builder makes everything from one checkout.
type builder struct {
	checkout checkout
	temp     string
	log      *log

	programs []program
	overlay  string // file for go build -overlay
	version  string // of the first binary, and so of all
}

// program is a binary that was built.
type program struct {
	path     string
	name     string // of its package, below the module: "cmd/labctl"
	platform platform
	info     *debug.BuildInfo
}

func (b *builder) all(ctx context.Context, chosen []platform, made *folder) error {
	docs, err := documents(filepath.Join(b.temp, "man"), b.checkout.time) //nolint:contextcheck // no command runs: they get theirs from cobra
	if err != nil {
		return err
	}
	if err := b.buildPrograms(ctx); err != nil {
		return err
	}
	for _, p := range chosen {
		if err := b.platform(ctx, p, docs, made); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// platform builds labctl for one, and everything that is made of it.
func (b *builder) platform(ctx context.Context, p platform, docs tree, made *folder) error {
	began := time.Now()
	labctl, err := b.build(ctx, p, "cmd/labctl", p.binary(), "-buildvcs=true", "-overlay", b.overlay, "-ldflags", "-s -w")
	if err != nil {
		return err
	}
	if err := b.sameVersion(labctl.info.Main.Version); err != nil {
		return err
	}
	body, err := os.ReadFile(labctl.path)
	if err != nil {
		return err
	}
	b.log.line("%s %s for %s, built in %.1fs", p.binary(), b.version, p, time.Since(began).Seconds())

	name := fmt.Sprintf("labctl_%s_%s_%s", b.version, p.os, p.arch)
	contents := docs.with(tree{p.binary(): {mode: 0o755, body: body}})
	for _, file := range []string{"LICENSE", "README.md"} {
		text, err := os.ReadFile(filepath.Join(b.checkout.root, file))
		if err != nil {
			return err
		}
		contents[file] = entry{mode: 0o644, body: text}
	}
	others, err := b.thirdParty(ctx, labctl)
	if err != nil {
		return err
	}
	contents[licensesName] = entry{mode: 0o644, body: others}
	if p.os == "windows" {
		err = b.keep(made, name+".zip", func() ([]byte, error) { return contents.zip(b.checkout.time) })
	} else {
		err = b.keep(made, name+".tar.gz", func() ([]byte, error) { return contents.tarGz(b.checkout.time) })
	}
	if err != nil {
		return err
	}
	if err := b.keep(made, name+".cdx.json", func() ([]byte, error) { return billOfMaterials(labctl, b.programs) }); err != nil {
		return err
	}
	if p.os != "linux" {
		return nil
	}
	return b.keep(made, name+".image.tar", func() ([]byte, error) { return image(imageOf(contents), p, b.version, b.checkout.time) })
}

// keep makes one file of the release, and says so.
func (b *builder) keep(made *folder, name string, content func() ([]byte, error)) error {
	began := time.Now()
	body, err := content()
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	if err := made.add(name, body); err != nil {
		return err
	}
	b.log.line("%s, %.1f MB in %.1fs", name, float64(len(body))/1e6, time.Since(began).Seconds())
	return nil
}

// sameVersion sees that the checkout does not change while it is built from.
func (b *builder) sameVersion(v string) error {
	switch {
	case v == "" || v == "(devel)":
		return fault.Environmentf("the go command gave the binary no version").
			WithRemedy("see that git log works in this checkout for the user who builds")
	case b.version == "":
		b.version = v
	case b.version != v:
		return fault.Inputf("the checkout was %s and is %s now: it changed during the build", b.version, v).
			WithRemedy("leave it alone meanwhile, and use an --out that git ignores or that is outside of it")
	}
	return nil
}

// buildPrograms builds the fixture programs for both architectures that clusters have, so
// that every labctl has them, whatever it runs on: a Mac's engine can be of either.
// They go into the embed folder by an overlay and not in fact, so that a release depends on
// nothing that earlier builds left there, and leaves nothing to later ones.
func (b *builder) buildPrograms(ctx context.Context) error {
	dir := filepath.Join(b.checkout.root, "internal", "images", "programs")
	replace := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".gitkeep" {
			replace[path] = "" // it is not there
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, arch := range []string{"amd64", "arm64"} {
		for _, name := range []string{"frontend", "backend", "db", "probe"} {
			// The flags are those of the Makefile, whose programs are the same to the byte.
			built, err := b.build(ctx, platform{"linux", arch}, "fixtures/apps/"+name, name, "-buildvcs=false", "-ldflags", "-s -w -buildid=")
			if err != nil {
				return err
			}
			replace[filepath.Join(dir, "linux-"+arch, name)] = built.path
			b.programs = append(b.programs, built)
		}
		b.log.line("fixture programs for linux/%s", arch)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	b.overlay = filepath.Join(b.temp, "overlay.json")
	return os.WriteFile(b.overlay, overlay, 0o600)
}

// build builds a package of the module for a platform.
func (b *builder) build(ctx context.Context, p platform, pkg, file string, flags ...string) (program, error) {
	path := filepath.Join(b.temp, p.os+"-"+p.arch, file)
	args := append([]string{"build", "-o", path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+pkg)...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = b.checkout.root, &stderr
	cmd.Env = append(os.Environ(), settings(p)...)
	if err := cmd.Run(); err != nil {
		return program{}, fault.Environmentf("go build ./%s for %s: %w\n%s", pkg, p, err, strings.TrimSpace(stderr.String()))
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return program{}, err
	}
	return program{path: path, name: pkg, platform: p, info: info}, nil
}

// settings are the go command's variables that change a binary. What the environment of who
// builds has in them must not.
func settings(p platform) []string {
	return []string{
		"GOOS=" + p.os, "GOARCH=" + p.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off",
	}
}
