package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
)

// checkout is the source of a release.
type checkout struct {
	root string
	time time.Time // that all files get: the commit's, or SOURCE_DATE_EPOCH
}

// openCheckout finds the checkout around the working folder. It refuses one with changes,
// from which nobody else could build the same, unless dirty allows it.
func openCheckout(ctx context.Context, dirty bool) (checkout, error) {
	root, err := git(ctx, ".", "rev-parse", "--show-toplevel")
	if err != nil {
		return checkout{}, fault.Inputf("a release is built from a git checkout: %w", err).
			WithRemedy("clone labctl's repository, and run this in it")
	}
	changes, err := git(ctx, root, "status", "--porcelain")
	if err != nil {
		return checkout{}, err
	}
	if changes != "" && !dirty {
		return checkout{}, dirtyError(changes)
	}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		if seconds, err = git(ctx, root, "log", "-1", "--format=%ct"); err != nil {
			return checkout{}, err
		}
	}
	at, err := parseEpoch(seconds)
	return checkout{root: root, time: at}, err
}

// parseEpoch refuses times that zip archives, which begin in 1980, cannot hold.
func parseEpoch(seconds string) (time.Time, error) {
	n, err := strconv.ParseInt(seconds, 10, 64)
	at := time.Unix(n, 0).UTC()
	if err != nil || at.Year() < 1980 || at.Year() > 2107 {
		return time.Time{}, fault.Inputf("%q is no time for files: it takes seconds since 1970, for a year from 1980 to 2107", seconds).
			WithRemedy("unset SOURCE_DATE_EPOCH, and the commit's time is taken")
	}
	return at, nil
}

// dirtyError names the first changes of what git status said.
func dirtyError(changes string) error {
	const most = 5
	lines := strings.Split(changes, "\n")
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("and %d more", len(lines)-most))
	}
	return fault.Inputf("the checkout has changes that are in no commit:\n  %s", strings.Join(lines, "\n  ")).
		WithRemedy("commit them, or take them away with git stash -u; for a trial, use --dirty")
}

// git returns what a git command prints, without the last newline.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fault.Environmentf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(stdout.String(), "\r\n"), nil
}
