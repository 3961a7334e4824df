package telemetry

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Stage is a part of every grading. Its name is that of its span, and a label of metrics.
type Stage string

// The stages of a grading, in their order. Suite contains Ready: checks that do not depend on
// a tier begin before it is ready.
const (
	Room   Stage = "room"   // until a cluster had room, or was made
	Read   Stage = "read"   // unpack the submission and hold it against the policy
	Admit  Stage = "admit"  // its namespace, and what contains it
	Apply  Stage = "apply"  // its objects
	Ready  Stage = "ready"  // until its workloads were ready, or given up
	Suite  Stage = "suite"  // the grader process: waiting, probes and specs
	Remove Stage = "remove" // ask for the namespace to go
	Sound  Stage = "sound"  // look whether the cluster is healthy and clean
	Make   Stage = "make"   // make a cluster; within Room
)

// Stages lists them all.
func Stages() []Stage { return []Stage{Room, Read, Admit, Apply, Ready, Suite, Remove, Sound, Make} }

// Begin begins a stage of the grading that ctx belongs to; the function that it returns ends
// it.
func Begin(ctx context.Context, stage Stage, attrs ...slog.Attr) (within context.Context, end func(error)) {
	r := recorderOf(ctx)
	if r.tracer == nil && r.watch == nil {
		return ctx, func(error) {}
	}
	began := time.Now()
	within, span := Start(ctx, string(stage), attrs...)
	return within, func(err error) {
		span.End(err)
		if r.watch != nil {
			r.watch(stage, time.Since(began))
		}
	}
}

// In does what is one stage.
func In(ctx context.Context, stage Stage, do func(context.Context) error) error {
	ctx, end := Begin(ctx, stage)
	err := do(ctx)
	end(err)
	return err
}

// Lap is a piece of work that another process of this machine did.
type Lap struct {
	Name  string    `json:"name"`
	Stage Stage     `json:"stage,omitempty"` // "" where it is none
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Outcome is the status of a check, or whether a tier was ready.
	Outcome string `json:"outcome,omitempty"`
	Failed  bool   `json:"failed,omitempty"` // through a fault of ours
	Parts   []Lap  `json:"parts,omitempty"`
}

// Replay records laps as parts of the span of ctx.
func Replay(ctx context.Context, laps []Lap) {
	r := recorderOf(ctx)
	for _, l := range laps {
		within, span := start(ctx, l.Name, trace.WithTimestamp(l.Began))
		if l.Outcome != "" {
			span.Set(slog.String("labctl.outcome", l.Outcome))
		}
		if l.Failed {
			span.Fail("environment", nil)
		}
		Replay(within, l.Parts)
		span.endAt(l.Ended)
		if l.Stage != "" && r.watch != nil {
			r.watch(l.Stage, l.Ended.Sub(l.Began))
		}
	}
}
