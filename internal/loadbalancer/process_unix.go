//go:build unix

package loadbalancer

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// detached puts a child into a session of its own.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func askToEnd(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// canServe knows that cloud-provider-kind refuses to run as an ordinary user on macOS.
func canServe(string) error {
	if runtime.GOOS == "darwin" && os.Geteuid() != 0 {
		return errors.New("cloud-provider-kind needs root on macOS; run it yourself with sudo and labctl uses it")
	}
	return nil
}
