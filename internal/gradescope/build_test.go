package gradescope

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"labctl.dev/labctl/internal/fault"
)

// program is the test's own, which was built from labctl's module.
func program(t *testing.T) []byte {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skipf("the test's own program is for %s/%s, and only one for linux/amd64 goes into an autograder", runtime.GOOS, runtime.GOARCH)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const address = "postgres://g:hush@db.example.org/q?sslmode=verify-full"

func queued() Config {
	return Config{Mode: Queue, Lab: "clusterip", LabVersion: "1", Batch: "gradescope/clusterip", TimeLimit: 600}
}

func TestBuildIsReproducible(t *testing.T) {
	own := fstest.MapFS{
		"lab.yaml": {Data: []byte("id: mine\n")}, "solution/app.yaml": {Data: []byte("kind: Pod\n")},
		".git/config": {Data: []byte("secret")}, "README.md~": {Data: []byte("old")},
	}
	p := Parts{Config: queued(), Binary: []byte("a program"), Queue: address, Lab: own}
	first, err := p.pack()
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.pack()
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("the same parts made other bytes: %v", err)
	}
	modes, texts := contents(t, first)
	want := map[string]fs.FileMode{
		"labctl": 0o755, "labctl.json": 0o644, "queue": 0o600, "run_autograder": 0o755, "setup.sh": 0o755,
		"labs/lab.yaml": 0o644, "labs/solution/app.yaml": 0o644, "labs/README.md~": 0o644,
	}
	for name, mode := range want {
		if modes[name] != mode {
			t.Errorf("%s has mode %v, want %v", name, modes[name], mode)
		}
	}
	if len(modes) != len(want) {
		t.Errorf("the zip holds %v", modes)
	}
	for name, text := range texts {
		if strings.Contains(text, "hush") != (name == "queue") {
			t.Errorf("%s: the password is where it should not be, or not where it should", name)
		}
	}
	if !strings.Contains(texts["labctl.json"], `"own": true`) || !strings.HasPrefix(texts["run_autograder"], "#!/bin/sh\n") || !strings.HasPrefix(texts["setup.sh"], "#!") {
		t.Errorf("%s\n%s", texts["labctl.json"], texts["run_autograder"])
	}
}

// contents are the modes and, but for the program, the texts of the files in a zip.
func contents(t *testing.T, data []byte) (modes map[string]fs.FileMode, texts map[string]string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	modes, texts = map[string]fs.FileMode{}, map[string]string{}
	for _, f := range z.File {
		modes[f.Name] = f.Mode()
		if f.Name == binaryName {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		texts[f.Name] = string(text)
	}
	return modes, texts
}

// A lab's link could lead anywhere on the machine of who builds.
func TestBuildRefusesLinksInALab(t *testing.T) {
	_, err := Parts{Config: queued(), Lab: fstest.MapFS{"lab.yaml": {Mode: fs.ModeSymlink}}}.pack()
	if err == nil || fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "lab.yaml") {
		t.Errorf("%v", err)
	}
}

// Nothing is packed that Gradescope could not run, or that was asked for wrongly.
func TestBuildRefuses(t *testing.T) {
	if _, err := Build(Parts{Config: queued(), Binary: []byte("a program")}); err == nil || !strings.Contains(fault.RemedyOf(err), "--binary") {
		t.Errorf("%v", err)
	}
	wrong := queued()
	wrong.Mode = "grade"
	if _, err := (Parts{Config: wrong}).pack(); err == nil || !strings.Contains(err.Error(), "no mode") {
		t.Errorf("%v", err)
	}
}

func TestCheckBinary(t *testing.T) {
	good := program(t)
	if err := CheckBinary(good); err != nil {
		t.Fatal(err)
	}
	altered := func(offset int, value ...byte) []byte {
		data := bytes.Clone(good)
		copy(data[offset:], value)
		return data
	}
	machine := binary.LittleEndian.AppendUint16(nil, 183)
	for name, tt := range map[string]struct {
		data []byte
		says string
	}{
		"nothing":      {nil, "another system, or none"},
		"a script":     {[]byte("#!/bin/sh\n"), "another system, or none"},
		"macOS":        {[]byte{0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1}, "another system, or none"},
		"Windows":      {[]byte("MZ\x90\x00"), "another system, or none"},
		"arm64":        {altered(18, machine...), "AARCH64"},
		"FreeBSD":      {altered(7, 9), "FREEBSD"},
		"an object":    {altered(16, 1), "a part of one"},
		"cut short":    {good[:40], "another system, or none"},
		"another tool": {bytes.ReplaceAll(good, []byte(module), []byte("labctl.dev/lebctl")), "no labctl"},
	} {
		err := CheckBinary(tt.data)
		if err == nil || fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), tt.says) || !strings.Contains(fault.RemedyOf(err), "--binary") {
			t.Errorf("%s: %v, hint %q", name, err, fault.RemedyOf(err))
		}
	}
}

func TestNewerThanTheContainers(t *testing.T) {
	for version, want := range map[string]bool{"2.2.5": false, "2.34": false, "2.35": false, "2.36": true, "2.100": true, "3.0": true, "": true} {
		if newer(version) != want {
			t.Errorf("glibc %s: %t", version, !want)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	read := Config{Mode: Manifests, Lab: "clusterip", LabVersion: "1", TimeLimit: 600}
	for name, tt := range map[string]struct {
		base   Config
		change func(*Config)
		says   string // "" where it is good
	}{
		"queue":             {queued(), func(*Config) {}, ""},
		"manifests":         {read, func(c *Config) { c.Points = 5 }, ""},
		"no mode":           {read, func(c *Config) { c.Mode = "grade" }, `no mode "grade"`},
		"too long":          {queued(), func(c *Config) { c.TimeLimit = 2401 }, "none of Gradescope's"},
		"too short":         {queued(), func(c *Config) { c.TimeLimit = 1 }, "none of Gradescope's"},
		"negative":          {read, func(c *Config) { c.Points = -1 }, "no number of points"},
		"points for grades": {queued(), func(c *Config) { c.Points = 5 }, "and no others"},
		"scaled manifests":  {read, func(c *Config) { c.OutOf = 5 }, "no queue, and nothing to scale"},
		"no batch":          {queued(), func(c *Config) { c.Batch = "" }, "no name for a batch"},
		"odd batch":         {queued(), func(c *Config) { c.Batch = "a b" }, "no name for a batch"},
		"negative round":    {queued(), func(c *Config) { c.Round = -1 }, "no round"},
		"odd variable":      {queued(), func(c *Config) { c.QueueEnv = "A-B" }, "no name of a variable"},
	} {
		c := tt.base
		tt.change(&c)
		err := c.Check()
		if (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(err.Error(), tt.says) || fault.KindOf(err) != fault.Input || fault.RemedyOf(err) == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the limit is, the work ends before it.
func TestWorkingEndsBeforeGradescopeDoes(t *testing.T) {
	for limit, want := range map[float64]float64{5: 4, 60: 48, 300: 240, 600: 540, 2400: 2340} {
		if got := (Config{TimeLimit: limit}).Working().Seconds(); got != want {
			t.Errorf("of %g s, it works for %g s", limit, got)
		}
	}
}
