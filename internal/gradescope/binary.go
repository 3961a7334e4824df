package gradescope

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"strconv"
	"strings"

	"labctl.dev/labctl/internal/fault"
)

// module is what a labctl was built from.
const module = "labctl.dev/labctl"

// The C library of Ubuntu 22.04, Gradescope's base image: glibc 2.35.
const glibcMajor, glibcMinor = 2, 35

const binaryRemedy = "take the labctl for linux/amd64 from a release, or build it in a checkout with " +
	"GOARCH=amd64 GOOS=linux make build, and name it: --binary FILE"

// CheckBinary returns a fault.Input unless the program is a labctl that runs in Gradescope's
// container.
func CheckBinary(data []byte) error {
	refuse := func(format string, args ...any) error {
		return fault.Inputf("Gradescope runs programs for linux/amd64: %w", fmt.Errorf(format, args...)).WithRemedy("%s", binaryRemedy)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return refuse("this is a program for another system, or none")
	}
	defer func() { _ = f.Close() }() // it is in memory
	switch {
	case f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64:
		return refuse("this one is for %s (%s)", strings.TrimPrefix(f.Machine.String(), "EM_"), strings.TrimPrefix(f.Class.String(), "ELFCLASS"))
	case f.OSABI != elf.ELFOSABI_NONE && f.OSABI != elf.ELFOSABI_LINUX:
		return refuse("this one is for %s", strings.TrimPrefix(f.OSABI.String(), "ELFOSABI_"))
	case f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN:
		return refuse("this is no program but a part of one")
	}
	if why := libraries(f); why != "" {
		return refuse("this one %s", why)
	}
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil || info.Main.Path != module {
		return fault.Inputf("the program is no labctl").WithRemedy("%s", binaryRemedy)
	}
	return nil
}

// libraries says which library the program needs that the container does not have, or "". A
// labctl that was built without cgo needs none.
func libraries(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		loader := make([]byte, min(p.Filesz, 256))
		if _, err := p.ReadAt(loader, 0); err != nil || string(bytes.TrimRight(loader, "\x00")) != "/lib64/ld-linux-x86-64.so.2" {
			return fmt.Sprintf("needs the loader %.100q, which is not there", bytes.TrimRight(loader, "\x00"))
		}
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return "" // it imports nothing
	}
	for _, s := range symbols {
		version, ok := strings.CutPrefix(s.Version, "GLIBC_")
		if ok && newer(version) {
			return fmt.Sprintf("needs glibc %s, and Ubuntu 22.04 has %d.%d", version, glibcMajor, glibcMinor)
		}
	}
	return ""
}

// newer tells whether a version of glibc is later than the container's.
func newer(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errMajor := strconv.Atoi(major)
	b, errMinor := strconv.Atoi(minor)
	return errMajor != nil || errMinor != nil || a > glibcMajor || a == glibcMajor && b > glibcMinor
}
