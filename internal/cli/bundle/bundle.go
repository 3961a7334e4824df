// Package bundle implements "labctl bundle": all images in one file, for machines that
// reach no registry.
package bundle

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/images"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/internal/version"
)

// Options are the commands' inputs.
type Options struct {
	Streams ui.Streams
	Path    string
	JSON    bool // inspect only
}

// NewCmd returns the group of commands.
func NewCmd(streams ui.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Carry all images to a machine without a registry, in one file",
		Long: `A bundle holds the node image and the fixture images for one architecture. Where it was
loaded, labctl up needs no registry, no packages and nothing built.`,
		Example: `  labctl bundle save labctl.tar.gz   # where the images are
  labctl bundle load labctl.tar.gz   # where they are to be; then: labctl up`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSave(streams), newLoad(streams), newInspect(streams))
	return cmd
}

func newSave(streams ui.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "save FILE",
		Short: "Write the node image and the fixture images to a file",
		Long: `Save writes the node image that was built or loaded on this machine, and the fixture
images, which it makes where they are missing. FILE appears when it is complete; one that
is there already is replaced.`,
		Example: "  labctl bundle save labctl.bundle",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return Save(cmd.Context(), &Options{Streams: streams, Path: args[0]})
		},
	}
}

func newLoad(streams ui.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "load FILE",
		Short: "Check a bundle and take its images into the cache",
		Long: `Load checks all of the bundle before it changes anything: a file that is truncated,
altered, or for another architecture is refused with exit code 2.`,
		Example: "  labctl bundle load labctl.bundle",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return Load(cmd.Context(), &Options{Streams: streams, Path: args[0]})
		},
	}
}

func newInspect(streams ui.Streams) *cobra.Command {
	opts := &Options{Streams: streams}
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Check a bundle and say what it holds",
		Example: `  labctl bundle inspect labctl.bundle
  labctl bundle inspect labctl.bundle --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Path = args[0]
			return Inspect(cmd.Context(), opts)
		},
	}
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print JSON")
	return cmd
}

// Save writes a bundle.
func Save(ctx context.Context, opts *Options) error {
	b, err := withStore(opts, func(s *images.Store) (images.Bundle, error) {
		return s.SaveBundle(ctx, opts.Path, version.Current().Version)
	})
	if err != nil {
		return err
	}
	file, err := os.Stat(opts.Path)
	if err != nil {
		return fmt.Errorf("look at the bundle: %w", err)
	}
	fmt.Fprintf(opts.Streams.Out, "Saved %s, in a file of %s\nNext, on the other machine: labctl bundle load %s\n", summary(b), size(file.Size()), opts.Path)
	return nil
}

// Load takes a bundle's images into the cache.
func Load(ctx context.Context, opts *Options) error {
	b, err := withStore(opts, func(s *images.Store) (images.Bundle, error) {
		return s.LoadBundle(ctx, opts.Path)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(opts.Streams.Out, "Loaded %s\nNext: labctl up\n", summary(b))
	return nil
}

// withStore gives the store of this machine, with steps shown while it works.
func withStore(opts *Options, work func(*images.Store) (images.Bundle, error)) (images.Bundle, error) {
	cache, err := home.Cache()
	if err != nil {
		return images.Bundle{}, err
	}
	progress := ui.NewProgress(opts.Streams)
	defer progress.Close()
	return work(images.NewStore(cache, progress))
}

func summary(b images.Bundle) string {
	return fmt.Sprintf("%s (Kubernetes %s) and %d fixture images for %s, %s",
		b.NodeImage.Ref, b.NodeImage.Kubernetes, len(b.Images), b.Arch, size(b.Size()))
}

func size(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// Inspect prints what a bundle holds, after reading all of it.
func Inspect(ctx context.Context, opts *Options) error {
	progress := ui.NewProgress(opts.Streams)
	end := progress.Begin("check " + opts.Path)
	b, err := images.InspectBundle(ctx, opts.Path)
	end(err)
	progress.Close()
	if err != nil {
		return err
	}
	out := opts.Streams.Out
	if opts.JSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(b)
	}
	fmt.Fprintf(out, "schema\t%s\nlabctl\t%s\narch\t%s\nsize\t%s in %d files\n", b.Schema, b.Labctl, b.Arch, size(b.Size()), len(b.Files))
	fmt.Fprintf(out, "node\t%s\t%s\tKubernetes %s\n", b.NodeImage.Ref, b.NodeImage.ID, b.NodeImage.Kubernetes)
	for _, i := range b.Images {
		fmt.Fprintf(out, "image\t%s\t%s\n", i.Ref, i.Digest)
	}
	return nil
}
