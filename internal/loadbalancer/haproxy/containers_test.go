package haproxy

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"testing"

	"labctl.dev/labctl/internal/engine"
)

type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
func (e exitStatus) ExitCode() int { return int(e) }

// fakeDocker plays the engine for one container; it notes the commands it gets.
type fakeDocker struct {
	taken bool   // a container of that name exists
	image bool   // HAProxy's is there
	log   string // the container's
	did   []string
}

func (f *fakeDocker) run(cmd *exec.Cmd) error {
	verb := cmd.Args[1]
	f.did = append(f.did, verb)
	say := func(w io.Writer, text string) { _, _ = io.WriteString(w, text+"\n") }
	switch {
	case verb == "create" && f.taken:
		say(cmd.Stderr, `Error response from daemon: Conflict. The container name "/x" is already in use by container "1".`)
		return exitStatus(125)
	case verb == "create" && !f.image:
		say(cmd.Stderr, "Error: No such image: labctl/haproxy:v1")
		return exitStatus(125)
	case verb == "rm":
		f.taken = false
	case verb == "cp":
		_, err := io.Copy(io.Discard, cmd.Stdin)
		return err
	case verb == "logs":
		say(cmd.Stdout, f.log)
	case verb == "container":
		say(cmd.Stdout, `[{"Id":"1","Name":"/x","State":{"Running":true},"NetworkSettings":{"Networks":{"kind":{"IPAddress":"172.18.0.9"}}}}]`)
	}
	return nil
}

func TestStart(t *testing.T) {
	const listens = "[NOTICE] (1) : New worker (8) forked\n[NOTICE] (1) : Loading success."
	tests := map[string]struct {
		docker fakeDocker
		did    []string
		fails  bool
	}{
		"the first":        {fakeDocker{image: true, log: listens}, []string{"create", "cp", "start", "logs", "container"}, false},
		"after a dead":     {fakeDocker{image: true, taken: true, log: listens}, []string{"create", "rm", "create", "cp", "start", "logs", "container"}, false},
		"without image":    {fakeDocker{}, []string{"create"}, true},
		"port cannot bind": {fakeDocker{image: true, log: "[ALERT] (1) : cannot bind socket"}, []string{"create", "cp", "start", "logs"}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := NewContainers(engine.New(engine.Docker, "docker", tt.docker.run), "labctl", "")
			proxy, err := c.Start(context.Background(), Owner{Cluster: "labctl", Namespace: "shop", Service: "frontend", UID: "u-1"}, "global\n")
			if (err != nil) != tt.fails {
				t.Fatalf("error %v, want one: %v", err, tt.fails)
			}
			if err == nil && proxy.IPv4 != "172.18.0.9" {
				t.Errorf("address %q", proxy.IPv4)
			}
			if !slices.Equal(tt.docker.did, tt.did) {
				t.Errorf("did %v, want %v", tt.docker.did, tt.did)
			}
		})
	}
}
