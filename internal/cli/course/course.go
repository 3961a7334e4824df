// Package course opens what every command of the student's path works on: the labs, the
// student's progress, and the lab that the student is in.
package course

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/cluster"
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
	c, err := open(flags, func(s *student.Store) (*student.Progress, error) { return s.Load(ctx) })
	if err != nil {
		return nil, err
	}
	if c.Progress.Note != "" {
		fmt.Fprintf(streams.Err, "labctl: note: %s\n", c.Progress.Note)
	}
	c.Now = time.Now
	return c, nil
}

// Peek is Open for completions, which print and change nothing.
func Peek(flags *target.Flags) (*Course, error) {
	return open(flags, (*student.Store).Peek)
}

// OpenLab is Open and Current at once.
func OpenLab(ctx context.Context, streams ui.Streams, flags *target.Flags, id string) (*Course, *lab.Lab, *student.Lab, error) {
	c, err := Open(ctx, streams, flags)
	if err != nil {
		return nil, nil, nil, err
	}
	l, mine, err := c.Current(id)
	return c, l, mine, err
}

// open reads the labs, and the progress as load does it.
func open(flags *target.Flags, load func(*student.Store) (*student.Progress, error)) (*Course, error) {
	catalog, err := flags.Catalog()
	if err != nil {
		return nil, err
	}
	store, err := student.Open()
	if err != nil {
		return nil, err
	}
	progress, err := load(store)
	return &Course{Catalog: catalog, Store: store, Progress: progress}, err
}

// Current returns the lab with the id, or the one that was started last where id is "", and
// what the student has done in it.
func (c *Course) Current(id string) (*lab.Lab, *student.Lab, error) {
	return student.Current(c.Progress, c.Catalog, id)
}

// Update changes what the student has done in the lab, and takes in what other terminals
// recorded. It returns the lab's new entry.
func (c *Course) Update(ctx context.Context, l *lab.Lab, change func(*student.Progress, *student.Lab)) (*student.Lab, error) {
	progress, err := c.Store.Update(ctx, func(p *student.Progress) error {
		change(p, p.Begin(l, c.Now()))
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.Progress = progress
	return progress.Labs[l.ID], nil
}

// UseCluster makes the flags name the cluster that the student works on, unless the flag was
// given: that of the lab, else that of the lab that was started last.
func (c *Course) UseCluster(cmd *cobra.Command, flags *target.Flags, mine *student.Lab) {
	if cmd.Flags().Changed("name") {
		return
	}
	for _, l := range []*student.Lab{mine, c.Progress.Labs[c.Progress.Current]} {
		if l != nil && l.Cluster != "" {
			flags.Name = l.Cluster
			return
		}
	}
}

// Option returns " --name NAME" for a command in a message, where the cluster is not the
// one that is meant without it.
func Option(name string) string {
	if name == cluster.DefaultName || name == "" {
		return ""
	}
	return " --name " + name
}
