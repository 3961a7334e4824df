// Command release builds what a release of labctl consists of, byte for byte the same from
// the same commit with the same Go: archives for every platform with man pages and
// completions, a bill of materials for each binary, container images, and SHA256SUMS.
//
//	go run ./hack/release
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"labctl.dev/labctl/internal/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// options are the flags.
type options struct {
	out   string
	only  string
	dirty bool
}

// run releases, says what went wrong, and returns the exit code, which is one of labctl's.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	var opts options
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opts.out, "out", filepath.FromSlash("out/release"), "`folder` for the files")
	flags.StringVar(&opts.only, "only", "", "build for one `os/arch`, as in linux/amd64")
	flags.BoolVar(&opts.dirty, "dirty", false, "build from a checkout with changes, for a trial")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return int(fault.Input)
	}
	err := release(ctx, opts, flags.Args(), stderr)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "release: interrupted")
		return int(fault.Interrupted)
	case err == nil:
		return 0
	}
	fmt.Fprintf(stderr, "release: error: %v\n", err)
	if remedy := fault.RemedyOf(err); remedy != "" {
		fmt.Fprintf(stderr, "release: hint: %s\n", remedy)
	}
	return int(fault.KindOf(err))
}

func release(ctx context.Context, opts options, args []string, stderr io.Writer) error {
	if len(args) > 0 {
		return fault.Inputf("there are no arguments, only flags; got %q", args)
	}
	chosen, err := choose(opts.only)
	if err != nil {
		return err
	}
	out, err := filepath.Abs(opts.out)
	if err != nil {
		return err
	}
	from, err := openCheckout(ctx, opts.dirty)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "labctl-release-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	b := &builder{checkout: from, temp: temp, log: newLog(stderr)}
	made, err := newFolder(out)
	if err != nil {
		return err
	}
	if err := b.all(ctx, chosen, made); err != nil {
		return err
	}
	if err := made.finish(); err != nil {
		return err
	}
	b.log.line("%s holds %d files. Next: cd %s && sha256sum -c %s", opts.out, len(made.sums)+1, opts.out, sumsName)
	return nil
}

// platform is one that binaries are built for, as Go names it.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// binary is the name of labctl's program on it.
func (p platform) binary() string {
	if p.os == "windows" {
		return "labctl.exe"
	}
	return "labctl"
}

func platforms() []platform {
	var all []platform
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			all = append(all, platform{system, arch})
		}
	}
	return all
}

// choose returns all platforms, or the only one.
func choose(only string) ([]platform, error) {
	all := platforms()
	if only == "" {
		return all, nil
	}
	names := make([]string, len(all))
	for i, p := range all {
		if names[i] = p.String(); names[i] == only {
			return all[i : i+1], nil
		}
	}
	return nil, fault.Inputf("no release is built for %q", only).WithRemedy("--only takes one of %s", strings.Join(names, ", "))
}

// log writes a line for everything that was made, each with the time since the begin.
type log struct {
	out   io.Writer
	began time.Time
}

func newLog(out io.Writer) *log { return &log{out: out, began: time.Now()} }

func (l *log) line(format string, args ...any) {
	fmt.Fprintf(l.out, "%6.1fs  %s\n", time.Since(l.began).Seconds(), fmt.Sprintf(format, args...))
}
