package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"labctl.dev/labctl/internal/result"
)

// encode writes JSON as people read it.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the export: %w", err)
	}
	return buf.Bytes(), nil
}

// each writes one file about each student.
func (j *job) each(write func(r *result.Report) ([]byte, error)) error {
	for i := range j.class.Reports {
		r := &j.class.Reports[i]
		data, err := write(r)
		if err != nil {
			return err
		}
		j.add(r, data)
	}
	j.noteUngraded()
	return nil
}

type gradescope struct {
	Score         *float64         `json:"score,omitempty"`
	ExecutionTime float64          `json:"execution_time"`
	Output        string           `json:"output"`
	OutputFormat  string           `json:"output_format"`
	TestOutput    string           `json:"test_output_format"`
	TestName      string           `json:"test_name_format"`
	Visibility    string           `json:"visibility"`
	Stdout        string           `json:"stdout_visibility"`
	ExtraData     map[string]any   `json:"extra_data"`
	Tests         []gradescopeTest `json:"tests,omitempty"`
}

type gradescopeTest struct {
	Score      *float64 `json:"score,omitempty"`
	MaxScore   *float64 `json:"max_score,omitempty"`
	Status     string   `json:"status"`
	Name       string   `json:"name"`
	Number     string   `json:"number"`
	Output     string   `json:"output"`
	Tags       []string `json:"tags,omitempty"`
	Visibility string   `json:"visibility"`
}

// writeGradescope writes results.json. Hidden checks are not among its tests at all: a test with
// visibility "hidden" takes the total away from students and tells that it is there. The score
// at the top is the full one, after what being late costs, and overrides the sum of the tests.
// What is not graded has no score and no tests, so that Gradescope itself says that the
// autograder failed. A check without points is one that only informs: it has a status and no score.
func writeGradescope(j *job) error {
	return j.each(func(full *result.Report) ([]byte, error) {
		seen := forStudent(full)
		g := gradescope{
			ExecutionTime: max(0, full.Finished.Sub(full.Started).Seconds()), Output: strings.Join(append(j.notice(), summary(full, &seen)...), "\n"),
			OutputFormat: "text", TestOutput: "text", TestName: "text", Visibility: "visible", Stdout: "hidden",
			ExtraData: map[string]any{"labctl": j.extra(map[string]string{
				"lab": full.Lab.ID, "version": full.Lab.Version, "status": string(full.Status), "submission": full.Submission,
			})},
		}
		if s, ok := score(full); ok {
			s = rounded(s)
			g.Score = &s
		}
		if full.Status != result.Graded {
			return encode(g)
		}
		numbers := numbering(seen.Checks)
		for i, c := range seen.Checks {
			p, m, status := rounded(c.Points), rounded(c.MaxPoints), "failed"
			if c.Status == result.Passed {
				status = "passed"
			}
			t := gradescopeTest{
				Score: &p, MaxScore: &m, Status: status, Name: titleOf(c), Number: numbers[i],
				Output: strings.Join(checkText(c), "\n"), Visibility: "visible",
			}
			if c.MaxPoints == 0 {
				t.Score, t.MaxScore = nil, nil
			}
			if c.Step != "" {
				t.Tags = []string{line(c.Step, nameLimit)}
			}
			g.Tests = append(g.Tests, t)
		}
		return encode(g)
	})
}

// notice is what comes before everything else that a student reads.
func (j *job) notice() []string {
	var lines []string
	for _, text := range j.options.Notice {
		lines = append(lines, line(text, textLimit))
	}
	return lines
}

// extra adds what the options say for machines.
func (j *job) extra(known map[string]string) map[string]string {
	maps.Copy(known, j.options.Extra)
	for name, value := range known {
		known[name] = line(value, nameLimit)
	}
	return known
}

// numbering numbers checks within their steps: "1.1", "1.2", "2.1".
func numbering(checks []result.Check) []string {
	steps, within := map[string]int{}, map[string]int{}
	var all []string
	for _, c := range checks {
		if steps[c.Step] == 0 {
			steps[c.Step] = len(steps) + 1
		}
		within[c.Step]++
		all = append(all, fmt.Sprintf("%d.%d", steps[c.Step], within[c.Step]))
	}
	return all
}

type prairielearn struct {
	Gradable     bool               `json:"gradable"`
	FormatErrors []string           `json:"format_errors,omitempty"`
	Score        *float64           `json:"score,omitempty"`
	Message      string             `json:"message,omitempty"`
	Output       string             `json:"output,omitempty"`
	Tests        []prairielearnTest `json:"tests,omitempty"`
}

type prairielearnTest struct {
	Name        string  `json:"name"`
	Description string  `json:"description,omitempty"`
	Points      float64 `json:"points"`
	MaxPoints   float64 `json:"max_points"`
	Message     string  `json:"message,omitempty"`
	Output      string  `json:"output,omitempty"`
}

// maxPrairieLearn is the size above which PrairieLearn takes no results, less some room.
const maxPrairieLearn = 1<<20 - 4096

// writePrairieLearn writes results.json. Its score, from 0 to 1, is the full one after what
// being late costs; the tests are the checks that students see. What is not graded is not
// gradable, which costs the student no attempt.
func writePrairieLearn(j *job) error {
	return j.each(func(full *result.Report) ([]byte, error) {
		seen := forStudent(full)
		said := summary(full, &seen)
		s, ok := score(full)
		if !ok {
			return encode(prairielearn{FormatErrors: said})
		}
		share := 0.0
		if full.MaxScore > 0 {
			share = min(1, s/full.MaxScore)
		}
		p := prairielearn{Gradable: true, Score: &share, Message: said[0], Output: strings.Join(said[1:], "\n")}
		if full.Status == result.Graded {
			for _, c := range seen.Checks {
				text := checkText(c)
				t := prairielearnTest{Name: titleOf(c), Description: string(c.Status), Points: rounded(c.Points), MaxPoints: rounded(c.MaxPoints)}
				if len(text) > 0 {
					t.Message, t.Output = text[0], strings.Join(text[1:], "\n")
				}
				p.Tests = append(p.Tests, t)
			}
		}
		return p.bounded()
	})
}

// bounded encodes the results, with less and less text until they are small enough.
func (p prairielearn) bounded() ([]byte, error) {
	cut := func(s *string, limit int) {
		if r := []rune(*s); len(r) > limit {
			*s = string(r[:limit]) + "…"
		}
	}
	for limit := 8192; ; limit /= 4 {
		data, err := encode(p)
		if err != nil || len(data) <= maxPrairieLearn || limit == 0 {
			return data, err
		}
		cut(&p.Output, limit*8)
		for i := range p.Tests {
			cut(&p.Tests[i].Output, limit)
			cut(&p.Tests[i].Message, limit)
			cut(&p.Tests[i].Name, limit)
		}
	}
}
