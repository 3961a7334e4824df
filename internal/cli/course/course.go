// Package course opens what every command of the student's path works on: the labs, the
// student's progress, and the lab that the student is in.
package course

import (
	"context"
	"fmt"
	"time"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/student"
	"labctl.dev/labctl/internal/ui"
)

// Course is the labs and what the student has done in them.
type Course struct {
	Catalog  *lab.Catalog
	Store    *student.Store
	Progress *student.Progress
	Now      func() time.Time
}

// Open reads the labs of the flags and the student's progress. What there is to say about
// the progress file itself goes to the streams' Err.
func Open(ctx context.Context, streams ui.Streams, flags *target.Flags) (*Course, error) {
	catalog, err := flags.Catalog()
	if err != nil {
		return nil, err
	}
	store, err := student.Open()
	if err != nil {
		return nil, err
	}
	progress, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	if progress.Note != "" {
		fmt.Fprintf(streams.Err, "labctl: note: %s\n", progress.Note)
	}
	return &Course{Catalog: catalog, Store: store, Progress: progress, Now: time.Now}, nil
}

// Current returns the lab with the id, or the one that was started last where id is "", and
// what the student has done in it.
func (c *Course) Current(id string) (*lab.Lab, *student.Lab, error) {
	return student.Current(c.Progress, c.Catalog, id)
}

// Update changes what the student has done in the lab, and reads the rest anew.
func (c *Course) Update(ctx context.Context, l *lab.Lab, change func(*student.Lab)) error {
	progress, err := c.Store.Update(ctx, func(p *student.Progress) error {
		change(p.Begin(l, c.Now()))
		return nil
	})
	if err != nil {
		return err
	}
	c.Progress = progress
	return nil
}
