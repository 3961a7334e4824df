package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"labctl.dev/labctl/internal/engine"
)

// host is the machine that labctl runs on; its files are a folder so that tests can stand
// in for /proc.
type host struct {
	proc   string
	remote bool // the engine runs on another machine, or in a virtual one
	free   func(path string) (uint64, error)
}

func localHost() *host { return &host{proc: "/proc", free: freeSpace} }

const (
	gib = 1 << 30

	// A node image has 1.5 GB, each node writes as much again, and etcd needs room.
	diskLow, diskShort = 4 * gib, 12 * gib
	// A three-node cluster with a lab in it uses about 1.2 GiB.
	memoryLow, memoryShort = 1.5 * gib, 3 * gib

	// What kind asks for. Each node takes some 30 instances; the common default of 128
	// ends with the second cluster, as "too many open files" in the kubelet's log.
	instancesWanted, watchesWanted = 512, 524288
)

func (h *host) disk(info engine.Info) Finding {
	f := Finding{Check: "disk", Level: OK}
	if info.DataRoot == "" || h.remote {
		f.Found = "the engine's disk cannot be seen from here"
		return f
	}
	free, err := h.free(existing(info.DataRoot))
	if err != nil {
		f.Found = "the engine's disk cannot be seen from here: " + err.Error()
		return f
	}
	f.Found = fmt.Sprintf("%.1f GiB free for %s", float64(free)/gib, info.DataRoot)
	switch {
	case free < diskLow:
		f.Level, f.Remedy = Failure, fmt.Sprintf("free %d GiB there", diskShort/gib)
	case free < diskShort:
		f.Level, f.Remedy = Warning, fmt.Sprintf("free some more: %d GiB are comfortable", diskShort/gib)
	}
	return f
}

// existing is the nearest parent that this user can see.
func existing(path string) string {
	for path != filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
		path = filepath.Dir(path)
	}
	return path
}

func (h *host) memory(info engine.Info) Finding {
	f := Finding{Check: "memory", Level: OK}
	free, total := uint64(0), uint64(max(info.Memory, 0))
	if !h.remote {
		free = h.available()
	}
	f.Found = fmt.Sprintf("%.1f GiB, %d CPUs", float64(total)/gib, info.CPUs)
	if free > 0 {
		f.Found = fmt.Sprintf("%.1f of %.1f GiB free, %d CPUs", float64(free)/gib, float64(total)/gib, info.CPUs)
	} else {
		free = total
	}
	switch {
	case free == 0: // the engine did not say
	case float64(free) < memoryLow:
		f.Level, f.Remedy = Failure, "a cluster needs 1.5 GiB: close something, or give the engine's machine more"
	case free < memoryShort:
		f.Level, f.Remedy = Warning, "3 GiB are comfortable: close something, or labctl up --workers 1"
	case info.CPUs == 1:
		f.Level, f.Remedy = Warning, "with one CPU everything takes its time: give --timeout 20m"
	}
	return f
}

// available is MemAvailable in bytes, or 0 where the system does not tell.
func (h *host) available() uint64 {
	text, _ := os.ReadFile(filepath.Join(h.proc, "meminfo"))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemAvailable:" {
			kib, _ := strconv.ParseUint(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

func (h *host) inotify() []Finding {
	f := Finding{Check: "inotify", Level: OK}
	instances, err := h.number("sys/fs/inotify/max_user_instances")
	if err != nil || h.remote {
		return nil // not this kernel's business
	}
	watches, err := h.number("sys/fs/inotify/max_user_watches")
	if err != nil {
		return nil
	}
	f.Found = fmt.Sprintf("%d instances, %d watches", instances, watches)
	if instances < instancesWanted || watches < watchesWanted {
		f.Level = Warning
		f.Found += ": enough for one cluster, not for several"
		f.Remedy = fmt.Sprintf("sudo sysctl fs.inotify.max_user_instances=%d fs.inotify.max_user_watches=%d", instancesWanted, watchesWanted)
	}
	return []Finding{f}
}

func (h *host) number(file string) (int, error) {
	text, err := os.ReadFile(filepath.Join(h.proc, file))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// capabilities tells whether nodes, which are privileged containers, can be started here.
func (h *host) capabilities(t trial) Finding {
	f := Finding{Check: "capabilities", Level: OK, Found: "none is missing"}
	missing := h.missing()
	if len(missing) > 0 && !h.remote {
		f.Found = strings.Join(missing, ", ") + " missing on this machine"
	}
	switch {
	case t.err != nil:
		f.Level = Failure
		f.Found = "a privileged container does not start: " + t.err.Error()
		f.Remedy = "run labctl where privileged containers are allowed"
		if len(missing) > 0 {
			f.Remedy = "make the engine's default runtime one that does without " + strings.Join(missing, ", ") + ": hack/ in labctl's source has one"
		}
	case len(missing) > 0 && t.image == "":
		f.Level, f.Found = Warning, f.Found+"; no image is here to try a privileged container with"
		f.Remedy = "run labctl doctor again after labctl up or make node-image"
	case len(missing) > 0:
		f.Found += ", and the engine's runtime " + t.runtime + " copes"
	case t.image != "":
		f.Found = "privileged containers start"
	}
	return f
}

// missing returns the capabilities that the kernel knows and this process can never have.
func (h *host) missing() []string {
	last, err := h.number("sys/kernel/cap_last_cap")
	if err != nil {
		return nil
	}
	status, err := os.ReadFile(filepath.Join(h.proc, "self/status"))
	if err != nil {
		return nil
	}
	var names []string
	for line := range strings.Lines(string(status)) {
		value, ok := strings.CutPrefix(line, "CapBnd:")
		if !ok {
			continue
		}
		bounding, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return nil
		}
		for bit := 0; bit <= last && bit < 64; bit++ {
			if bounding>>bit&1 == 0 {
				names = append(names, capability(bit))
			}
		}
	}
	return names
}

// capability names a bit as linux/capability.h does.
func capability(bit int) string {
	names := strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
		LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
		SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
		SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
		WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)
	if bit < len(names) {
		return "CAP_" + names[bit]
	}
	return "capability " + strconv.Itoa(bit)
}
