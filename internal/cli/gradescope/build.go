package gradescope

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/gradescope"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/labs"
)

// BuildOptions are the inputs of "labctl gradescope build".
type BuildOptions struct {
	Streams   ui.Streams
	Target    target.Flags
	Queue     queueFlags
	Lab       string
	Out       string
	Mode      string
	Points    float64
	OutOf     float64
	Batch     string
	Round     int
	TimeLimit time.Duration
	Binary    string
}

func newBuildCmd(streams ui.Streams, run func(context.Context, *BuildOptions) error) *cobra.Command {
	opts := &BuildOptions{Streams: streams}
	if run == nil {
		run = Build
	}
	cmd := &cobra.Command{
		Use:   "build --lab LAB --out FILE.zip",
		Short: "Write the zip that is uploaded to Gradescope",
		Long: `Build writes the zip that you upload where Gradescope asks for the autograder. It holds this
labctl, which has to be one for linux/amd64, and needs no network while it is set up.

In mode queue, the autograder hands each submission to the queue of "labctl worker" and
waits for the grade, for as long as Gradescope lets it (--time-limit). The same files are
graded once, however often they are handed in; --round 1 grades everything once more.
A submission that is not graded in time has no score, and costs nobody marks: it stays
in the queue, and the autograder picks its grade up when it runs again.

The zip then holds the queue's address, with its password, and lies with Gradescope: use a
role in the database that can do no more than hand in (docs/ci.md). --queue-env keeps it
out of the zip, for an image of your own.

In mode manifests nothing is run. Students read at once whether what they handed in can
be graded, and get --points for that. It is no grade.`,
		Example: `  labctl gradescope build --lab clusterip --mode queue --queue-file queue.txt --out autograder.zip
  labctl gradescope build --lab clusterip --mode manifests --points 5 --out autograder.zip`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	f := cmd.Flags()
	f.StringVar(&opts.Lab, "lab", "", "the lab's id (see: labctl labs)")
	f.StringVarP(&opts.Out, "out", "o", "", "the zip to write")
	f.StringVar(&opts.Mode, "mode", "", "queue or manifests (default: queue where a queue is named)")
	f.Float64Var(&opts.Points, "points", 0, "mode manifests: points for what can be graded")
	f.Float64Var(&opts.OutOf, "out-of", 0, "mode queue: let so many points be full marks, as in the assignment's settings (default: the lab's)")
	f.StringVar(&opts.Batch, "batch", "", "mode queue: what the queue calls the assignment (default: gradescope/LAB)")
	f.IntVar(&opts.Round, "round", 0, "mode queue: one more than before grades again what has a grade")
	f.DurationVar(&opts.TimeLimit, "time-limit", gradescope.DefaultTimeLimit, "Gradescope's limit, as in the assignment's settings (at most 40m)")
	f.StringVar(&opts.Binary, "binary", "", "a labctl for linux/amd64 (default: this one, where it is)")
	opts.Queue.add(cmd)
	opts.Target.AddLabs(cmd)
	// The flags are there: neither can fail.
	_ = cmd.RegisterFlagCompletionFunc("lab", course.Complete(&opts.Target, course.Labs))
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]cobra.Completion{
		cobra.CompletionWithDesc(string(gradescope.Queue), "workers grade it elsewhere"),
		cobra.CompletionWithDesc(string(gradescope.Manifests), "it is only read, which is no grade"),
	}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// Build writes the zip.
func Build(_ context.Context, opts *BuildOptions) error {
	l, own, err := opts.lab()
	if err != nil {
		return err
	}
	parts := gradescope.Parts{Lab: own}
	if parts.Config, err = opts.config(l); err != nil {
		return err
	}
	if parts.Config.Mode == gradescope.Queue && opts.Queue.Env == "" {
		if parts.Queue, err = opts.Queue.address(); err != nil {
			return err
		}
	}
	if parts.Binary, err = opts.binary(); err != nil {
		return err
	}
	data, err := gradescope.Build(parts)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if parts.Secret() {
		mode = 0o600
	}
	if err := home.Replace(opts.Out, data, mode); err != nil {
		return fault.Inputf("write the autograder: %w", err).WithRemedy("name another file: --out FILE.zip")
	}
	opts.tell(l, parts, len(data))
	return nil
}

// tell says what was written, and what comes next.
func (o *BuildOptions) tell(l *lab.Lab, p gradescope.Parts, size int) {
	fmt.Fprintf(o.Streams.Out, "Wrote %s (%.1f MB): lab %s version %s, mode %s\n", o.Out, float64(size)/1e6, l.ID, l.Version, p.Config.Mode)
	next, points := o.Streams.Err, l.Points()
	switch p.Config.Mode {
	case gradescope.Manifests:
		points = p.Config.Points
		fmt.Fprintln(next, "Note: nothing is run in this mode, and what it shows is no grade. Grade by traffic: labctl batch")
	case gradescope.Queue:
		if p.Config.OutOf > 0 {
			points = p.Config.OutOf
		}
		fmt.Fprintf(next, "Note: somebody has to grade: labctl worker --lab %s\n", l.ID)
	}
	if p.Secret() {
		fmt.Fprintln(next, "Note: the zip holds the queue's password, and so will Gradescope: keep the file to yourself, and the role in the database small")
	}
	fmt.Fprintf(next, "Next: in Gradescope, %g autograder points, a time limit of at least %s, base image Ubuntu 22.04; upload the zip at Configure Autograder\n",
		points, ui.Duration(p.Config.Limit()))
}

// lab finds the lab, and its folder where it is not the one that every labctl has.
func (o *BuildOptions) lab() (*lab.Lab, fs.FS, error) {
	if o.Lab == "" {
		return nil, nil, fault.Inputf("which lab? --lab is missing").WithRemedy("labctl labs")
	}
	if !strings.HasSuffix(o.Out, ".zip") {
		return nil, nil, fault.Inputf("where to? --out %q names no .zip", o.Out).WithRemedy("labctl gradescope build --lab %s --out autograder.zip", o.Lab)
	}
	catalog, err := o.Target.Catalog()
	if err != nil {
		return nil, nil, err
	}
	l, err := catalog.Lab(o.Lab)
	if err != nil {
		return nil, nil, err
	}
	builtin, err := lab.NewCatalog(labs.Files(), nil, grader.RunNames())
	if err != nil {
		return nil, nil, err
	}
	same, err := builtin.Lab(l.ID)
	if err != nil {
		return l, l.Files, nil // labctl has none of this name
	}
	ours, err := fs.ReadFile(same.Files, lab.FileName)
	if err != nil {
		return nil, nil, fmt.Errorf("read lab %s: %w", l.ID, err)
	}
	theirs, err := fs.ReadFile(l.Files, lab.FileName)
	if err != nil {
		return nil, nil, fmt.Errorf("read lab %s: %w", l.ID, err)
	}
	if bytes.Equal(ours, theirs) {
		return l, nil, nil
	}
	return l, l.Files, nil
}

// config is what the flags ask for.
func (o *BuildOptions) config(l *lab.Lab) (gradescope.Config, error) {
	c := gradescope.Config{
		Schema: gradescope.Schema, Mode: gradescope.Mode(o.Mode), Lab: l.ID, LabVersion: l.Version, Points: o.Points,
		OutOf: o.OutOf, Batch: o.Batch, Round: o.Round, QueueEnv: o.Queue.Env, TimeLimit: o.TimeLimit.Seconds(),
	}
	if c.Mode == "" {
		c.Mode = gradescope.Manifests
		if o.Queue.given() {
			c.Mode = gradescope.Queue
		}
	}
	if c.Mode == gradescope.Manifests && o.Queue.given() {
		return c, fault.Inputf("mode manifests has no queue").WithRemedy("leave the queue away, or choose --mode queue")
	}
	if c.Mode == gradescope.Queue && c.Batch == "" {
		c.Batch = "gradescope/" + l.ID
	}
	return c, c.Check()
}

// maxBinary is far above what labctl is, in bytes.
const maxBinary = 1 << 30

// binary reads the labctl that goes into the zip.
func (o *BuildOptions) binary() ([]byte, error) {
	name := o.Binary
	if name == "" {
		if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
			return nil, fault.Inputf("Gradescope runs programs for linux/amd64, and this labctl is for %s/%s", runtime.GOOS, runtime.GOARCH).
				WithRemedy("take the one for linux/amd64 from the same release, and name it: --binary FILE")
		}
		var err error
		if name, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find labctl's own program: %w", err)
		}
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fault.Inputf("find the program: %w", err).WithRemedy("--binary FILE names a labctl for linux/amd64")
	case !info.Mode().IsRegular() || info.Size() > maxBinary:
		return nil, fault.Inputf("%s is no program", name).WithRemedy("--binary FILE names a labctl for linux/amd64")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fault.Inputf("read the program %s: %w", filepath.Base(name), err).WithRemedy("--binary FILE names a labctl for linux/amd64")
	}
	return data, nil
}
