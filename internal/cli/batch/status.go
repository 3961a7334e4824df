package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/cli/sites"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/ui"
)

type statusOptions struct {
	streams ui.Streams
	queue   sites.QueueFlags
	dir     string
	json    bool
}

func newStatusCmd(streams ui.Streams, run func(context.Context, *statusOptions) error) *cobra.Command {
	opts := &statusOptions{streams: streams}
	if run == nil {
		run = runStatus
	}
	cmd := &cobra.Command{
		Use:     "status DIR",
		Short:   "Show how far a batch is, while it is graded or after",
		Example: "  labctl batch status graded",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.dir = args[0]
			return run(cmd.Context(), opts)
		},
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	opts.queue.Add(cmd)
	return cmd
}

func runStatus(ctx context.Context, opts *statusOptions) error {
	book, err := batch.ReadBook(opts.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Inputf("%s holds no batch", opts.dir).WithRemedy("labctl batch SUBMISSIONS --lab LAB --out %s", opts.dir)
	}
	if err != nil {
		return err
	}
	if book.Queue != "" && opts.queue.Named() == "" {
		return fault.Inputf("the batch in %s is queued in %s", opts.dir, book.Queue).WithRemedy("name it, with its password: --queue")
	}
	store, err := batch.OpenFor(ctx, opts.dir, opts.queue.Named())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // nothing is written
	p, err := batch.Status(ctx, store, book, batch.DefaultTimes())
	if err != nil {
		return err
	}
	out := opts.streams.Out
	if opts.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	fmt.Fprintf(out, "lab\t%s\t%s\n", book.Lab.ID, book.Lab.Version)
	fmt.Fprintf(out, "students\t%d\n", p.Students)
	fmt.Fprintf(out, "done\t%d\t%s\n", p.Students-p.Pending, Counts(p.Counts))
	fmt.Fprintf(out, "pending\t%d\n", p.Pending)
	owners := map[string]string{}
	for _, e := range book.Students {
		owners[e.Digest] = e.Student
	}
	for _, w := range p.Workers {
		for _, digest := range w.Doing {
			fmt.Fprintf(out, "worker\t%s\t%s\n", w.Worker, ui.Clean(owners[digest], 0))
		}
	}
	if p.Pending > 0 {
		fmt.Fprintf(opts.streams.Err, "Next: labctl batch %s --lab %s --out %s\n", book.Source, book.Lab.ID, opts.dir)
	}
	return nil
}
