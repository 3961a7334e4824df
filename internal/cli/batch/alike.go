package batch

import (
	"sync"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/similar"
	"labctl.dev/labctl/internal/submission"
)

// alike gathers the submissions to compare them.
type alike struct {
	threshold float64
	lab       *lab.Lab

	mu  sync.Mutex
	all []similar.Submission
}

func newAlike(threshold float64, l *lab.Lab) *alike { return &alike{threshold: threshold, lab: l} }

func (a *alike) add(student string, h *batch.Handed) {
	if a.threshold == 0 || h.Refusal != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, similar.Submission{Student: student, Objects: h.Objects, Comments: comments(h.Texts)})
}

// comments are what a student wrote for people to read, which decoding drops.
func comments(texts [][]byte) []string {
	var all []string
	for _, t := range texts {
		all = append(all, similar.CommentLines(t)...)
	}
	return all
}

// pairs returns those that share what hardly anybody else has.
func (a *alike) pairs() []similar.Pair {
	if a.threshold == 0 {
		return nil
	}
	options := similar.Options{Threshold: a.threshold}
	// A starter that may not be applied, which is an exercise, too, leaves nothing out.
	if starter, err := submission.ReadFS(a.lab.Files, "starter", target.Limits(a.lab)); err == nil {
		options.Starter = similar.Submission{Objects: starter.Unstructured(), Comments: comments(starter.Texts())}
	}
	return similar.Compare(a.all, options)
}
