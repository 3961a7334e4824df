// Package verify implements "labctl lab verify": it proves labs on a real cluster.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams  ui.Streams
	Target   target.Flags
	IDs      []string // labs; none means all
	Only     string   // one submission of each lab: "starter", "solution" or a check id
	Repeat   int      // how often each submission is graded
	Parallel int      // labs at the same time
	Static   bool     // only what needs no cluster
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "verify [ID…]",
		Short: "Prove labs with the submissions that come with them",
		Long: `Verify grades, on a real cluster, every submission that a lab comes with:
starter/ must score less than full (or be refused: that is an exercise, too), solution/
must score full twice in a row, and each wrong/<check-id>/ must fail exactly that check
(checks that depend on it are skipped).

With --static it needs no cluster, and takes seconds: it looks at lab.yaml, the texts and
the manifests, and lists each problem with its place.`,
		Example: `  labctl lab verify clusterip
  labctl lab verify my-first --labs ./my-first --static`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.IDs = args
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.Add(cmd)
	cmd.Flags().StringVar(&opts.Only, "only", "", "only this submission of each lab: starter, solution or a check id")
	cmd.Flags().IntVar(&opts.Repeat, "repeat", 1, "grade each submission this often")
	cmd.Flags().IntVar(&opts.Parallel, "parallel", 1, "labs at the same time")
	cmd.Flags().BoolVar(&opts.Static, "static", false, "look only at what needs no cluster")
	return cmd
}

