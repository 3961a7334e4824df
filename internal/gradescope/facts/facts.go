// Package facts holds what Gradescope documents of results.json, for tests:
// https://gradescope-autograders.readthedocs.io/en/latest/specs/.
package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Results are all the fields that there are. Score is nil where there is none.
type Results struct {
	Score            *float64       `json:"score"`
	ExecutionTime    float64        `json:"execution_time"`
	Output           string         `json:"output"`
	OutputFormat     string         `json:"output_format"`
	TestOutputFormat string         `json:"test_output_format"`
	TestNameFormat   string         `json:"test_name_format"`
	Visibility       string         `json:"visibility"`
	StdoutVisibility string         `json:"stdout_visibility"`
	ExtraData        map[string]any `json:"extra_data"`
	Tests            []Test         `json:"tests"`
	Leaderboard      []struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
		Order string `json:"order"`
	} `json:"leaderboard"`
}

// Test is one test case.
type Test struct {
	Score        *float64       `json:"score"`
	MaxScore     *float64       `json:"max_score"`
	Status       string         `json:"status"`
	Name         string         `json:"name"`
	NameFormat   string         `json:"name_format"`
	Number       string         `json:"number"`
	Output       string         `json:"output"`
	OutputFormat string         `json:"output_format"`
	Tags         []string       `json:"tags"`
	Visibility   string         `json:"visibility"`
	ExtraData    map[string]any `json:"extra_data"`
}

// Graded tells whether there are points. A score is needed at the top or on each test: without
// either there is no result, and Gradescope says that the autograder failed.
func (r Results) Graded() bool {
	return r.Score != nil || len(r.Tests) > 0 && !slices.ContainsFunc(r.Tests, func(t Test) bool { return t.Score == nil })
}

// Read reads results.json and refuses what Gradescope does not know.
func Read(data []byte) (Results, error) {
	var r Results
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("read results.json: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("something follows results.json")
	}
	if !r.Graded() && len(r.Tests) > 0 {
		return r, errors.New("results.json has tests, and no score at the top or on each of them")
	}
	formats := []string{"", "text", "html", "simple_format", "md", "ansi"}
	visibilities := []string{"", "hidden", "after_due_date", "after_published", "visible"}
	known := slices.Contains(formats, r.OutputFormat) && slices.Contains(formats, r.TestOutputFormat) && slices.Contains(formats, r.TestNameFormat) &&
		slices.Contains(visibilities, r.Visibility) && slices.Contains(visibilities, r.StdoutVisibility)
	for _, t := range r.Tests {
		known = known && slices.Contains(formats, t.NameFormat) && slices.Contains(formats, t.OutputFormat) &&
			slices.Contains(visibilities, t.Visibility) && slices.Contains([]string{"", "passed", "failed"}, t.Status)
	}
	if !known {
		return r, errors.New("results.json has a format, a visibility or a status that Gradescope does not know")
	}
	return r, nil
}
