package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answer is what a fake engine does with a command.
type answer struct {
	stdout, stderr string
	code           int
}

type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
func (e exitStatus) ExitCode() int { return int(e) }

// fake returns an engine that answers by the longest prefix of the command line.
func fake(t *testing.T, answers map[string]answer) *Engine {
	t.Helper()
	return New(Docker, "docker", func(cmd *exec.Cmd) error {
		line := strings.Join(cmd.Args[1:], " ")
		best := ""
		for prefix := range answers {
			if strings.HasPrefix(line, prefix) && len(prefix) > len(best) {
				best = prefix
			}
		}
		a, ok := answers[best]
		if !ok {
			t.Errorf("unexpected command %q", line)
		}
		if cmd.Stdout != nil {
			fmt.Fprint(cmd.Stdout, a.stdout)
		}
		fmt.Fprint(cmd.Stderr, a.stderr)
		if a.code != 0 {
			return exitStatus(a.code)
		}
		return nil
	})
}

func TestExecTellsWhoFailed(t *testing.T) {
	tests := map[string]struct {
		answer    answer
		inside    bool // the command inside failed
		code      int
		mustSay   string
		mustBeNil bool
	}{
		"success":           {mustBeNil: true},
		"command failed":    {answer: answer{stderr: "boom\n", code: 7}, inside: true, code: 7, mustSay: "exit code 7: boom"},
		"command exits 1":   {answer: answer{code: 1}, inside: true, code: 1, mustSay: "exit code 1"},
		"no such container": {answer: answer{stderr: "Error: No such container: x\n", code: 1}, mustSay: "No such container: x"},
		"not running": {answer: answer{stderr: "Error response from daemon: Container 1f is not running\n", code: 1},
			mustSay: "Container 1f is not running"},
		"no such program": {answer: answer{stderr: "OCI runtime exec failed: exec failed: not found\n", code: 126}, mustSay: "OCI runtime"},
		"podman says 125": {answer: answer{stderr: "Error: x\n", code: 125}, mustSay: "podman exec x false: x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := fake(t, map[string]answer{"exec x false": tt.answer})
			if strings.Contains(tt.mustSay, "podman") {
				e.provider, e.bin = Podman, "podman"
			}
			err := e.Exec(context.Background(), "x", ExecSpec{Cmd: []string{"false"}})
			if tt.mustBeNil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var exit *ExitError
			if got := errors.As(err, &exit); got != tt.inside {
				t.Fatalf("is an ExitError: %v, want %v: %v", got, tt.inside, err)
			}
			if tt.inside && exit.Code != tt.code {
				t.Errorf("code %d, want %d", exit.Code, tt.code)
			}
			if !strings.Contains(err.Error(), tt.mustSay) {
				t.Errorf("error %q does not say %q", err, tt.mustSay)
			}
		})
	}
}

