package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"labctl.dev/labctl/internal/cli"
	"labctl.dev/labctl/internal/ui"
)

// Where archives have man pages and completions, so that what is below share/ can be copied
// to /usr/local/share as it is.
const (
	manDir         = "share/man/man1"
	bashCompletion = "share/bash-completion/completions/labctl"
	zshCompletion  = "share/zsh/site-functions/_labctl"
	fishCompletion = "share/fish/vendor_completions.d/labctl.fish"
)

// documents are a man page for each command that users see, and the completions. temp is a
// folder for this alone.
func documents(temp string, at time.Time) (tree, error) {
	// It changes the default of a flag, and so the pages, by who builds.
	if err := os.Unsetenv("LABCTL_CLUSTER"); err != nil {
		return nil, err
	}
	return documentsOf(cli.NewCmd(ui.Streams{}), temp, at)
}

func documentsOf(root *cobra.Command, temp string, at time.Time) (tree, error) {
	root.DisableAutoGenTag = true   // else pages end in a date that is not of this kind
	root.InitDefaultCompletionCmd() // cobra adds it only when a command runs
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return nil, err
	}
	header := &doc.GenManHeader{Section: "1", Date: &at, Source: "labctl", Manual: "labctl"}
	if err := doc.GenManTree(root, header, temp); err != nil {
		return nil, err
	}
	pages, err := os.ReadDir(temp)
	if err != nil {
		return nil, err
	}
	docs := tree{}
	for _, p := range pages {
		body, err := os.ReadFile(filepath.Join(temp, p.Name()))
		if err != nil {
			return nil, err
		}
		docs[manDir+"/"+p.Name()] = entry{mode: 0o644, body: body}
	}
	var bash, zsh, fish bytes.Buffer
	if err := errors.Join(root.GenBashCompletionV2(&bash, true), root.GenZshCompletion(&zsh), root.GenFishCompletion(&fish, true)); err != nil {
		return nil, err
	}
	docs[bashCompletion] = entry{mode: 0o644, body: bash.Bytes()}
	docs[zshCompletion] = entry{mode: 0o644, body: zsh.Bytes()}
	docs[fishCompletion] = entry{mode: 0o644, body: fish.Bytes()}
	return docs, nil
}
