package ui

import (
	"bytes"
	"fmt"
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

// logHandler is the process's log, and knows what was asked of it.
type logHandler struct {
	slog.Handler
	w         io.Writer
	json      bool // standard error is for records alone
	verbosity int
}

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
	h := logHandler{w: w, json: format == LogJSON, verbosity: verbosity}
	switch {
	case h.json:
		h.Handler = slog.NewJSONHandler(w, options)
	case verbosity < 2:
		h.Handler = slog.DiscardHandler
	default:
		h.Handler = slog.NewTextHandler(w, options)
	}
	slog.SetDefault(slog.New(h))
	return nil
}

// LogsJSON tells whether standard error is for records alone.
func LogsJSON() bool {
	h, ok := slog.Default().Handler().(logHandler)
	return ok && h.json
}

// Details returns where what a program of labctl's tells while it works goes: standard error
// where verbosity was asked for, records where the log is JSON. Nil drops it.
func Details(source string) io.Writer {
	h, ok := slog.Default().Handler().(logHandler)
	switch {
	case !ok || h.verbosity == 0:
		return nil
	case h.json:
		return &lines{put: func(text string) error {
			slog.Info(source, "line", text)
			return nil
		}}
	}
	return h.plain()
}

// Trace returns where the log of another process of labctl's goes, which is directed as this
// one's is: to its side, where every command and API call is asked for. Nil drops it.
func Trace() io.Writer {
	h, ok := slog.Default().Handler().(logHandler)
	if !ok || h.verbosity < 2 {
		return nil
	}
	return h.plain()
}

// plain returns a writer of lines that go to the log's side as they are.
func (h logHandler) plain() io.Writer {
	return &lines{put: func(text string) error {
		_, err := fmt.Fprintln(h.w, text)
		return err
	}}
}

// lines hands on each line that is written, without what a terminal would obey.
type lines struct {
	put  func(string) error
	rest []byte // of a line whose end was not written yet
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		text, rest, ended := bytes.Cut(l.rest, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		l.rest = rest
		if err := l.put(CleanLines(string(text))); err != nil {
			return 0, err
		}
	}
}

// logStep writes how a step ended.
func logStep(name string, took time.Duration, err error) {
	if err != nil {
		slog.Warn("step failed", "step", Clean(name, 0), "seconds", took.Seconds(), "error", CleanLines(err.Error()))
		return
	}
	slog.Info("step", "step", Clean(name, 0), "seconds", took.Seconds())
}
