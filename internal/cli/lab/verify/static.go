package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
)

// static verifies what needs no cluster: lab.yaml and the texts, which is what loading looks
// at, and that every submission of the lab is one that may be handed in. It prints each
// problem on a line of its own, with its place first, as compilers do.
func static(opts *Options) error {
	labs, err := chosen(opts)
	var invalid *lab.Error
	if errors.As(err, &invalid) {
		for _, p := range invalid.Problems {
			fmt.Fprintln(opts.Streams.Out, p)
		}
		return problemsFound(len(invalid.Problems))
	}
	if err != nil {
		return err
	}
	total, count := 0, 0
	for _, l := range labs {
		all, err := expectations(l)
		if err != nil {
			return err
		}
		found, notes, err := submissionProblems(l, all)
		if err != nil {
			return err
		}
		found = append(l.WideDrawings(), found...)
		for _, p := range found {
			fmt.Fprintln(opts.Streams.Out, p)
		}
		for _, n := range notes {
			fmt.Fprintf(opts.Streams.Out, "note\t%s\n", n)
		}
		total += len(found)
		count += len(all)
		if len(found) == 0 {
			sound(opts.Streams, l, len(all))
		}
	}
	if total > 0 {
		return problemsFound(total)
	}
	fmt.Fprintf(opts.Streams.Err, "%s and %s without a problem. Next: labctl lab verify%s\n",
		plural(len(labs), "lab"), plural(count, "submission"), sameArgs(opts))
	return nil
}

// submissionProblems reads every submission that comes with the lab. One that may be refused,
// since that can be the exercise, is only noted.
func submissionProblems(l *lab.Lab, all []expectation) (found []lab.Problem, notes []string, err error) {
	solutionBroken := false
	for _, e := range all {
		if solutionBroken && buildsUpon(l, e.dir) {
			continue // it would only repeat what is wrong with the solution
		}
		limits := target.Limits(l)
		limits.AnswersSuffice = true // as for the proof itself
		_, err := submission.ReadFS(l.Files, e.dir, limits)
		var refused *submission.Error
		if !errors.As(err, &refused) {
			if err != nil {
				return nil, nil, err
			}
			continue
		}
		solutionBroken = solutionBroken || e.dir == lab.SolutionDir
		for _, f := range refused.Findings {
			p := lab.Problem{File: path.Join(path.Dir(l.Path), f.File), Field: f.Field, Message: f.Message}
			if f.Document > 0 {
				p.File += fmt.Sprintf(", document %d", f.Document)
			}
			if e.refusable {
				notes = append(notes, fmt.Sprintf("%s is refused, which counts as less than full: %s", e.dir, p))
			} else {
				found = append(found, p)
			}
		}
	}
	return found, notes, nil
}

// buildsUpon tells whether a submission is a kustomization, which takes the solution's files.
func buildsUpon(l *lab.Lab, dir string) bool {
	_, err := fs.Stat(l.Files, path.Join(dir, "kustomization.yaml"))
	return err == nil
}

func sound(streams ui.Streams, l *lab.Lab, submissions int) {
	if !streams.OutTerminal {
		fmt.Fprintf(streams.Out, "ok\t%s\t%d checks\t%d submissions\n", l.ID, len(l.Checks), submissions)
		return
	}
	fmt.Fprintf(streams.Out, "%s %-24s %3d checks  %3d submissions\n", ui.Paint(true, ui.Green, "✓"), l.ID, len(l.Checks), submissions)
}

func problemsFound(n int) error {
	return fault.Inputf("problems found: %d", n).WithRemedy("docs/adding-a-lab.md says what a lab is made of")
}

// sameArgs repeats what the command was called with, for the next one.
func sameArgs(opts *Options) string {
	s := ""
	for _, id := range opts.IDs {
		s += " " + id
	}
	for _, dir := range opts.Target.Labs {
		s += " --labs " + dir
	}
	return s
}
