// Package submit implements "labctl submit".
package submit

import (
	"context"
	"encoding/json"
	"fmt"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/internal/version"
)

// unofficial is what a local report says about itself.
const unofficial = "made on the student's own machine, from what ran there; only labctl grade, run by the instructor on these files, gives marks"

// Options are the command's inputs.
type Options struct {
	Streams ui.Streams
	Target  target.Flags
	Lab     string // "" is the lab that was started last
	Out     string // "" is STUDENT-LAB.tar.gz in the current folder
	Student string // "" is the user's name

	cmd *cobra.Command
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "submit [LAB]",
		Short: "Pack your work for the instructor",
		Long: `Submit makes a .tar.gz of the manifests and answers in the working folder. It refuses what
"labctl grade" would refuse, with the same findings, and says where the folder is not what
runs in your cluster, where that is there: what you only typed is not handed in. Your last local
report goes with it for the instructor to read; it is unofficial, and grading does not look at it.`,
		Example: `  labctl submit
  labctl submit nodeport --student anna --out anna.tar.gz`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.Lab = args[0]
			}
			return run(cmd.Context(), opts)
		},
	}
	opts.cmd = cmd
	opts.Target.Add(cmd)
	cmd.Flags().StringVar(&opts.Out, "out", "", "the archive (default: STUDENT-LAB.tar.gz)")
	cmd.Flags().StringVar(&opts.Student, "student", "", "your name (default: that of the user of this machine)")
	cmd.ValidArgsFunction = course.Complete(&opts.Target, course.Started)
	return cmd
}

// Run packs the work on a lab.
func Run(ctx context.Context, opts *Options) error {
	c, l, mine, err := course.OpenLab(ctx, opts.Streams, &opts.Target, opts.Lab)
	if err != nil {
		return err
	}
	if err := opts.names(l); err != nil {
		return err
	}
	folder, err := student.OpenFolder(mine.Folder)
	if err != nil {
		return err
	}
	if mine.Folder == "" || !folder.Exists() {
		return fault.Inputf("the working folder of lab %s is gone", l.ID).WithRemedy("labctl reset")
	}
	report, _, err := c.Store.LoadReport(l.ID)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(opts.local(l, mine, report), "", "  ")
	if err != nil {
		return fmt.Errorf("encode the local report: %w", err)
	}
	packed, err := submission.Pack(folder.Dir, target.Limits(l), append(data, '\n'))
	if err != nil {
		return err
	}
	if err := student.Place(opts.Out, packed.Archive); err != nil {
		return fault.Inputf("write the submission: %w", err).WithRemedy("choose another file with --out")
	}
	c.UseCluster(opts.cmd, &opts.Target, mine)
	loose, changed := opts.apart(ctx, l, packed)
	opts.print(l, mine, packed, loose, changed)
	return nil
}

// apartTime bounds the look at the cluster.
const apartTime = 20 * time.Second

// apart tells what runs in the cluster and is not handed in, and what is handed in and runs
// otherwise there. Without a cluster, or a namespace, there is nothing to tell.
func (o *Options) apart(ctx context.Context, l *lab.Lab, p *submission.Packed) (loose, changed []string) {
	ctx, cancel := context.WithTimeout(ctx, apartTime)
	defer cancel()
	progress := ui.NewProgress(o.Streams)
	defer progress.Close()
	place, err := course.OpenPlace(ctx, &o.Target, progress)
	if err != nil {
		return nil, nil
	}
	e := place.Exercise(l, progress.Begin)
	if there, err := e.Look(ctx); err != nil || !there {
		return nil, nil
	}
	loose, changed, err = e.Apart(ctx, p.Unstructured())
	if err != nil {
		return nil, nil
	}
	return loose, changed
}

// names chooses the student's name and the archive's.
func (o *Options) names(l *lab.Lab) error {
	if o.Student == "" {
		if u, err := user.Current(); err == nil {
			o.Student = u.Username
		}
	}
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\: `, r) || r < ' ' {
			return '-'
		}
		return r
	}, o.Student)
	if name = strings.Trim(name, "-."); name == "" {
		return fault.Inputf("whose submission is it? %q is no name for a file", o.Student).WithRemedy("labctl submit --student NAME")
	}
	if o.Out == "" {
		o.Out = name + "-" + l.ID + ".tar.gz"
	}
	if !strings.HasSuffix(o.Out, ".tar.gz") && !strings.HasSuffix(o.Out, ".tgz") {
		return fault.Inputf("a submission is a .tar.gz, which %q does not say", o.Out).WithRemedy("labctl submit --out %s.tar.gz", o.Out)
	}
	return nil
}

// localReport is the report of the student's own machine, which says that it is one.
type localReport struct {
	result.Report
	Unofficial string               `json:"unofficial"`
	Hints      map[string]int       `json:"hints,omitempty"`  // shown, by check
	GaveUp     map[string]time.Time `json:"gaveUp,omitempty"` // by step
}

// local makes the local report. Without a check there are no verdicts in it.
func (o *Options) local(l *lab.Lab, mine *student.Lab, r result.Report) localReport {
	if r.Schema == "" {
		r = result.Report{
			Status: result.Errored, Message: "no check was made", Started: mine.Started, Finished: mine.Started,
			Lab: result.Lab{ID: l.ID, Title: l.Title, Version: l.Version}, MaxScore: l.VisiblePoints(), Checks: []result.Check{},
		}
	}
	r = r.ForStudent()
	r.Schema, r.Student = result.Schema, o.Student
	if r.Labctl == "" {
		r.Labctl = version.Current().Version
	}
	local := localReport{Report: r, Unofficial: unofficial, Hints: map[string]int{}, GaveUp: mine.GaveUp}
	for _, c := range l.Visible() {
		if s := mine.Checks[c.ID]; s != nil && s.Hints > 0 {
			local.Hints[c.ID] = s.Hints
		}
	}
	return local
}

func (o *Options) print(l *lab.Lab, mine *student.Lab, p *submission.Packed, loose, changed []string) {
	t := course.Table{Streams: o.Streams}
	t.Head("lab", l.ID, l.Title)
	t.Line(course.OK, "packed", course.Short(absolute(o.Out)), strings.Join(p.Files, ", "))
	t.Line(course.OK, "digest", p.Digest)
	passed, all := mine.Count(l.Visible()), len(l.Visible())
	level := course.OK
	if passed < all {
		level = course.Warn
	}
	t.Line(level, "report", fmt.Sprintf("%d of %d checks passed here; unofficial: your instructor's grading counts", passed, all))
	if len(loose) > 0 {
		t.Line(course.Warn, "not in it", strings.Join(loose, ", ")+": in your cluster, and in no file; `kubectl get -o yaml` shows what to write into one")
	}
	if len(changed) > 0 {
		t.Line(course.Warn, "not the same", strings.Join(changed, ", ")+": not as in your cluster, where the checks were made; apply the folder and check again")
	}
	if missing := l.Unanswered(p.Answers); len(missing) > 0 {
		t.Line(course.Warn, "answers", "none yet to "+strings.Join(missing, ", "))
	}
	for _, s := range l.Steps {
		if mine.Gave(s.ID) {
			t.Line(course.Warn, "gave up", s.ID, "the report says so")
		}
	}
	t.Flush()
	fmt.Fprintf(o.Streams.Err, "Next: hand in %s (to try it as your instructor will: labctl grade %s --lab %s)\n", o.Out, o.Out, l.ID)
}

func absolute(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return full
}