func TestExecGivesStderrToItsReaderToo(t *testing.T) {
	e := fake(t, map[string]answer{"exec --interactive --user 0 x cat": {stdout: "out", stderr: "err"}})
	var out, errs bytes.Buffer
	err := e.Exec(context.Background(), "x", ExecSpec{User: "0", Cmd: []string{"cat"}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
	if err != nil || out.String() != "out" || errs.String() != "err" {
		t.Errorf("got %q, %q, %v", out.String(), errs.String(), err)
	}
}

func TestCommandErrorSaysTheReasonOnly(t *testing.T) {
	tests := map[string]string{
		"docker: Error response from daemon: Conflict. The name is in use.\nSee 'docker run --help'.": "Conflict. The name is in use.",
		"WARNING: old\nError: no such image\n":                                                        "no such image",
		"something odd\n":                                                                             "something odd",
		"":                                                                                            "",
	}
	for stderr, want := range tests {
		if got := (&CommandError{Stderr: stderr}).Reason(); got != want {
			t.Errorf("Reason of %q is %q, want %q", stderr, got, want)
		}
	}
}

func TestContextEndsACommand(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	e := New(Docker, "docker", func(*exec.Cmd) error { cancel(); return exitStatus(137) })
	_, err := e.Output(ctx, "ps")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestContainers(t *testing.T) {
	const inspected = `[{"Id":"aaa","Name":"/lab-worker","Created":"2026-01-02T03:04:05.6Z","Image":"sha256:1",
		"State":{"Status":"running","Running":true,"Pid":12,"StartedAt":"2026-01-02T03:04:06Z"},
		"Config":{"Image":"node:v1","Labels":{"a":"b"}},
		"NetworkSettings":{"Networks":{"kind":{"IPAddress":"172.18.0.2","GlobalIPv6Address":"fc00::2"}},
		"Ports":{"6443/tcp":[{"HostIp":"127.0.0.1","HostPort":"4000"}],"80/tcp":null}}}]`
	e := fake(t, map[string]answer{
		"ps --all --quiet --no-trunc --filter label=a=b": {stdout: "aaa\nbbb\n"},
		// bbb went away between the two commands
		"container inspect aaa bbb": {stdout: inspected, stderr: "Error: No such container: bbb\n", code: 1},
	})
	got, err := e.Containers(context.Background(), "a=b")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("got %d containers, want 1", len(got))
	}
	c := got[0]
	if c.Name != "lab-worker" || !c.Running || c.Pid != 12 || c.Labels["a"] != "b" || c.ImageID != "sha256:1" {
		t.Errorf("got %+v", c)
	}
	if want := (Address{IPv4: "172.18.0.2", IPv6: "fc00::2"}); c.Networks["kind"] != want {
		t.Errorf("address %v, want %v", c.Networks["kind"], want)
	}
	if want := []Port{{Container: "6443/tcp", HostIP: "127.0.0.1", HostPort: "4000"}}; !cmp.Equal(c.Ports, want) {
		t.Errorf("ports: %s", cmp.Diff(want, c.Ports))
	}
}

func TestContainerNotFound(t *testing.T) {
	e := fake(t, map[string]answer{"container inspect x": {stdout: "[]\n", stderr: "Error: No such container: x\n", code: 1}})
	if _, err := e.Container(context.Background(), "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestRemove(t *testing.T) {
	tests := map[string]struct {
		rm      answer
		wantErr string
	}{
		"removed":        {},
		"absent":         {rm: answer{stderr: "Error: No such container: x\n", code: 1}},
		"being removed":  {rm: answer{stderr: "Error response from daemon: removal of container x is already in progress\n", code: 1}},
		"something else": {rm: answer{stderr: "Error response from daemon: device busy\n", code: 1}, wantErr: "device busy"},
		"one of two fails": {rm: answer{stderr: "Error: No such container: x\nError response from daemon: device busy\n", code: 1},
			wantErr: "remove containers"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := fake(t, map[string]answer{
				"rm --force --volumes x": tt.rm,
				"container inspect x":    {stdout: "[]", stderr: "Error: No such container: x\n", code: 1},
			})
			err := e.Remove(context.Background(), "x")
			if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Errorf("got %v, want %q", err, tt.wantErr)
			}
		})
	}
}

func TestRunArguments(t *testing.T) {
	got := RunSpec{
		Name: "n", Image: "i", Network: "kind", Labels: map[string]string{"b": "2", "a": "1"}, Env: []string{"E=1"},
		Entrypoint: []string{"/bin/x", "y"}, Cmd: []string{"z"}, CapAdd: []string{"NET_ADMIN"}, ReadOnly: true, PidsLimit: 5,
	}.args()
	want := strings.Fields("run --detach --pull=never --name n --network kind --label a=1 --label b=2 --env E=1 " +
		"--cap-add NET_ADMIN --pids-limit 5 --read-only --entrypoint /bin/x i y z")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHasImage(t *testing.T) {
	e := fake(t, map[string]answer{
		"image inspect --format {{.Id}} there":  {stdout: "sha256:1\n"},
		"image inspect --format {{.Id}} bare":   {stdout: "1\n"},
		"image inspect --format {{.Id}} absent": {stdout: "\n", stderr: "Error: No such image: absent\n", code: 1},
		"image inspect --format {{.Id}} broken": {stderr: "Cannot connect to the Docker daemon\n", code: 1},
	})
	ctx := context.Background()
	for ref, want := range map[string]string{"there": "sha256:1", "bare": "sha256:1", "absent": ""} {
		id, ok, err := e.HasImage(ctx, ref)
		if err != nil || id != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v, %v", ref, id, ok, err)
		}
	}
	if _, _, err := e.HasImage(ctx, "broken"); err == nil {
		t.Error("an engine that does not answer passes as one without the image")
	}
}

func TestNetwork(t *testing.T) {
	e := fake(t, map[string]answer{
		"network inspect kind":   {stdout: `[{"Name":"kind","IPAM":{"Config":[{"Subnet":"fc00::/64"},{"Subnet":"172.18.0.0/16"}]}}]`},
		"network inspect podman": {stdout: `[{"name":"podman","subnets":[{"subnet":"10.88.0.0/16"}]}]`},
		"network inspect none":   {stdout: "[]\n", stderr: "Error: No such network: none\n", code: 1},
	})
	for name, want := range map[string]string{"kind": "[fc00::/64 172.18.0.0/16]", "podman": "[10.88.0.0/16]"} {
		n, err := e.Network(context.Background(), name)
		if err != nil || fmt.Sprint(n.Subnets) != want {
			t.Errorf("%s: got %v, %v, want %s", name, n.Subnets, err, want)
		}
	}
	if _, err := e.Network(context.Background(), "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// A command that outlives labctl is seen by -vv all the same.
func TestLongCommandsAreToldOfWhileTheyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		was := slog.Default()
		defer slog.SetDefault(was)
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		var during string
		e := New(Docker, "docker", func(cmd *exec.Cmd) error {
			if slices.Contains(cmd.Args, "serve") {
				time.Sleep(2 * time.Second)
				synctest.Wait()
				during = log.String()
			}
			return nil
		})
		for _, what := range []string{"ps", "serve"} {
			if _, err := e.Output(t.Context(), what); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(during, `"command is under way"`) || !strings.Contains(during, "serve") {
			t.Errorf("while it runs: %s", during)
		}
		if all := log.String(); strings.Count(all, "under way") != 1 || strings.Count(all, "msg=command ") != 2 {
			t.Errorf("at the end: %s", all)
		}
	})
}
