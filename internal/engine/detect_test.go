package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

const (
	healthy = `echo '{"ServerVersion":"20.10","CgroupVersion":"1","DockerRootDir":"/data","SecurityOptions":["name=seccomp,profile=default"],"MemTotal":1024,"NCPU":2}'`
	stopped = `echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?" >&2; exit 1`
	refused = `echo "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock" >&2; exit 1`
	oddOK   = `echo '{"ServerErrors":["Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"]}'`
	alias   = `echo '{"host":{"arch":"amd64"},"version":{"Version":"5.0"}}'`
	podman  = `echo '{"host":{"cgroupVersion":"v2","cpus":4,"security":{"rootless":true}},"store":{"graphRoot":"/p"},"version":{"Version":"5.0"}}'`
)

// engines puts scripts on PATH that play container engines, and nothing else.
func engines(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, body := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("KIND_EXPERIMENTAL_PROVIDER", "")
}

func TestDetect(t *testing.T) {
	tests := map[string]struct {
		scripts map[string]string
		ask     string
		env     string
		want    string // the provider
	}{
		"docker answers":                  {scripts: map[string]string{"docker": healthy}, want: Docker},
		"docker before podman":            {scripts: map[string]string{"docker": healthy, "podman": podman}, want: Docker},
		"podman when docker is stopped":   {scripts: map[string]string{"docker": stopped, "podman": podman}, want: Podman},
		"docker is an alias of podman":    {scripts: map[string]string{"docker": alias, "podman": podman}, want: Podman},
		"asked for":                       {scripts: map[string]string{"docker": healthy, "podman": podman}, ask: "podman", want: Podman},
		"asked for by kind's variable":    {scripts: map[string]string{"docker": healthy, "podman": podman}, env: "podman", want: Podman},
		"the flag wins over the variable": {scripts: map[string]string{"docker": healthy, "podman": podman}, ask: "docker", env: "podman", want: Docker},
		"finch is nerdctl":                {scripts: map[string]string{"finch": healthy}, ask: "finch", want: Nerdctl},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			engines(t, tt.scripts)
			t.Setenv("KIND_EXPERIMENTAL_PROVIDER", tt.env)
			e, err := Detect(context.Background(), tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			if e.Provider() != tt.want {
				t.Errorf("got %s, want %s", e.Provider(), tt.want)
			}
		})
	}
}

func TestDetectSaysWhyAndWhatToDo(t *testing.T) {
	tests := map[string]struct {
		scripts map[string]string
		ask     string
		kind    fault.Kind
		why     string
		remedy  string
	}{
		"no engine":                {kind: fault.Environment, why: "no container engine found", remedy: "install Docker"},
		"not running":              {scripts: map[string]string{"docker": stopped}, kind: fault.Environment, why: "not running", remedy: "systemctl start docker"},
		"not running, exit code 0": {scripts: map[string]string{"docker": oddOK}, kind: fault.Environment, why: "not running", remedy: "systemctl start docker"},
		"no permission":            {scripts: map[string]string{"docker": refused}, kind: fault.Environment, why: "refuses this user", remedy: "usermod -aG docker"},
		"wrong provider": {scripts: map[string]string{"docker": healthy}, ask: "podman",
			kind: fault.Environment, why: "podman is not installed", remedy: "--provider"},
		"unknown provider": {scripts: map[string]string{"docker": healthy}, ask: "lxc", kind: fault.Input, why: `unknown provider "lxc"`, remedy: "docker, podman or nerdctl"},
		"what is there and broken says more than what is absent": {scripts: map[string]string{"podman": `echo "Error: kaput" >&2; exit 125`},
			kind: fault.Environment, why: "podman does not work: podman info --format json: kaput", remedy: "podman info"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			engines(t, tt.scripts)
			_, err := Detect(context.Background(), tt.ask)
			if err == nil {
				t.Fatal("no error")
			}
			if got := fault.KindOf(err); got != tt.kind {
				t.Errorf("kind %d, want %d", got, tt.kind)
			}
			for _, text := range []string{err.Error(), fault.RemedyOf(err)} {
				if strings.Contains(text, "\n") {
					t.Errorf("more than one line: %q", text)
				}
			}
			if !strings.Contains(err.Error(), tt.why) || !strings.Contains(fault.RemedyOf(err), tt.remedy) {
				t.Errorf("got %q, remedy %q; want %q, %q", err, fault.RemedyOf(err), tt.why, tt.remedy)
			}
		})
	}
}

func TestDetectStopsWithItsContext(t *testing.T) {
	engines(t, map[string]string{"docker": healthy, "podman": podman})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Detect(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestInfo(t *testing.T) {
	engines(t, map[string]string{"docker": healthy, "podman": podman})
	docker, err := New(Docker, "docker", nil).Info(context.Background())
	if err != nil || docker.CgroupVersion != "1" || docker.DataRoot != "/data" || docker.CPUs != 2 || docker.Rootless {
		t.Errorf("docker: got %+v, %v", docker, err)
	}
	pod, err := New(Podman, "podman", nil).Info(context.Background())
	if err != nil || pod.CgroupVersion != "2" || pod.DataRoot != "/p" || pod.CPUs != 4 || !pod.Rootless || pod.Version != "5.0" {
		t.Errorf("podman: got %+v, %v", pod, err)
	}
}
