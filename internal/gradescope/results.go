package gradescope

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"labctl.dev/labctl/internal/export"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/result"
)

// Write writes results.json, as a whole or not at all. What is not graded has no score in it, which
// Gradescope takes for a failure of the autograder and not for marks.
func (r Root) Write(c Config, report result.Report) error {
	o := export.Options{OutOf: c.OutOf, Extra: map[string]string{"mode": string(c.Mode)}}
	switch c.Mode {
	case Queue:
		o.Extra["batch"], o.Extra["round"] = c.Batch, strconv.Itoa(c.Round)
	case Manifests:
		o.Notice = notice(c)
		if report.Status == result.Graded {
			o.Extra["status"] = "read"
		}
	}
	class := &export.Class{Lab: report.Lab, Reports: []result.Report{report}}
	made, err := class.Export("gradescope", o)
	if err != nil {
		return fmt.Errorf("make the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.Results()), 0o755); err != nil {
		return fmt.Errorf("make the folder of the results: %w", err)
	}
	if err := home.Replace(r.Results(), made.Files[0].Data, 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

// notice says first of all what reading manifests is not.
func notice(c Config) []string {
	lines := []string{"Nothing was run, and this is not the grade: your manifests were only read. The grade comes from the traffic that they carry on a real cluster."}
	if c.Points > 0 {
		lines = append(lines, fmt.Sprintf("%s points are for handing in something that can be graded.", result.Points(c.Points)))
	}
	return append(lines, "")
}
