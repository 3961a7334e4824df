// Package doctor implements "labctl doctor".
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/ui"
)

// Options are the command's inputs.
type Options struct {
	Streams  ui.Streams
	Provider string
	JSON     bool
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check that this machine can run the labs, and say what to mend",
		Long: `Doctor looks at the container engine, the kernel and the images that labctl needs. Each
line is ok, a warning or a failure with its remedy. It changes nothing.

Exit code 0 means that nothing stands in the way, 3 that something failed.`,
		Example: `  labctl doctor
  labctl doctor --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	f := cmd.Flags()
	f.StringVar(&opts.Provider, "provider", "", "container engine: docker, podman or nerdctl (default: the one that answers)")
	f.BoolVar(&opts.JSON, "json", false, "print JSON")
	return cmd
}

// Level says how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // works, but not well or not always
	Failure Level = "failure" // labctl up will fail
)

// Finding is one line of the doctor's.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
}

// Run examines the machine.
func Run(ctx context.Context, opts *Options) error {
	p := ui.NewProgress(opts.Streams)
	defer p.Close()
	findings := Examine(ctx, opts.Provider, p)
	p.Close()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if opts.JSON {
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(map[string]any{"ok": worst(findings) != Failure, "checks": findings}); err != nil {
			return err
		}
	} else {
		opts.print(findings)
	}
	if worst(findings) == Failure {
		return &ui.ExitError{Code: int(fault.Environment)}
	}
	return nil
}

func worst(findings []Finding) Level {
	level := OK
	for _, f := range findings {
		if f.Level == Failure || f.Level == Warning && level == OK {
			level = f.Level
		}
	}
	return level
}

func (o *Options) print(findings []Finding) {
	w := o.Streams.Out
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Check))
	}
	for _, f := range findings {
		if !o.Streams.OutTerminal {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Level, f.Check, f.Found)
			if f.Remedy != "" {
				fmt.Fprintf(w, "\tremedy\t%s\n", f.Remedy)
			}
			continue
		}
		mark, style := "✓", ui.Green
		switch f.Level {
		case Warning:
			mark, style = "!", ui.Yellow
		case Failure:
			mark, style = "✗", ui.Red
		}
		o.Streams.Line(fmt.Sprintf("%s %-*s  ", ui.Paint(true, style, mark), width, f.Check), f.Found)
		if f.Remedy != "" {
			o.Streams.Line(fmt.Sprintf("  %-*s  %s", width, "", ui.Paint(true, ui.Faint, "remedy: ")), f.Remedy)
		}
	}
	if worst(findings) == Failure {
		fmt.Fprintln(w, "Next: do what the remedies say, then run labctl doctor again")
		return
	}
	fmt.Fprintln(w, "Next: labctl up")
}

// all runs the checks at the same time and returns their findings in order.
func all(checks ...func() []Finding) []Finding {
	found := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { found[i] = check() })
	}
	wg.Wait()
	var findings []Finding
	for _, f := range found {
		findings = append(findings, f...)
	}
	return findings
}

// failure makes a finding of an error, with the remedy that the error knows.
func failure(check string, err error) Finding {
	return Finding{Check: check, Level: Failure, Found: err.Error(), Remedy: fault.RemedyOf(err)}
}
