package grader

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// Task is what a grader process is told on its standard input, as JSON. One process grades
// one submission, because Ginkgo runs one suite a process.
type Task struct {
	Lab    string   `json:"lab"`
	Labs   []string `json:"labs,omitempty"` // folders with further labs
	Target Target   `json:"target"`
	Report string   `json:"report"` // the file to write
	// Answers are the submission's to the lab's questions, by the check's id.
	Answers map[string][]string `json:"answers,omitempty"`
	// Refused is how many faults the policy found with objects that were left out.
	Refused int `json:"refused,omitempty"`
	// Laps is the file for what took how long; "" writes none.
	Laps string `json:"laps,omitempty"`
	// Verbose lets Ginkgo tell on standard output what it does.
	Verbose bool `json:"verbose,omitempty"`
}

// ReadTask reads a task.
func ReadTask(r io.Reader) (Task, error) {
	var t Task
	if err := json.NewDecoder(r).Decode(&t); err != nil {
		return Task{}, fmt.Errorf("read the grader's task: %w", err)
	}
	return t, nil
}

// suiteT is what Ginkgo needs in place of a *testing.T in an ordinary program.
type suiteT struct{ failed bool }

func (t *suiteT) Fail() { t.failed = true }

// RunSuite grades what is in the task's namespace and writes the report. An error means
// that there is no report.
func RunSuite(task Task, l *lab.Lab, connect Connect) error {
	gomega.RegisterFailHandler(ginkgo.Fail)
	var timed laps
	verdicts := Specs(l, func(ctx context.Context) (*Session, error) {
		session, err := connect(ctx)
		if err == nil && task.Laps != "" {
			session.Timed = timed.add
		}
		return session, err
	})
	var written error
	ginkgo.ReportAfterSuite("write the report", func(suite ginkgo.Report) {
		written = WriteReport(task.Report, Report(l, suite, verdicts()))
	})
	suite, reporter := ginkgo.GinkgoConfiguration()
	reporter.NoColor = true
	reporter.Succinct = !task.Verbose
	reporter.Verbose = task.Verbose
	ginkgo.RunSpecs(&suiteT{}, "labctl "+l.ID, suite, reporter)
	if task.Laps != "" {
		_ = timed.write(task.Laps) // a grade does not depend on it
	}
	return written
}

// WriteReport writes the report beside its place and renames it, so that nobody ever reads
// half of one.
func WriteReport(name string, r result.Report) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := home.Replace(name, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report %s: %w", name, err)
	}
	return nil
}

// readReport reads what a grader process wrote.
func readReport(name string) (result.Report, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return result.Report{}, fmt.Errorf("read the report: %w", err)
	}
	var r result.Report
	if err := json.Unmarshal(data, &r); err != nil {
		return result.Report{}, fmt.Errorf("read the report: %w", err)
	}
	return r, nil
}
