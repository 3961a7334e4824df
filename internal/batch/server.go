package batch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"

	"labctl.dev/labctl/internal/fault"
)

// serverConnections is how many connections a process uses at most. A grading needs one for some
// milliseconds; PostgreSQL gives out 100 unless it is told otherwise, and a fleet shares them.
const serverConnections = 4

// OpenServer connects to a PostgreSQL server, which workers on any number of machines share.
// address is a URL, as in "postgres://user@host/database".
func OpenServer(ctx context.Context, address string) (*Store, error) {
	return openServerWithin(ctx, address, maxSilence)
}

// openServerWithin is OpenServer; silence is how long the server may keep one waiting.
func openServerWithin(ctx context.Context, address string, silence time.Duration) (*Store, error) {
	s, parsed, err := connect(ctx, address, silence)
	if err != nil {
		return nil, err
	}
	s.db.SetMaxOpenConns(serverConnections)
	// The server makes a process for each one: those that come and go cost it more than all the rest.
	s.db.SetMaxIdleConns(serverConnections)
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(unreachable(parsed, err), s.Close())
	}
	return s, nil
}

// connect finds the server and is let in.
func connect(ctx context.Context, address string, silence time.Duration) (*Store, *url.URL, error) {
	parsed, err := ParseAddress(address)
	if err != nil {
		return nil, nil, err
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, nil, unreachable(parsed, err)
	}
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, place string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, silence)
		defer cancel()
		conn, err := dial(ctx, network, place)
		if err != nil {
			return nil, err
		}
		return &impatient{Conn: conn, silence: silence}, nil
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, noticeSilence(silence)).ReadAll()
		return err
	}))
	s := &Store{db: db, driver: riverdatabasesql.New(db), say: dialect{
		blob: "BYTEA", identity: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		now:      "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
		millis:   func(c string) string { return "CAST(extract(epoch FROM " + c + ") * 1000 AS BIGINT)" },
		in:       func(seconds int) string { return fmt.Sprintf("clock_timestamp() + interval '%d seconds'", seconds) },
		elements: "SELECT json_array_elements_text($1::json)",
		holder:   "attempted_by[array_upper(attempted_by, 1)]",
		shared:   true,
	}}
	if err := db.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(unreachable(parsed, err), db.Close())
	}
	return s, parsed, nil
}

// ParseAddress reads the address of a server's queue. The error does not repeat it: it may hold
// a password.
func ParseAddress(address string) (*url.URL, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return nil, fault.Inputf("the queue is not named as postgres://user@host/database").WithRemedy("labctl batch --help")
	}
	return parsed, nil
}

// unreachable never prints the password.
func unreachable(address *url.URL, err error) error {
	text := err.Error()
	if password, ok := address.User.Password(); ok && password != "" {
		text = strings.ReplaceAll(text, password, "xxxxx")
	}
	return fault.Environmentf("%w", &redacted{fmt.Sprintf("the queue %s: %s", address.Redacted(), text), err}).
		WithRemedy("see that PostgreSQL runs and lets you in: psql '%s'", address.Redacted())
}

// redacted is an error whose own text is not to be printed.
type redacted struct {
	text  string
	cause error
}

func (r *redacted) Error() string { return r.text }

func (r *redacted) Unwrap() error { return r.cause }

// maxSilence is how long a server that was asked may say nothing until it counts as out of reach.
// One whose machine lost its power, or its network, never says so, and the system would wait for
// many minutes.
const maxSilence = time.Minute

// noticeSilence has the server do the same: it would keep for hours what somebody has locked who
// will never be heard of again. Statements, since what pools connections refuses most parameters.
func noticeSilence(silence time.Duration) string {
	seconds := max(1, int(silence.Seconds()))
	return fmt.Sprintf("SET idle_in_transaction_session_timeout = '%ds'; SET tcp_keepalives_idle = %d; SET tcp_keepalives_interval = %d; SET tcp_keepalives_count = 3",
		seconds, seconds, max(1, seconds/6))
}

// impatient is a connection that ends where the other side has been silent for too long. It is
// only read where an answer is awaited: nobody listens for what comes unasked.
type impatient struct {
	net.Conn
	silence time.Duration

	mu          sync.Mutex
	read, write time.Time // until when the user of the connection waits; none means for ever
}

// errSilent is no timeout, after which the connection would be used again.
var errSilent = errors.New("the server does not answer")

func (c *impatient) Read(b []byte) (int, error) {
	if err := c.limit(&c.read, c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	return n, c.judge(&c.read, err)
}

// Write goes by small steps: that much takes long is not silence.
func (c *impatient) Write(b []byte) (n int, err error) {
	const step = 32 << 10
	for n < len(b) {
		if err := c.limit(&c.write, c.Conn.SetWriteDeadline); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(b[n:min(len(b), n+step)])
		n += m
		if err != nil {
			return n, c.judge(&c.write, err)
		}
	}
	return n, nil
}

// limit bounds what comes next by both patiences.
func (c *impatient) limit(asked *time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := time.Now().Add(c.silence)
	if asked.IsZero() || own.Before(*asked) {
		return set(own)
	}
	return set(*asked)
}

// judge tells whose patience ended.
func (c *impatient) judge(asked *time.Time, err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if asked.IsZero() || time.Now().Before(*asked) {
		return errSilent
	}
	return err
}

// SetDeadline says how long the user of the connection waits.
func (c *impatient) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline says so of reading alone.
func (c *impatient) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline says so of writing alone.
func (c *impatient) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}
