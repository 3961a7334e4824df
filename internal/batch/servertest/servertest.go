//go:build e2e || bench

package servertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Server is a PostgreSQL server that is gone when the test is over.
type Server struct {
	Address   string // as its superuser
	dir, port string
}

// Start starts a server.
func Start(t testing.TB) *Server {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	dir, err := os.MkdirTemp("", "labctl-postgres-") // its own user has to get in
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: dir, port: port}
	t.Cleanup(func() {
		_, _ = s.hack("stop", dir)
		_ = os.RemoveAll(dir)
	})
	s.Restart(t)
	return s
}

// Restart starts a server that was stopped.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	out, err := s.hack("start", s.dir, s.port)
	if err != nil {
		t.Fatal(err)
	}
	s.Address = strings.TrimSpace(out)
}

// Stop stops the server at once.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if _, err := s.hack("stop", s.dir); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) hack(args ...string) (string, error) {
	top, err := root()
	if err != nil {
		return "", err
	}
	var stdout, stderr strings.Builder
	cmd := exec.Command(filepath.Join(top, "hack", "postgres"), args...) //nolint:noctx // it also runs when the test is over
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("hack/postgres %q: %w: %s", args, err, stderr.String())
	}
	return stdout.String(), nil
}

// root is the checkout that the test is in.
func root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", os.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
