package batch

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

// view shows a batch while it is graded: on a terminal a bar with what everybody does, in a
// pipe a line a student.
type view struct {
	streams  ui.Streams
	progress *ui.Progress

	mu       sync.Mutex
	students map[string][]string // by the digest of what they handed in
	began    time.Time
	first    int // grades that were there at the beginning; -1 until that is known
	trouble  string
}

func newView(streams ui.Streams, progress *ui.Progress) *view {
	return &view{streams: streams, progress: progress, students: map[string][]string{}, began: time.Now(), first: -1}
}

// handed notes whose submission it is.
func (v *view) handed(student string, h *batch.Handed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.students[h.Digest] = append(v.students[h.Digest], student)
}

// graded shows a student's result.
func (v *view) graded(e batch.Entry, r result.Report, known bool) {
	if known {
		return
	}
	v.progress.Above(func() {
		name := ui.Clean(e.Student, 60)
		score, why := fmt.Sprintf("%.4g/%.4g", r.Final(), r.MaxScore), failures(r)
		if r.Status != result.Graded {
			score, why = "-", ui.Clean(cmp.Or(refusals(r), r.Message), 200)
		}
		if !v.streams.OutTerminal {
			fmt.Fprintf(v.streams.Out, "%s\t%s\t%s\t%.1fs\t%s\n", r.Status, ui.Clean(e.Student, 0), score, r.Finished.Sub(r.Started).Seconds(), why)
			return
		}
		mark, style := "✓", ui.Green
		switch {
		case r.Status == result.Errored:
			mark, style = "!", ui.Yellow
		case r.Status == result.Missing:
			mark, style = "-", ui.Faint
		case r.Status == result.Rejected || r.Score < r.MaxScore:
			mark, style = "✗", ui.Red
		}
		fmt.Fprintf(v.streams.Out, "%s %-24s %9s  %s\n", ui.Paint(true, style, mark), name, score, ui.Paint(true, ui.Faint, why))
	})
}

// failures names the checks that failed, or what else there is to say.
func failures(r result.Report) string {
	var failed []string
	for _, c := range r.Checks {
		if c.Status == result.Failed {
			failed = append(failed, c.ID)
		}
	}
	if len(failed) == 0 {
		return ""
	}
	return "failed: " + strings.Join(failed, ", ")
}

// refusals tells the first thing for which the submission was refused, and how many there are.
func refusals(r result.Report) string {
	if len(r.Findings) == 0 {
		return ""
	}
	text := "refused: " + r.Findings[0].String()
	if more := len(r.Findings) - 1; more > 0 {
		text = ui.Clean(text, 160) + fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

const barWidth = 30

// show redraws how far it is.
func (v *view) show(p batch.Progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	done := p.Students - p.Pending
	if v.first < 0 && p.Trouble == "" {
		v.first = done
	}
	if p.Trouble != v.trouble {
		if v.trouble = p.Trouble; p.Trouble != "" {
			v.progress.Note("the queue is out of reach: " + ui.Clean(p.Trouble, 200))
		} else {
			v.progress.Note("the queue is there again")
		}
	}
	filled := 0
	if p.Students > 0 {
		filled = barWidth * done / p.Students
	}
	lines := []string{fmt.Sprintf("%s%s %d of %d%s  %s", strings.Repeat("█", filled), strings.Repeat("░", barWidth-filled),
		done, p.Students, v.pace(done, p.Pending), Counts(p.Counts))}
	for _, w := range p.Workers {
		if len(w.Doing) > 0 {
			lines = append(lines, "  "+w.Worker+": "+v.names(w.Doing))
		}
	}
	v.progress.Foot(lines...)
}

// pace is the rate so far, and the time that is left at it.
func (v *view) pace(done, pending int) string {
	new, took := done-v.first, time.Since(v.began)
	if new < 2 || took < time.Second {
		return ""
	}
	each := took / time.Duration(new)
	return fmt.Sprintf("  %.0f/hour  %s left", float64(time.Hour)/float64(each), ui.Duration(time.Duration(pending)*each))
}

func (v *view) names(digests []string) string {
	var all []string
	for _, d := range digests {
		names := v.students[d]
		if len(names) == 0 {
			continue // of another batch
		}
		name := ui.Clean(names[0], 40)
		if len(names) > 1 {
			name += fmt.Sprintf(" (and %d alike)", len(names)-1)
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

// Counts writes how many ended in which way.
func Counts(counts map[result.Status]int) string {
	var all []string
	for _, s := range []struct {
		status result.Status
		word   string
	}{{result.Graded, "graded"}, {result.Rejected, "rejected"}, {result.Missing, "missing"}, {result.Errored, "not graded"}} {
		if n := counts[s.status]; n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, s.word))
		}
	}
	return strings.Join(all, ", ")
}
