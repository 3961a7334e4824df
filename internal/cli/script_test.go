package cli_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/internal/cli"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the documents that are made from the source")
	testscript.Main(m, map[string]func(){
		"labctl": func() { os.Exit(cli.Main()) },
	})
}

// TestScripts runs the commands as a user would, without an engine: PATH holds no
// container engine, or one that a script put there.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("LABCTL_STATE", env.WorkDir+"/.state")
			env.Setenv("LABCTL_CACHE", env.WorkDir+"/.cache")
			autograder, err := filepath.Abs("../../integrations/classroom50/autograder.py")
			if err != nil {
				return err
			}
			env.Setenv("AUTOGRADER", autograder)
			// testscript puts the folder of its commands first.
			env.Setenv("BIN", filepath.SplitList(env.Getenv("PATH"))[0])
			env.Values[collectorKey{}] = &collector{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// exits CODE COMMAND…: the command ends with exactly that code.
			"exits": exits,
			// script FILE STEP: writes what a pipeline's step or job runs to STEP.sh.
			"script": script,
			// unzip FILE DIR, results FILE: see gradescope_test.go.
			"unzip":   unzip,
			"results": results,
			// collector: takes traces at $COLLECTOR. spans REGEXP: one of them is so.
			"collector": collect,
			"spans":     spans,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = exitCodeOf(err)
	}
	if code != args[0] {
		ts.Fatalf("%v: exit code %s, want %s", args[1:], code, args[0])
	}
}

func script(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: script FILE STEP")
	}
	text, err := os.ReadFile(filepath.Join("../..", args[0]))
	ts.Check(err)
	type step struct {
		ID  string `json:"id"`
		Run string `json:"run"`
	}
	var action struct {
		Runs struct {
			Steps []step `json:"steps"`
		} `json:"runs"`
	}
	var jobs map[string]any
	ts.Check(yaml.Unmarshal(text, &jobs))
	ts.Check(yaml.Unmarshal(text, &action))
	var run string
	for _, s := range action.Runs.Steps {
		if s.ID == args[1] {
			run = s.Run
		}
	}
	if job, ok := jobs[args[1]].(map[string]any); ok {
		for _, line := range job["script"].([]any) {
			run += line.(string) + "\n"
		}
	}
	if run == "" {
		ts.Fatalf("%s has no step %s", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]+".sh"), []byte(run), 0o600))
}

func exitCodeOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return strconv.Itoa(exit.ExitCode())
	}
	return err.Error()
}
