// Package start implements "labctl start".
package start

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/exercise"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Lab     string
	Dir     string // the working folder; "" is the one that the lab has, or a new one named after it
	Force   bool   // replace changed files, after a copy was made

	cmd  *cobra.Command
	open func(context.Context, *target.Flags, *ui.Progress) (*exercise.Place, error)
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams, open: course.OpenPlace}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "start LAB",
		Short: "Start a lab, or go on with it",
		Long: `Start makes a namespace named like the lab, applies the objects that the lab begins
with, puts the starter manifests into a working folder, and sets the namespace of the
context that labctl wrote. No other context is touched.

Started again, a lab goes on where it was: nothing is applied anew and no file is
overwritten. --force gives the starter files again and keeps a copy of changed ones.`,
		Example: `  labctl start clusterip
  labctl start nodeport --dir ~/labs/nodeport`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Lab, opts.cmd = args[0], cmd
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.Add(cmd)
	cmd.Flags().StringVar(&opts.Dir, "dir", "", "the working folder (default: ./LAB)")
	cmd.Flags().BoolVar(&opts.Force, "force", false, "replace files that you changed; a copy of each is kept")
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Labs)
	return cmd
}

// Run starts the lab, or goes on with it.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	c, err := course.Open(ctx, opts.Streams, &opts.Target)
	if err != nil {
		return err
	}
	l, err := c.Catalog.Lab(opts.Lab)
	if err != nil {
		return err
	}
	mine := c.Progress.Labs[l.ID]
	c.UseCluster(opts.cmd, &opts.Target, mine)
	folder, err := opts.folder(l, mine)
	if err != nil {
		return err
	}
	progress := ui.NewProgress(opts.Streams)
	defer progress.Close()
	place, err := opts.open(ctx, &opts.Target, progress)
	if err != nil {
		return err
	}
	usual, err := place.CheckContext()
	if err != nil {
		return err
	}
	s := starting{opts: opts, course: c, lab: l, folder: folder, place: place, context: usual}
	if err := s.run(ctx, progress); err != nil {
		return err
	}
	progress.Close()
	s.print(place.Serves(ctx, l))
	return nil
}

// folder chooses the working folder and refuses one that is in use for something else.
func (o *Options) folder(l *lab.Lab, mine *student.Lab) (*student.Folder, error) {
	dir := o.Dir
	if dir == "" && mine != nil {
		dir = mine.Folder
	}
	if dir == "" {
		dir = l.ID
	}
	f, err := student.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	known := f.Lab() == l.ID || mine != nil && mine.Folder == f.Dir
	switch {
	case f.Lab() != "" && f.Lab() != l.ID:
		return nil, fault.Inputf("%s is the working folder of lab %s", f.Dir, f.Lab()).WithRemedy("labctl start %s --dir FOLDER", l.ID)
	case !known && !f.Empty() && !o.Force:
		return nil, fault.Inputf("%s is there already, and is no working folder of labctl's", f.Dir).
			WithRemedy("labctl start %s --dir FOLDER; or --force, which keeps a copy of what it replaces", l.ID)
	}
	return f, nil
}

// starting is one lab being started.
type starting struct {
	opts    *Options
	course  *course.Course
	lab     *lab.Lab
	folder  *student.Folder
	place   *exercise.Place
	context exercise.Context

	made    bool // the namespace
	applied []exercise.Applied
	given   []student.Given
	resumed bool // the folder was there and was left as it is
}

func (s *starting) run(ctx context.Context, progress *ui.Progress) error {
	e := s.place.Exercise(s.lab, progress.Begin)
	var err error
	if s.made, err = e.Prepare(ctx); err != nil {
		return err
	}
	// The folder comes before the objects: whoever interrupts finds it, and starts again.
	s.resumed = s.folder.Lab() == s.lab.ID && s.folder.Exists() && !s.opts.Force
	if !s.resumed {
		if s.given, err = s.folder.Give(s.lab, s.opts.Force, nil, s.course.Now()); err != nil {
			return err
		}
	}
	if s.made || !s.complete() {
		if s.applied, err = e.Apply(ctx, nil); err != nil {
			return err
		}
	}
	if err := s.context.Use(e.Namespace()); err != nil {
		return err
	}
	return s.record(ctx, e.Namespace())
}

// complete tells whether an earlier start came to its end, in this cluster.
func (s *starting) complete() bool {
	mine := s.course.Progress.Labs[s.lab.ID]
	return mine != nil && mine.Namespace != "" && mine.Cluster == s.place.Cluster
}

func (s *starting) record(ctx context.Context, namespace string) error {
	_, err := s.course.Update(ctx, s.lab, func(p *student.Progress, mine *student.Lab) {
		p.Current = s.lab.ID
		mine.Version, mine.Folder, mine.Cluster, mine.Namespace = s.lab.Version, s.folder.Dir, s.place.Cluster, namespace
	})
	return err
}

// print tells what was made, and how to go on.
func (s *starting) print(unserved error) {
	w := course.Table{Streams: s.opts.Streams}
	w.Head("lab", s.lab.ID, s.lab.Title)
	did := "made"
	if !s.made {
		did = "as it was"
	}
	w.Line(course.OK, "namespace", s.lab.ID, did+", in cluster "+s.place.Cluster)
	course.PrintApplied(&w, s.applied, s.place.Context)
	course.PrintGiven(&w, s.folder.Dir, s.given)
	if s.resumed {
		w.Line(course.OK, "folder", course.Short(s.folder.Dir), "as it was")
	}
	course.PrintContext(&w, s.context, s.lab.ID)
	if unserved != nil {
		w.Line(course.Warn, "balancer", unserved.Error(), fault.RemedyOf(unserved))
	}
	w.Flush()
	s.next()
}

// next names the commands to go on with.
func (s *starting) next() {
	next := "labctl show"
	if short := course.Short(s.folder.Dir); short != "." {
		next = "cd " + shellWord(short) + " && " + next
	}
	fmt.Fprintf(s.opts.Streams.Err, "Next: %s\n", next)
}

// shellWord quotes a path where a shell needs it.
func shellWord(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\n'\"\\$&|;<>()*?[]#~`!{}") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
