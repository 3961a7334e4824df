package batch

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a connection whose other side is there, and may keep silent.
func pipe(t *testing.T) (*impatient, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return &impatient{Conn: near, silence: time.Minute}, far
}

// A server that says nothing is given up, whatever its user would wait for, and so that the
// connection counts as broken; its user may be less patient.
func TestSilenceEndsAConnection(t *testing.T) {
	for _, tt := range []struct {
		name   string
		asked  time.Duration // by the user; 0 means no end
		took   time.Duration
		silent bool
	}{
		{"no end", 0, time.Minute, true},
		{"a later end", time.Hour, time.Minute, true},
		{"an earlier end", time.Second, time.Second, false},
	} {
		for what, do := range map[string]func(c *impatient) error{
			"read":  func(c *impatient) error { _, err := c.Read(make([]byte, 1)); return err },
			"write": func(c *impatient) error { _, err := c.Write(make([]byte, 1)); return err },
		} {
			t.Run(tt.name+" "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, _ := pipe(t)
					if tt.asked > 0 {
						if err := c.SetDeadline(time.Now().Add(tt.asked)); err != nil {
							t.Fatal(err)
						}
					}
					began := time.Now()
					err := do(c)
					if took := time.Since(began); took != tt.took {
						t.Errorf("it took %s", took)
					}
					if errors.Is(err, errSilent) != tt.silent || errors.Is(err, os.ErrDeadlineExceeded) == tt.silent {
						t.Errorf("%v", err)
					}
					if said := net.Error(nil); tt.silent && errors.As(err, &said) {
						t.Errorf("%v is one after which the connection would be used again", err)
					}
				})
			})
		}
	}
}

// Who waits may be interrupted, and go on afterwards.
func TestInterruptedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		go func() {
			<-time.After(time.Second)
			_ = c.SetDeadline(time.Unix(1, 0))
		}()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it reads beyond its end: %v", err)
		}
		_ = c.SetDeadline(time.Time{})
		go func() { _, _ = far.Write([]byte("x")) }()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

// A large archive on a slow way is not silence.
func TestSlowConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		const size = 1 << 20
		var reading sync.WaitGroup
		reading.Go(func() {
			for b := make([]byte, 16<<10); ; {
				<-time.After(20 * time.Second)
				if _, err := io.ReadFull(far, b); err != nil {
					return
				}
			}
		})
		defer reading.Wait()
		defer func() { _ = far.Close() }() // ends the reading
		began := time.Now()
		if n, err := c.Write(make([]byte, size)); n != size || err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if took := time.Since(began); took < 10*time.Minute {
			t.Errorf("it was not slow: %s", took)
		}
		if n, err := c.Write(nil); n != 0 || err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	})
}
