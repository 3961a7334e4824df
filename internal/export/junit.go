package export

import (
	"encoding/xml"
	"fmt"
	"strings"

	"labctl.dev/labctl/internal/result"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr"`
	Time    string      `xml:"time,attr"`
	Failure *junitEnded `xml:"failure,omitempty"`
	Error   *junitEnded `xml:"error,omitempty"`
	Skipped *junitEnded `xml:"skipped,omitempty"`
}

type junitEnded struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes a suite a student, whose cases are the checks that students see. The score
// and its maximum, which are the full ones, are properties of the suite. What was refused or not
// handed in is one case that failed, and what is not graded one error.
func writeJUnit(j *job) error {
	all := junitSuites{Name: line(j.class.Lab.ID, nameLimit)}
	seconds := 0.0
	for i := range j.class.Reports {
		full := &j.class.Reports[i]
		s := junitSuiteOf(full)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		seconds += took(full)
		all.Suites = append(all.Suites, s)
	}
	all.Time = junitTime(seconds)
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the export: %w", err)
	}
	j.noteUngraded()
	j.add(nil, append([]byte(xml.Header), append(data, '\n')...))
	return nil
}

func junitSuiteOf(full *result.Report) junitSuite {
	seen := forStudent(full)
	s := junitSuite{Name: line(full.Student, nameLimit), Time: junitTime(took(full))}
	if !full.Started.IsZero() {
		s.Timestamp = full.Started.UTC().Format("2006-01-02T15:04:05")
	}
	s.property("lab", line(full.Lab.ID+" "+full.Lab.Version, nameLimit))
	s.property("status", string(full.Status))
	if final, ok := score(full); ok {
		s.property("score", result.Points(final))
		s.property("maxScore", result.Points(full.MaxScore))
		if full.Late != nil && full.Status == result.Graded {
			s.property("rawScore", result.Points(full.Score))
			s.property("late", lateness(full))
		}
	}
	if full.Status == result.Graded {
		for _, c := range seen.Checks {
			s.check(&seen, c)
		}
		return s
	}
	said := summary(full, &seen)
	ended := &junitEnded{Message: said[0], Type: string(full.Status), Text: strings.Join(said[1:], "\n")}
	one := junitCase{Name: "submission", Class: line(full.Lab.ID, nameLimit), Time: junitTime(0)}
	if full.Status == result.Errored {
		one.Error, s.Errors = ended, 1
	} else {
		one.Failure, s.Failures = ended, 1
	}
	s.Tests, s.Cases = 1, []junitCase{one}
	return s
}

func (s *junitSuite) property(name, value string) {
	s.Properties = append(s.Properties, junitProperty{name, value})
}

func (s *junitSuite) check(r *result.Report, c result.Check) {
	one := junitCase{Name: line(c.ID, nameLimit), Class: line(r.Lab.ID, nameLimit), Time: junitTime(c.Seconds)}
	if c.Step != "" {
		one.Class += "." + line(c.Step, nameLimit)
	}
	text := checkText(c)
	ended := &junitEnded{}
	if len(text) > 0 {
		ended.Message, ended.Text = text[0], strings.Join(text[1:], "\n")
	}
	switch c.Status {
	case result.Failed:
		ended.Type = "failed"
		one.Failure = ended
		s.Failures++
	case result.Error:
		ended.Type = "error"
		one.Error = ended
		s.Errors++
	case result.Skipped:
		one.Skipped = &junitEnded{Message: ended.Message}
		s.Skipped++
	case result.Passed:
	}
	s.Tests++
	s.Cases = append(s.Cases, one)
}

// took is how long the grading was.
func took(r *result.Report) float64 { return max(0, r.Finished.Sub(r.Started).Seconds()) }

func junitTime(seconds float64) string { return fmt.Sprintf("%.3f", seconds) }
