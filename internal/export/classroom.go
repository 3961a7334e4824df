package export

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

type classroom50 struct {
	Schema     string            `json:"schema"`
	Classroom  string            `json:"classroom"`
	Assignment string            `json:"assignment"`
	Submission string            `json:"submission"`
	Commit     string            `json:"commit"`
	Release    string            `json:"release"`
	Review     string            `json:"review"`
	Datetime   string            `json:"datetime"`
	Score      int               `json:"score"`
	MaxScore   int               `json:"max-score"`
	Tests      []classroom50Test `json:"tests"`
}

type classroom50Test struct {
	Name     string `json:"test-name"`
	Passed   bool   `json:"passed"`
	Score    int    `json:"score"`
	MaxScore int    `json:"max-score"`
	Message  string `json:"message,omitempty"` // a field more, which Classroom 50 keeps
}

// Classroom50Variables are what Classroom 50 says about a submission in the environment of its
// autograder. REVIEW_URL may be empty.
func Classroom50Variables() []string {
	return []string{"CLASSROOM", "ASSIGNMENT", "SUBMISSION_TAG", "COMMIT_URL", "RELEASE_URL", "REVIEW_URL"}
}

// writeClassroom50 writes result.json. Its numbers are integers: each is rounded by itself, a
// half up, so that the scores of the tests may add up to a point more or less than the score,
// which is the full one after what being late costs. The time is when the work was handed in,
// never that of the grading. A submission that is not graded has no result: Classroom 50 is told
// by an exit code that is not 0.
func writeClassroom50(j *job) error {
	if len(j.class.Reports) > 1 {
		return fault.Inputf("format classroom50 is about one submission, and there are %d", len(j.class.Reports)).
			WithRemedy("say whose, as in --student %s, or name one report", line(j.class.Reports[0].Student, 40))
	}
	full := &j.class.Reports[0]
	if full.Status == result.Errored {
		return fault.Environmentf("the submission of %s is not graded: %s", line(full.Student, nameLimit), line(full.Message, textLimit)).
			WithRemedy("grade it again; no marks were given or taken")
	}
	result50, err := j.identified()
	if err != nil {
		return err
	}
	at := j.options.Submitted
	if full.Submitted != nil {
		at = *full.Submitted
	}
	if at.IsZero() {
		return fault.Inputf("the report of %s does not say when the work was handed in", line(full.Student, nameLimit)).
			WithRemedy(`give the commit's time: --submitted "$(git log -1 --format=%%cI)"`)
	}
	result50.Datetime = at.UTC().Format(time.RFC3339)[:len("2006-01-02T15:04:05")] + "Z"
	s, _ := score(full)
	result50.Score, result50.MaxScore = whole(s), whole(full.MaxScore)
	seen := forStudent(full)
	result50.Tests = []classroom50Test{}
	for _, c := range seen.Checks {
		if full.Status == result.Graded {
			result50.Tests = append(result50.Tests, classroom50Test{
				Name: titleOf(c), Passed: c.Status == result.Passed, Score: whole(c.Points), MaxScore: whole(c.MaxPoints),
				Message: strings.Join(checkText(c), "\n"),
			})
		}
	}
	if full.Status != result.Graded {
		result50.Tests = append(result50.Tests, classroom50Test{
			Name: "submission", MaxScore: result50.MaxScore, Message: strings.Join(summary(full, &seen), "\n"),
		})
	}
	data, err := encode(result50)
	if err != nil {
		return err
	}
	j.add(full, data)
	return nil
}

// identified is the result with what the environment says about the submission.
func (j *job) identified() (*classroom50, error) {
	env := j.options.Environment
	for _, name := range Classroom50Variables() {
		if env[name] == "" && name != "REVIEW_URL" {
			return nil, fault.Inputf("format classroom50 needs %s, which is not in the environment", name).
				WithRemedy("run it in Classroom 50's autograder, or set %s", strings.Join(Classroom50Variables(), ", "))
		}
	}
	review := env["REVIEW_URL"]
	if review == "" { // as Classroom 50 does where there is no earlier commit to compare with
		review = env["COMMIT_URL"]
	}
	return &classroom50{
		Schema: "classroom50/result/v1", Classroom: env["CLASSROOM"], Assignment: env["ASSIGNMENT"],
		Submission: env["SUBMISSION_TAG"], Commit: env["COMMIT_URL"], Release: env["RELEASE_URL"], Review: review,
	}, nil
}

type githubClassroom struct {
	Version  int                   `json:"version"`
	Status   string                `json:"status"`
	MaxScore float64               `json:"max_score"`
	Tests    []githubClassroomTest `json:"tests"`
}

type githubClassroomTest struct {
	Name     string  `json:"name"`
	Status   string  `json:"status"`
	Score    float64 `json:"score"`
	Message  string  `json:"message"`
	TestCode string  `json:"test_code"`
	Filename string  `json:"filename"`
	LineNo   int     `json:"line_no"`
	Duration float64 `json:"duration"` // milliseconds
}

// maxGitHubClassroom bounds each text: the result travels in an environment variable.
const maxGitHubClassroom = 500

// writeGitHubClassroom writes the output "result" of a step, one line of base64. The reporter
// adds the scores of the tests up and knows no other total: what being late costs is taken from
// each test, and hidden checks do not count. A submission that is not graded has the status
// error and a maximum of 0, with which the reporter reports no points.
func writeGitHubClassroom(j *job) error {
	return j.each(func(full *result.Report) ([]byte, error) {
		seen := forStudent(full)
		g := githubClassroom{Version: 1, Status: "fail", MaxScore: rounded(full.MaxScore)}
		one := githubClassroomTest{Name: "submission", Status: "fail", Message: strings.Join(summary(full, &seen), "\n")}
		switch full.Status {
		case result.Graded:
			g.graded(&seen)
		case result.Errored:
			g.Status, g.MaxScore, one.Status = "error", 0, "error"
			g.Tests = append(g.Tests, one)
		default:
			g.Tests = append(g.Tests, one)
		}
		for i := range g.Tests {
			if r := []rune(g.Tests[i].Message); len(r) > maxGitHubClassroom {
				g.Tests[i].Message = string(r[:maxGitHubClassroom]) + "…"
			}
		}
		data, err := json.Marshal(g)
		if err != nil {
			return nil, fmt.Errorf("encode the export: %w", err)
		}
		return append(base64.StdEncoding.AppendEncode(nil, data), '\n'), nil
	})
}

func (g *githubClassroom) graded(seen *result.Report) {
	left := 1.0
	if seen.Late != nil && seen.Score > 0 {
		left = seen.Final() / seen.Score
	}
	g.MaxScore = rounded(seen.MaxScore)
	if seen.Count(result.Passed) == len(seen.Checks) {
		g.Status = "pass"
	}
	for _, c := range seen.Checks {
		status := "fail"
		if c.Status == result.Passed {
			status = "pass"
		}
		text := checkText(c)
		if late := lateness(seen); late != "" {
			text = append(text, late)
		}
		g.Tests = append(g.Tests, githubClassroomTest{
			Name: titleOf(c), Status: status, Score: rounded(c.Points * left), Message: strings.Join(text, "\n"), Duration: rounded(c.Seconds * 1000),
		})
	}
}
