// Package probe sends identified traffic from the vantage points of a lab: from inside a
// student's pod, from a node, and from outside the cluster.
//
// All of them run the same program (fixtures/apps/probe): it reads calls from its standard
// input, one a line, as JSON, carries out a call's probes at the same time, and writes a
// reply to each, in the order in which they are done.
package probe

import "time"

// Class says why there was no answer.
type Class string

// The classes of failure. Hints are chosen by them.
const (
	Timeout Class = "TIMEOUT" // nothing came back: nobody there, or packets dropped
	Refused Class = "REFUSED" // the address is there, the port is not
	DNS     Class = "DNS"     // the name does not resolve
	Reset   Class = "RESET"   // accepted, then cut off
	Other   Class = "OTHER"
)

// Kind is what a probe speaks.
type Kind string

// The kinds of probe.
const (
	HTTP       Kind = "http"
	TCP        Kind = "tcp"        // connect only: proves no identity
	Lookup     Kind = "dns"        // A and AAAA records
	PostgreSQL Kind = "postgresql" // log in and run one statement
)

// Call asks the probe program to carry out a plan.
type Call struct {
	Number uint64 `json:"number"` // unique in one run of the program; its Reply has it too
	Plan   Plan   `json:"plan"`
}

// Reply answers the Call with its number.
type Reply struct {
	Number  uint64 `json:"number"`
	Refused string `json:"refused,omitempty"` // why the plan was not carried out; "" where it was
	Results
}

// Plan is what one call of the probe program carries out.
type Plan struct {
	Probes []Probe `json:"probes"`
	// Parallel bounds how many are under way at once; 0 means 32.
	Parallel int `json:"parallel,omitempty"`
}

// Probe is one thing to try, repeated until it holds or the patience is over.
type Probe struct {
	ID   string `json:"id"` // unique in its plan
	Kind Kind   `json:"kind"`
	// Target: a URL for HTTP ("http://backend/whoami"), "host:port" for TCP,
	// a name for Lookup, a postgres:// URL for PostgreSQL.
	Target  string        `json:"target"`
	Timeout time.Duration `json:"timeout,omitempty"` // of one attempt; 0 means 2 s
	// Attempts are made at the same time or one after the other as Serial says, each over
	// a new connection. 0 means 1.
	Attempts int  `json:"attempts,omitempty"`
	Serial   bool `json:"serial,omitempty"`
	// Interval is the pause between serial attempts.
	Interval time.Duration `json:"interval,omitempty"`
	// Until stops serial attempts early at the first that meets it; "" never does.
	Until Until `json:"until,omitempty"`

	Method string `json:"method,omitempty"` // HTTP; "" means GET
	Body   string `json:"body,omitempty"`   // HTTP; sent as application/json
	// Statement is what a PostgreSQL probe runs, with Arguments as $1…; the first column
	// of the first row, as text, becomes the attempt's Body. "" means: who are you.
	Statement string   `json:"statement,omitempty"`
	Arguments []string `json:"arguments,omitempty"`
}

// Until is a condition that ends serial attempts.
type Until string

// The conditions of Probe.Until.
const (
	UntilAnswer Until = "answer" // any answer, whatever its status
	UntilOK     Until = "ok"     // HTTP 2xx, a row, a record, a connection
)

// Results is what came of a plan: one Result a probe, in the plan's order.
type Results struct {
	Results []Result `json:"results"`
	// Lag is the most by which a timer of the probe program was late meanwhile: on a machine
	// with time to spare a few milliseconds, in nanoseconds.
	Lag time.Duration `json:"lag,omitempty"`
	// Pressure is the share of the last ten seconds, in percent, in which some process of the
	// machine waited for a processor; 0 where the kernel does not tell.
	Pressure float64 `json:"pressure,omitempty"`
	// Load is how many processes of the machine ran, or waited to, for each of its processors, as
	// an average over the last minute; 0 where the kernel does not tell.
	Load float64 `json:"load,omitempty"`
}

// Result is what came of one probe.
type Result struct {
	ID       string    `json:"id"`
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one try.
type Attempt struct {
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration"`         // nanoseconds
	Remote   string        `json:"remote,omitempty"` // "ip:port" that was connected to
	Class    Class         `json:"class,omitempty"`  // "" where there was an answer
	Error    string        `json:"error,omitempty"`
	Status   int           `json:"status,omitempty"`  // HTTP
	Body     string        `json:"body,omitempty"`    // at most 4 KiB
	Who      *Identity     `json:"who,omitempty"`     // from a /whoami body or the database's answer
	Records  []string      `json:"records,omitempty"` // Lookup: addresses, sorted
}

// Identity is what a fixture application says of itself at /whoami, and what the
// database's address tells.
type Identity struct {
	Pod       string `json:"pod,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Node      string `json:"node,omitempty"`
	App       string `json:"app,omitempty"`     // frontend, backend
	Version   string `json:"version,omitempty"` // of the image
	Address   string `json:"address,omitempty"` // the address that answered, as the answerer sees it
	// Nonce is the value of the request's "nonce" parameter (at most 64 bytes): it proves
	// that the answer was made for this run.
	Nonce string `json:"nonce,omitempty"`
}

// OK tells whether the attempt got what its kind calls success: HTTP 2xx, a row, a record, a connection.
func (a Attempt) OK() bool {
	return a.Class == "" && (a.Status == 0 || a.Status/100 == 2)
}
