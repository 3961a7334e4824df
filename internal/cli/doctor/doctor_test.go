package doctor

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/ui"
)

// machine is a host whose /proc holds the files.
func machine(t *testing.T, files map[string]string) *host {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &host{proc: dir, free: func(string) (uint64, error) { return 100 * gib, nil }}
}

func expect(t *testing.T, f Finding, level Level, found, remedy string) {
	t.Helper()
	if f.Level != level || !strings.Contains(f.Found, found) || !strings.Contains(f.Remedy, remedy) || (remedy == "") != (f.Remedy == "") {
		t.Errorf("got %+v; want %s, %q, remedy %q", f, level, found, remedy)
	}
}

func TestCapabilities(t *testing.T) {
	const all, lacking = "CapBnd:\t000001ffffffffff\n", "CapBnd:\t000001fffeffffff\n" // without bit 24
	tests := map[string]struct {
		bounding string
		trial    trial
		level    Level
		found    string
		remedy   string
	}{
		"all there, tried":       {all, trial{image: "i"}, OK, "privileged containers start", ""},
		"all there, not tried":   {all, trial{}, OK, "none is missing", ""},
		"missing, engine copes":  {lacking, trial{image: "i", runtime: "drop-caps"}, OK, "CAP_SYS_RESOURCE missing on this machine, and the engine's runtime drop-caps copes", ""},
		"missing, not tried":     {lacking, trial{}, Warning, "CAP_SYS_RESOURCE missing", "doctor again"},
		"missing, does not work": {lacking, trial{image: "i", err: errors.New("not permitted")}, Failure, "not permitted", "CAP_SYS_RESOURCE"},
		"refused otherwise":      {all, trial{image: "i", err: errors.New("no privileges")}, Failure, "no privileges", "allowed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := machine(t, map[string]string{"self/status": "Name:\tx\n" + tt.bounding, "sys/kernel/cap_last_cap": "40\n"})
			expect(t, h.capabilities(tt.trial), tt.level, tt.found, tt.remedy)
		})
	}
}

func TestInotify(t *testing.T) {
	files := func(instances, watches string) map[string]string {
		return map[string]string{"sys/fs/inotify/max_user_instances": instances, "sys/fs/inotify/max_user_watches": watches}
	}
	expect(t, machine(t, files("512\n", "524288\n")).inotify()[0], OK, "512 instances", "")
	expect(t, machine(t, files("128\n", "524288\n")).inotify()[0], Warning, "128 instances", "fs.inotify.max_user_instances=512")
	expect(t, machine(t, files("512\n", "8192\n")).inotify()[0], Warning, "8192 watches", "fs.inotify.max_user_watches=524288")
	if got := machine(t, nil).inotify(); got != nil {
		t.Errorf("a system without inotify: %v", got)
	}
	h := machine(t, files("128\n", "8192\n"))
	h.remote = true
	if got := h.inotify(); got != nil {
		t.Errorf("another machine's engine: %v", got)
	}
}

func TestDiskAndMemory(t *testing.T) {
	info := engine.Info{DataRoot: t.TempDir(), Memory: 8 * gib, CPUs: 2}
	h := machine(t, map[string]string{"meminfo": "MemTotal: 1 kB\nMemAvailable:    4194304 kB\n"})
	expect(t, h.disk(info), OK, "100.0 GiB free", "")
	expect(t, h.memory(info), OK, "4.0 of 8.0 GiB free, 2 CPUs", "")

	h.free = func(string) (uint64, error) { return 8 * gib, nil }
	expect(t, h.disk(info), Warning, "8.0 GiB", "free some more")
	h.free = func(string) (uint64, error) { return gib, nil }
	expect(t, h.disk(info), Failure, "1.0 GiB", "free 12 GiB")
	h.free = func(string) (uint64, error) { return 0, errors.New("no such disk") }
	expect(t, h.disk(info), OK, "cannot be seen", "")

	expect(t, machine(t, map[string]string{"meminfo": "MemAvailable: 2097152 kB\n"}).memory(info), Warning, "2.0 of", "--workers 1")
	expect(t, machine(t, map[string]string{"meminfo": "MemAvailable: 1048576 kB\n"}).memory(info), Failure, "1.0 of", "1.5 GiB")
	info.CPUs = 1
	expect(t, h.memory(info), Warning, "1 CPUs", "--timeout")
	h.remote = true
	expect(t, h.disk(info), OK, "cannot be seen", "")
	expect(t, h.memory(engine.Info{Memory: gib}), Failure, "1.0 GiB", "1.5 GiB")
}

func TestCgroups(t *testing.T) {
	expect(t, cgroups(engine.Info{CgroupVersion: "2"}), OK, "version 2", "")
	expect(t, cgroups(engine.Info{CgroupVersion: "1"}), Warning, "version 1", "unified_cgroup_hierarchy")
	expect(t, cgroups(engine.Info{CgroupVersion: "1", Rootless: true}), Failure, "version 1", "cgroup v2")
}

func TestOutput(t *testing.T) {
	findings := []Finding{{Check: "a", Level: OK, Found: "fine"}, {Check: "b", Level: Warning, Found: "so so", Remedy: "mend it"}}
	var out bytes.Buffer
	(&Options{Streams: ui.Streams{Out: &out}}).print(findings)
	const want = "ok\ta\tfine\nwarning\tb\tso so\n\tremedy\tmend it\nNext: labctl up\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if worst(findings) != Warning || worst(append(findings, Finding{Level: Failure})) != Failure || worst(nil) != OK {
		t.Error("the worst finding is another")
	}
}