// Run verifies the labs.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	if opts.Repeat < 1 || opts.Parallel < 1 {
		return fault.Inputf("--repeat and --parallel must be at least 1")
	}
	if opts.Static {
		return static(opts)
	}
	labs, err := chosen(opts)
	if err != nil {
		return err
	}
	progress := ui.NewProgress(opts.Streams)
	defer progress.Close()
	t, err := opts.Target.Open(ctx, progress)
	if err != nil {
		return err
	}
	v := &verifier{opts: opts, target: t, progress: progress}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(opts.Parallel)
	for _, l := range labs {
		group.Go(func() error { return v.lab(gctx, l) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	progress.Close()
	return v.summary(labs)
}

func chosen(opts *Options) ([]*lab.Lab, error) {
	catalog, err := opts.Target.Catalog()
	if err != nil {
		return nil, err
	}
	if len(opts.IDs) == 0 {
		return catalog.Labs, nil
	}
	var labs []*lab.Lab
	for _, id := range opts.IDs {
		l, err := catalog.Lab(id)
		if err != nil {
			return nil, err
		}
		labs = append(labs, l)
	}
	return labs, nil
}

// expectation is one submission of a lab and what its report has to be.
type expectation struct {
	dir   string // "solution", "starter", "wrong/<check-id>"
	times int    // in a row
	// refusable says that a submission which may not be applied is as expected.
	refusable bool
	want      func(*lab.Lab, result.Report) error
}

func expectations(l *lab.Lab) ([]expectation, error) {
	all := []expectation{{dir: "starter", times: 1, refusable: true, want: notFull}, {dir: "solution", times: 2, want: full}}
	entries, err := fs.ReadDir(l.Files, "wrong")
	if err != nil {
		return nil, fmt.Errorf("list the wrong submissions of lab %s: %w", l.ID, err)
	}
	for _, e := range entries {
		all = append(all, expectation{dir: path.Join("wrong", e.Name()), times: 1, want: only(e.Name())})
	}
	return all, nil
}

func full(_ *lab.Lab, r result.Report) error {
	if r.Score == r.MaxScore {
		return nil
	}
	return fmt.Errorf("scores %v of %v: %s", r.Score, r.MaxScore, verdicts(r))
}

func notFull(_ *lab.Lab, r result.Report) error {
	if r.Score < r.MaxScore {
		return nil
	}
	return fmt.Errorf("scores full marks: there is nothing left to do")
}

// only wants exactly the check to fail; those that depend on it are skipped.
func only(id string) func(*lab.Lab, result.Report) error {
	return func(l *lab.Lab, r result.Report) error {
		for _, c := range r.Checks {
			want := result.Passed
			switch {
			case c.ID == id:
				want = result.Failed
			case l.DependsOn(c.ID, id):
				want = result.Skipped
			}
			if c.Status != want {
				return fmt.Errorf("check %s is %s, not %s: %s", c.ID, c.Status, want, verdicts(r))
			}
		}
		return nil
	}
}

// verdicts lists the checks that did not pass.
func verdicts(r result.Report) string {
	var all []string
	for _, c := range r.Checks {
		if c.Status != result.Passed {
			all = append(all, fmt.Sprintf("%s %s (%s)", c.ID, c.Status, ui.Clean(c.Message, 200)))
		}
	}
	return strings.Join(all, "; ")
}

// verifier grades and compares.
type verifier struct {
	opts     *Options
	target   *target.Target
	progress *ui.Progress

	mu     sync.Mutex
	runs   int
	faults []string
	notes  []string // what an author should know, and is no fault
}

// lab grades all submissions of one lab, one after the other: they may claim the same
// node port.
func (v *verifier) lab(ctx context.Context, l *lab.Lab) error {
	if err := v.target.Serves(ctx, l); err != nil {
		return err
	}
	all, err := expectations(l)
	if err != nil {
		return err
	}
	for _, e := range all {
		if v.opts.Only != "" && path.Base(e.dir) != v.opts.Only {
			continue
		}
		for range v.opts.Repeat * e.times {
			if err := v.one(ctx, l, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// one grades a submission once; an error is of the environment.
func (v *verifier) one(ctx context.Context, l *lab.Lab, e expectation) error {
	name := fmt.Sprintf("%s %s", l.ID, e.dir)
	end := v.progress.Begin(name)
	err := v.grade(ctx, l, e)
	end(err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.runs++
	if err != nil {
		v.faults = append(v.faults, fmt.Sprintf("%s: %v", name, err))
		v.progress.Note(ui.Clean(err.Error(), 500)) // at once: the summary may be an hour away
	}
	return nil
}

// refused notes that a submission may not be applied, where that is as expected.
func (v *verifier) refused(l *lab.Lab, e expectation, err error) error {
	if !e.refusable || fault.KindOf(err) != fault.Input {
		return err
	}
	note := fmt.Sprintf("%s %s is refused, which counts as less than full: %s", l.ID, e.dir, ui.Clean(err.Error(), 300))
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Contains(v.notes, note) {
		v.notes = append(v.notes, note)
	}
	return nil
}

func (v *verifier) grade(ctx context.Context, l *lab.Lab, e expectation) error {
	limits := target.Limits(l)
	limits.AnswersSuffice = true // objects may be what is missing
	sub, err := submission.ReadFS(l.Files, e.dir, limits)
	if err != nil {
		return v.refused(l, e, err)
	}
	quiet := func(string) func(error) { return func(error) {} }
	g, err := v.target.Grading(l, sub, quiet, nil)
	if err != nil {
		return err
	}
	r, err := g.Run(ctx)
	if errClean := g.Clean(ctx); errClean != nil {
		return errors.Join(err, errClean)
	}
	switch {
	case err != nil:
		return v.refused(l, e, err)
	case r.Status != result.Graded:
		return fmt.Errorf("not graded: %s", r.Message)
	}
	return e.want(l, r)
}

func (v *verifier) summary(labs []*lab.Lab) error {
	slices.Sort(v.faults)
	slices.Sort(v.notes)
	for _, n := range v.notes {
		fmt.Fprintf(v.opts.Streams.Out, "note\t%s\n", n)
	}
	for _, f := range v.faults {
		fmt.Fprintf(v.opts.Streams.Out, "wrong\t%s\n", f)
	}
	checks := 0
	for _, l := range labs {
		checks += len(l.Checks)
	}
	fmt.Fprintf(v.opts.Streams.Out, "%s, %s: %s graded, %d as expected\n",
		plural(len(labs), "lab"), plural(checks, "check"), plural(v.runs, "submission"), v.runs-len(v.faults))
	if len(v.faults) > 0 {
		return &ui.ExitError{Code: 1}
	}
	return nil
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
