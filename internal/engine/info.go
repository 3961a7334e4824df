package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Info is what an engine says about itself and the machine that it runs on.
type Info struct {
	Version       string
	CgroupVersion string // "1" or "2"
	CgroupDriver  string
	DataRoot      string // where it keeps images and containers, on its own machine; may be ""
	StorageDriver string
	Runtime       string // the default OCI runtime
	Rootless      bool
	Memory        int64 // bytes
	CPUs          int
	Arch          string // as the engine's kernel says it: x86_64, aarch64
	OS            string // the engine's system, "Debian GNU/Linux 12 (bookworm)"
	Kernel        string
	Server        string // host name of the machine that the engine runs on
}

// Info asks the engine about itself, and so finds out whether it answers. What it said is kept:
// it stays as it is, and each question costs.
func (e *Engine) Info(ctx context.Context) (Info, error) {
	if known := e.info.Load(); known != nil {
		return *known, nil
	}
	info, err := e.ask(ctx)
	if err == nil {
		e.info.Store(&info)
	}
	return info, err
}

func (e *Engine) ask(ctx context.Context) (Info, error) {
	if e.provider == Podman {
		out, err := e.Output(ctx, "info", "--format", "json")
		if err != nil {
			return Info{}, err
		}
		return parsePodmanInfo(out)
	}
	out, err := e.Output(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return Info{}, err
	}
	return parseDockerInfo(e.Command(ctx, "info").Args, out)
}

func parseDockerInfo(args []string, out string) (Info, error) {
	var raw struct {
		ServerVersion, CgroupVersion, CgroupDriver, DockerRootDir, Driver, DefaultRuntime string
		Architecture, OperatingSystem, KernelVersion, Name                                string
		SecurityOptions, ServerErrors                                                     []string
		MemTotal                                                                          int64
		NCPU                                                                              int
	}
	if err := json.Unmarshal([]byte(out), &raw); err != nil {
		return Info{}, fmt.Errorf("read the engine's description of itself: %w", err)
	}
	// Some docker clients exit with 0 although no daemon answered.
	if len(raw.ServerErrors) > 0 {
		said := strings.Join(raw.ServerErrors, "\n")
		return Info{}, &CommandError{Args: args, ExitCode: 1, Stderr: said, Err: errors.New(said)}
	}
	if raw.ServerVersion == "" {
		return Info{}, errors.New("its description of itself names no server version; is this command an alias of another engine?")
	}
	info := Info{
		Version: raw.ServerVersion, CgroupVersion: raw.CgroupVersion, CgroupDriver: raw.CgroupDriver,
		DataRoot: raw.DockerRootDir, StorageDriver: raw.Driver, Runtime: raw.DefaultRuntime,
		Memory: raw.MemTotal, CPUs: raw.NCPU, Arch: raw.Architecture,
		OS: raw.OperatingSystem, Kernel: raw.KernelVersion, Server: raw.Name,
	}
	if info.CgroupVersion == "" {
		info.CgroupVersion = "1" // engines older than cgroup v2 do not say
	}
	for _, option := range raw.SecurityOptions {
		for part := range strings.SplitSeq(option, ",") {
			info.Rootless = info.Rootless || part == "name=rootless"
		}
	}
	return info, nil
}

func parsePodmanInfo(out string) (Info, error) {
	var raw struct {
		Host struct {
			Arch, CgroupVersion, CgroupManager, Kernel, Hostname string
			CPUs                                                 int
			MemTotal                                             int64
			Security                                             struct{ Rootless bool }
			OCIRuntime                                           struct{ Name string }
			Distribution                                         struct{ Distribution, Version string }
		}
		Store   struct{ GraphRoot, GraphDriverName string }
		Version struct{ Version string }
	}
	if err := json.Unmarshal([]byte(out), &raw); err != nil {
		return Info{}, fmt.Errorf("read podman's description of itself: %w", err)
	}
	return Info{
		Version: raw.Version.Version, CgroupVersion: strings.TrimPrefix(raw.Host.CgroupVersion, "v"),
		CgroupDriver: raw.Host.CgroupManager, DataRoot: raw.Store.GraphRoot, StorageDriver: raw.Store.GraphDriverName,
		Runtime: raw.Host.OCIRuntime.Name, Rootless: raw.Host.Security.Rootless,
		Memory: raw.Host.MemTotal, CPUs: raw.Host.CPUs, Arch: raw.Host.Arch,
		OS:     strings.TrimSpace(raw.Host.Distribution.Distribution + " " + raw.Host.Distribution.Version),
		Kernel: raw.Host.Kernel, Server: raw.Host.Hostname,
	}, nil
}
