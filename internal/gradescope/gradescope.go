// Package gradescope builds the autograder that an instructor uploads to Gradescope, and knows what
// it finds in Gradescope's container: https://gradescope-autograders.readthedocs.io.
//
// No container engine runs there. The autograder hands the submission to a queue, whose workers
// grade it elsewhere, or it reads the manifests and says that this is no grade (docs/adr/0012).
package gradescope

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
)

// Schema names the version of the autograder's configuration.
const Schema = "labctl.dev/gradescope/v1"

// Mode is what the autograder does with a submission.
type Mode string

// The modes.
const (
	Queue     Mode = "queue"     // workers grade it elsewhere, by real traffic
	Manifests Mode = "manifests" // it is read, and nothing is run
)

// Gradescope's own bounds on an autograder's time: the default, and the most that the settings of
// an assignment allow. A submission that takes longer gets no points, whatever was written.
const (
	DefaultTimeLimit = 10 * time.Minute
	MaxTimeLimit     = 40 * time.Minute
	minTimeLimit     = 5 * time.Second // for trying it out
)

// maxPoints is far above what any assignment is worth.
const maxPoints = 1e6

// Config is what the autograder was built for. Its file is in the zip, and the queue's address is
// not in it.
type Config struct {
	Schema     string  `json:"schema"`
	Mode       Mode    `json:"mode"`
	Lab        string  `json:"lab"`
	LabVersion string  `json:"labVersion"`
	Own        bool    `json:"own,omitempty"`    // the lab is in the zip, and not one of labctl's
	Points     float64 `json:"points,omitempty"` // mode manifests: for what can be graded
	OutOf      float64 `json:"outOf,omitempty"`  // mode queue: full marks; 0 are the lab's points
	Batch      string  `json:"batch,omitempty"`  // mode queue: by which name the queue knows the assignment
	Round      int     `json:"round,omitempty"`  // mode queue: one more grades again
	QueueEnv   string  `json:"queueEnv,omitempty"`
	TimeLimit  float64 `json:"timeLimit"` // Gradescope's, in seconds
}

// Check returns a fault.Input where a field is not as it must be.
func (c Config) Check() error {
	limit := c.Limit()
	switch {
	case c.Mode != Queue && c.Mode != Manifests:
		return fault.Inputf("there is no mode %q", c.Mode).WithRemedy("--mode queue, or --mode manifests")
	case limit < minTimeLimit || limit > MaxTimeLimit:
		return fault.Inputf("a time limit of %s is none of Gradescope's: at least %s, at most %s", limit, minTimeLimit, MaxTimeLimit).
			WithRemedy("give the one in the assignment's settings, as in --time-limit 10m")
	case !within(c.Points):
		return fault.Inputf("%g is no number of points", c.Points).WithRemedy("--points 10")
	case !within(c.OutOf):
		return fault.Inputf("full marks are %g points", c.OutOf).WithRemedy("--out-of 20")
	case c.Mode == Manifests && (c.OutOf != 0 || c.Batch != "" || c.Round != 0 || c.QueueEnv != ""):
		return fault.Inputf("mode manifests has no queue, and nothing to scale or to grade again").
			WithRemedy("leave away --out-of, --batch, --round and --queue, or choose --mode queue")
	case c.Mode == Queue && c.Points != 0:
		return fault.Inputf("mode queue gives the points that were graded, and no others").WithRemedy("for other full marks: --out-of N")
	case c.Mode == Queue && !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$`).MatchString(c.Batch):
		return fault.Inputf("%q is no name for a batch", c.Batch).WithRemedy("letters, digits and ._/- as in --batch fall-2026/lab-1")
	case c.Round < 0 || c.Round > math.MaxInt16:
		return fault.Inputf("%d is no round", c.Round).WithRemedy("--round 1 grades once more what has a grade")
	case c.QueueEnv != "" && !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(c.QueueEnv):
		return fault.Inputf("%q is no name of a variable", c.QueueEnv).WithRemedy("--queue-env LABCTL_QUEUE")
	}
	return nil
}

func within(points float64) bool { return points >= 0 && points <= maxPoints }

// Limit is Gradescope's time limit.
func (c Config) Limit() time.Duration { return time.Duration(c.TimeLimit * float64(time.Second)) }

// Working is how long the autograder may wait: some of Gradescope's time is gone when it starts,
// and some is needed to write what came of it.
func (c Config) Working() time.Duration { return c.Limit() - min(time.Minute, c.Limit()/5) }

// Root is the folder in Gradescope's container in which everything lies.
type Root string

// DefaultRoot is Gradescope's own.
const DefaultRoot Root = "/autograder"

// The names of what is in the zip.
const (
	binaryName = "labctl"
	configName = "labctl.json"
	queueName  = "queue"
	labsName   = "labs"
	runName    = "run_autograder"
	setupName  = "setup.sh"
)

// Submission is what the student handed in.
func (r Root) Submission() string { return filepath.Join(string(r), "submission") }

func (r Root) metadataFile() string { return filepath.Join(string(r), "submission_metadata.json") }

// Results is what Gradescope reads in the end.
func (r Root) Results() string { return filepath.Join(string(r), "results", "results.json") }

// Labs is the folder of the lab that came in the zip.
func (r Root) Labs() string { return r.source(labsName) }

func (r Root) source(name string) string { return filepath.Join(string(r), "source", name) }

// maxSmall bounds the configuration and the queue's address, in bytes.
const maxSmall = 64 << 10

// Config reads what the autograder was built for.
func (r Root) Config() (Config, error) {
	var c Config
	data, err := home.Read(r.source(configName), maxSmall)
	if err != nil {
		return c, fault.Environmentf("read what the autograder was built for: %w", err).WithRemedy("build it anew: labctl gradescope build")
	}
	if err := json.Unmarshal(data, &c); err != nil || c.Schema != Schema {
		return c, fault.Environmentf("%s is no configuration that this labctl knows", configName).WithRemedy("build it anew: labctl gradescope build")
	}
	if err := c.Check(); err != nil {
		return c, fault.Environmentf("%s: %w", configName, err).WithRemedy("build it anew: labctl gradescope build")
	}
	return c, nil
}

// Queue returns the queue's address, from the variable that the configuration names or from the
// file in the zip. Nothing that it returns but the address holds the address.
func (r Root) Queue(c Config) (string, error) {
	if c.QueueEnv != "" {
		if address := os.Getenv(c.QueueEnv); address != "" {
			return address, nil
		}
		return "", fault.Environmentf("the variable %s, which is to hold the queue's address, is not set", c.QueueEnv).
			WithRemedy("set it in the image, or build the autograder without --queue-env")
	}
	data, err := home.Read(r.source(queueName), maxSmall)
	if err != nil {
		return "", fault.Environmentf("read the queue's address: %w", err).WithRemedy("build it anew: labctl gradescope build")
	}
	return firstLine(data), nil
}

// encode writes the configuration.
func (c Config) encode() ([]byte, error) {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	return append(data, '\n'), nil
}
