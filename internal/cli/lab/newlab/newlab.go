// Package newlab implements "labctl lab new".
package newlab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/lab/scaffold"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/labs"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	ID      string
	Dir     string // the folder around the lab's
	Title   string // "" makes one of the id
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "new ID",
		Short: "Make the folder of a new lab, to change into your own",
		Long: `New makes a folder with everything that a lab needs: lab.yaml, README.md, EXPLANATION.md,
starter, solution, and a wrong submission for each check. It verifies as it stands, so
that you change something that works. Beside numbered folders (10-clusterip) it gets
the next number.`,
		Example: `  labctl lab new my-first
  labctl lab new my-first --dir labs --title "My first lab"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ID = args[0]
			return run(cmd.Context(), opts)
		},
	}
	cmd.Flags().StringVar(&opts.Dir, "dir", ".", "make it in this folder")
	cmd.Flags().StringVar(&opts.Title, "title", "", "the lab's title (default: made of the id)")
	return cmd
}

// Run makes the folder.
func Run(_ context.Context, opts *Options) error {
	if err := lab.CheckID(opts.ID); err != nil {
		return err
	}
	builtin, err := lab.NewCatalog(labs.Files(), nil, grader.RunNames())
	if err != nil {
		return err
	}
	folder, err := folderName(opts.Dir, opts.ID)
	if err != nil {
		return err
	}
	dir := filepath.Join(opts.Dir, folder)
	where, schema, err := schemaFor(dir)
	if err != nil {
		return err
	}
	if err := scaffold.Write(dir, scaffold.Lab{ID: opts.ID, Title: title(opts), Schema: where}, schema); err != nil {
		return err
	}
	if slices.ContainsFunc(builtin.Labs, func(b *lab.Lab) bool { return b.ID == opts.ID }) {
		fmt.Fprintf(opts.Streams.Err, "labctl: warning: labctl has a lab %s of its own; with --labs, yours takes its place\n", opts.ID)
	}
	fmt.Fprintln(opts.Streams.Out, dir)
	fmt.Fprintf(opts.Streams.Err, "Next: labctl lab preview %s\n", dir)
	return nil
}

// title makes "My first lab" of "my-first-lab", where the author gave none.
func title(opts *Options) string {
	if given := strings.TrimSpace(opts.Title); given != "" {
		return given
	}
	words := strings.ReplaceAll(opts.ID, "-", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

// folderName returns the id, with the next number before it where the folders around it
// have one. A lab of that id is refused, whatever its number.
func folderName(dir, id string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return "", fault.Inputf("look for labs beside the new one: %w", err)
	}
	last := 0
	for _, e := range entries {
		number, name, ok := strings.Cut(e.Name(), "-")
		n, err := strconv.Atoi(number)
		if _, noLab := os.Stat(filepath.Join(dir, e.Name(), lab.FileName)); !ok || err != nil || noLab != nil {
			continue
		}
		if name == id {
			return "", fault.Inputf("%s is there already", filepath.Join(dir, e.Name())).WithRemedy("choose another id, or another --dir")
		}
		last = max(last, n)
	}
	// Labs are taught in the order of their folders' names, so a number has two digits.
	next := (last/10 + 1) * 10
	if next > 99 {
		next = last + 1
	}
	if last == 0 || next > 99 {
		return id, nil
	}
	return fmt.Sprintf("%02d-%s", next, id), nil
}

// schemaFor says where the lab's editor finds the schema. In labctl's own tree that is the
// one that is checked in; elsewhere it goes into the lab's folder.
func schemaFor(dir string) (where string, schema []byte, err error) {
	shared := filepath.Join("..", "..", "docs", "schema", scaffold.SchemaFile)
	if _, err := os.Stat(filepath.Join(filepath.Dir(dir), "..", "docs", "schema", scaffold.SchemaFile)); err == nil {
		return filepath.ToSlash(shared), nil, nil
	}
	schema, err = lab.Schema(grader.RunNames())
	return scaffold.SchemaFile, schema, err
}
