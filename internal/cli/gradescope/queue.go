package gradescope

import (
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/cli/sites"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
)

// queueFlags say how the autograder comes to the queue's address, which holds a password.
type queueFlags struct {
	URL  string
	File string
	Env  string
}

func (q *queueFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&q.URL, "queue", "", "the workers' queue, as in postgres://user:password@host/database?sslmode=verify-full (also "+sites.QueueVariable+")")
	f.StringVar(&q.File, "queue-file", "", "a file that holds it, which keeps the password from the list of processes")
	f.StringVar(&q.Env, "queue-env", "", "keep it out of the zip: the autograder reads it from this variable")
}

// given tells whether a flag names the queue.
func (q *queueFlags) given() bool { return q.URL != "" || q.File != "" || q.Env != "" }

// maxAddress bounds the file of the address, in bytes.
const maxAddress = 16 << 10

// address returns the address that goes into the zip. No error repeats it.
func (q *queueFlags) address() (string, error) {
	text := q.URL
	switch {
	case q.URL != "" && q.File != "":
		return "", fault.Inputf("--queue and --queue-file both name the queue").WithRemedy("leave one of them away")
	case q.File != "":
		data, err := home.Read(q.File, maxAddress)
		if err != nil {
			return "", fault.Inputf("--queue-file is no file with an address in it: %w", err).WithRemedy("write the address there: postgres://user:password@host/database")
		}
		text, _, _ = strings.Cut(string(data), "\n")
	case q.URL == "":
		text = os.Getenv(sites.QueueVariable)
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", fault.Inputf("which queue? mode queue hands submissions to one").WithRemedy("--queue-file FILE, with postgres://user:password@host/database in it")
	}
	parsed, err := batch.ParseAddress(text)
	if err != nil {
		return "", err
	}
	return text, reachable(parsed)
}

// reachable refuses an address that Gradescope's container could not use, or not safely: all that
// the autograder says to the queue crosses the internet.
func reachable(address *url.URL) error {
	host, options := address.Hostname(), address.Query()
	if host == "" {
		return fault.Inputf("the queue's address names no host, and Gradescope's container is another machine").
			WithRemedy("postgres://user:password@host/database")
	}
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey", "passfile", "service", "servicefile"} {
		if value := options.Get(name); value != "" && value != "system" {
			return fault.Inputf("the queue's address names a file of this machine (%s), which Gradescope's container does not have", name).
				WithRemedy("leave %s away", name)
		}
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil // nothing crosses a network: somebody tries it out
	}
	switch options.Get("sslmode") {
	case "require", "verify-ca", "verify-full":
		return nil
	}
	return fault.Inputf("the queue's address does not insist on TLS, and its password would cross the internet in the open").
		WithRemedy("end the address with ?sslmode=verify-full")
}
