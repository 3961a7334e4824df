package loadbalancer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// detached gives a child no console: closing ours, or Ctrl-C in it, does not reach it.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}

// askToEnd ends the process: there is no way to ask one that has no console.
func askToEnd(p *os.Process) error { return p.Kill() }

func canServe(string) error { return nil }

const stillActive = 259

// startTime returns when a process started, in the units of a file time.
func startTime(pid int) (string, error) {
	handle, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	defer func() { _ = windows.CloseHandle(handle) }()
	var code uint32
	if err := windows.GetExitCodeProcess(handle, &code); err != nil || code != stillActive {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(handle, &created, &exited, &kernel, &user); err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	return fmt.Sprint(created.Nanoseconds()), nil
}

// Named returns the processes that run a program of that name.
func (system) Named(name string) ([]process, error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer func() { _ = windows.CloseHandle(snapshot) }()
	var found []process
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		program := filepath.Base(windows.UTF16ToString(entry.ExeFile[:]))
		if !strings.EqualFold(strings.TrimSuffix(program, ".exe"), name) {
			continue
		}
		if started, err := startTime(int(entry.ProcessID)); err == nil {
			found = append(found, process{PID: int(entry.ProcessID), Started: started})
		}
	}
	return found, nil
}
