package ui

import (
	"io"
	"log/slog"
	"slices"
	"time"

	"labctl.dev/labctl/internal/fault"
)

// The forms of the log.
const (
	LogText = "text"
	LogJSON = "json"
)

// jsonLog marks a log to which everything goes that would be text on standard error.
type jsonLog struct{ *slog.JSONHandler }

// SetLog directs the process's log (log/slog's default) to w. In text, verbosity 2 and more
// show every command of the engine and every API call. In JSON, steps, notes and the error
// that ends the process are always there, a record a line.
func SetLog(w io.Writer, verbosity int, format string) error {
	if !slices.Contains([]string{LogText, LogJSON}, format) {
		return fault.Inputf("--log-format %q is none", format).WithRemedy("use text or json")
	}
	level := slog.LevelInfo
	if verbosity > 1 {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler
	switch {
	case format == LogJSON:
		handler = jsonLog{slog.NewJSONHandler(w, options)}
	case verbosity < 2:
		handler = slog.DiscardHandler
	default:
		handler = slog.NewTextHandler(w, options)
	}
	slog.SetDefault(slog.New(handler))
	return nil
}

// LogsJSON tells whether standard error is for records alone.
func LogsJSON() bool {
	_, ok := slog.Default().Handler().(jsonLog)
	return ok
}

// logStep writes how a step ended.
func logStep(name string, took time.Duration, err error) {
	if err != nil {
		slog.Warn("step failed", "step", Clean(name, 0), "seconds", took.Seconds(), "error", CleanLines(err.Error()))
		return
	}
	slog.Info("step", "step", Clean(name, 0), "seconds", took.Seconds())
}
