// Package reset implements "labctl reset".
package reset

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

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
	Step    string
	Force   bool

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
		Use:   "reset [STEP]",
		Short: "Bring the lab back to where it began",
		Long: `Reset puts the starter files back that are missing from the working folder, and applies
the objects that the lab begins with once more. Files that you changed, and objects that
you added, stay as they are and are named.

--force starts over: changed files are replaced and the namespace is made anew. Copies of
both are kept in the working folder, as FILE.bak-TIME and namespace.bak-TIME.
With STEP only the files of that step are taken. What you reached stays in your progress.`,
		Example: `  labctl reset
  labctl reset database --force`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.cmd = cmd
			if len(args) > 0 {
				opts.Step = args[0]
			}
			return run(cmd.Context(), opts)
		},
	}
	opts.Target.Add(cmd)
	cmd.Flags().BoolVar(&opts.Force, "force", false, "replace what you changed; a copy is kept")
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Steps)
	return cmd
}

// Run resets the lab that the student is in.
func Run(ctx context.Context, opts *Options) error {
	kube.Silence()
	c, l, mine, err := course.OpenLab(ctx, opts.Streams, &opts.Target, "")
	if err != nil {
		return err
	}
	r := resetting{opts: opts, course: c, lab: l}
	if r.only, err = opts.files(l); err != nil {
		return err
	}
	c.UseCluster(opts.cmd, &opts.Target, mine)
	dir := mine.Folder
	if dir == "" {
		dir = l.ID
	}
	if r.folder, err = student.OpenFolder(dir); err != nil {
		return err
	}
	// The files first: they need no cluster.
	given, err := r.folder.Give(l, opts.Force, r.only, c.Now())
	t := course.Table{Streams: opts.Streams}
	t.Head("lab", l.ID, l.Title)
	course.PrintGiven(&t, r.folder.Dir, given)
	t.Flush()
	if err != nil {
		return err
	}
	if err := r.cluster(ctx, &t); err != nil {
		return err
	}
	fmt.Fprintln(opts.Streams.Err, "Next: labctl show")
	return nil
}

// files chooses the starter files of the step; nil stands for all.
func (o *Options) files(l *lab.Lab) (func(string) bool, error) {
	if o.Step == "" {
		return nil, nil
	}
	step, number, err := l.FindStep(o.Step)
	if err != nil {
		return nil, err
	}
	files, known, err := student.StepFiles(l, number)
	if err != nil {
		return nil, err
	}
	if !known || len(files) == 0 {
		return nil, fault.Inputf("no file of lab %s says that it belongs to step %d, %s", l.ID, number, step.ID).
			WithRemedy("labctl reset, which takes all of them")
	}
	return func(name string) bool {
		for _, f := range files {
			if f == name {
				return true
			}
		}
		return false
	}, nil
}

// resetting is one lab being brought back.
type resetting struct {
	opts   *Options
	course *course.Course
	lab    *lab.Lab
	folder *student.Folder
	only   func(string) bool // nil for all files
}

// cluster brings the namespace back, and adds to the table what it did.
func (r *resetting) cluster(ctx context.Context, t *course.Table) error {
	progress := ui.NewProgress(r.opts.Streams)
	defer progress.Close()
	place, err := r.opts.open(ctx, &r.opts.Target, progress)
	if err != nil {
		return err
	}
	usual, err := place.CheckContext()
	if err != nil {
		return err
	}
	e := place.Exercise(r.lab, progress.Begin)
	backup := ""
	if r.opts.Force && r.only == nil {
		if backup, err = r.empty(ctx, e); err != nil {
			return err
		}
	}
	made, err := e.Prepare(ctx)
	if err != nil {
		return err
	}
	applied, err := e.Apply(ctx, r.only)
	if err != nil {
		return err
	}
	others, err := e.Others(ctx)
	if err != nil {
		return err
	}
	if err := usual.Use(e.Namespace()); err != nil {
		return err
	}
	if err := r.record(ctx, place, e.Namespace()); err != nil {
		return err
	}
	progress.Close()
	did := "as it was"
	if made {
		did = "made anew"
	}
	t.Line(course.OK, "namespace", e.Namespace(), did+", in cluster "+place.Cluster)
	if backup != "" {
		t.Line(course.Warn, "namespace", e.Namespace(), "what was in it is kept as "+backup)
	}
	course.PrintApplied(t, applied, place.Context)
	if len(others) > 0 {
		t.Line(course.Warn, "left", strings.Join(others, ", "), "yours; `labctl reset --force`, or `kubectl delete`, removes it")
	}
	course.PrintContext(t, usual, e.Namespace())
	t.Flush()
	return nil
}

// empty removes the namespace, after its objects were written into the working folder. The
// copy's name is no manifest's: it must neither be applied nor be handed in by mistake.
func (r *resetting) empty(ctx context.Context, e *exercise.Exercise) (string, error) {
	there, err := e.Look(ctx)
	if err != nil || !there {
		return "", err
	}
	objects, err := e.Live(ctx)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	for _, o := range objects {
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			return "", fmt.Errorf("keep a copy of namespace %s: %w", e.Namespace(), err)
		}
		text.WriteString("---\n")
		text.Write(data)
	}
	name := ""
	if len(objects) > 0 {
		name = "namespace.bak-" + r.course.Now().UTC().Format("20060102T150405Z")
		if err := student.Place(filepath.Join(r.folder.Dir, name), text.Bytes()); err != nil {
			return "", fault.Inputf("keep a copy of namespace %s: %w", e.Namespace(), err)
		}
	}
	return name, e.Remove(ctx)
}

// record keeps where the lab is now. The last report was about what is no more.
func (r *resetting) record(ctx context.Context, place *exercise.Place, namespace string) error {
	if err := r.course.Store.ForgetReport(r.lab.ID); err != nil {
		return err
	}
	_, err := r.course.Update(ctx, r.lab, func(_ *student.Progress, mine *student.Lab) {
		mine.Folder, mine.Cluster, mine.Namespace = r.folder.Dir, place.Cluster, namespace
		if r.opts.Force && r.only == nil {
			mine.Renew(r.course.Now())
		}
	})
	return err
}
