// Package lab reads labs: lab.yaml's types, strict parsing and validation, and the files
// around it. It imports nothing of labctl's but fault.
package lab

import (
	"io/fs"
	"slices"
	"time"
)

// APIVersion is what a lab.yaml must say it is.
const APIVersion = "labctl.dev/lab/v1"

// Lab is one folder under labs/: its lab.yaml, and the files beside it.
type Lab struct {
	APIVersion string  `json:"apiVersion"`      // labctl.dev/lab/v1
	ID         string  `json:"id"`              // as in "labctl grade --lab ID"
	Version    string  `json:"version"`         // changes when marks could
	Title      string  `json:"title"`           // as in the list of labs
	Summary    string  `json:"summary"`         // one sentence on what the student achieves
	Category   string  `json:"category"`        // core, concepts or troubleshooting: its part of the catalogue
	Minutes    int     `json:"minutes"`         // that a student needs
	Ready      Seconds `json:"ready"`           // how long workloads get to become ready
	Tiers      []Tier  `json:"tiers,omitempty"` // the parts of the application; none where questions are all there is
	Steps      []Step  `json:"steps"`           // the parts of README.md, in its order
	Checks     []Check `json:"checks"`          // what is graded, in this order; points sum to 100
	Policy     Policy  `json:"policy,omitzero"` // where it differs from what submissions may hold for every lab

	// Files is the lab's folder: README.md, EXPLANATION.md, starter/, solution/, wrong/<check-id>/.
	Files fs.FS `json:"-"`
	// Path is lab.yaml's path, for messages.
	Path string `json:"-"`
}

// Seconds is a duration, written in YAML as "30s" or "2m".
type Seconds time.Duration

// Tier is a part of the application. A pod belongs to a tier when it runs the tier's
// fixture image, whatever its name and labels: names can be copied, digests cannot.
type Tier struct {
	Name  string `json:"name"`  // frontend, backend, db
	Image string `json:"image"` // labctl/frontend:v1
	Port  int    `json:"port"`  // that its container listens on
	// Protocol is "http" (the default) or "postgresql".
	Protocol string `json:"protocol,omitempty"`
}

// Step is a part of the lab's instructions, and groups checks.
type Step struct {
	ID    string `json:"id"`    // as in "labctl show STEP"
	Title string `json:"title"` // as in README.md's heading "## Step N: TITLE"
}

// Policy is what a lab changes in the policy on submissions.
type Policy struct {
	// Kinds are allowed beyond those that every lab allows: EndpointSlice.
	Kinds []string `json:"kinds,omitempty"`
	// RefusedObjectCosts lists the checks that fail where an object is refused. The object is
	// left out and the rest is graded. Without it, a refused object costs all marks.
	RefusedObjectCosts []string `json:"refusedObjectCosts,omitempty"`
}

// Check is one thing that is graded. Exactly one of Reach, App, Internal, Resolve, Question
// and Run is set: Run names a check written in Go, the others are checks as data.
type Check struct {
	ID        string   `json:"id"`                  // an interface: reports and gradebooks refer to it
	Title     string   `json:"title"`               // what is so when the check passes
	Step      string   `json:"step"`                // the id of the step that it belongs to
	Points    float64  `json:"points"`              // above 0; all checks' points sum to 100
	DependsOn []string `json:"dependsOn,omitempty"` // checks that must have passed, listed earlier
	Timeout   Seconds  `json:"timeout,omitempty"`   // of this check after workloads are ready; 0 means 30s
	Hints     []string `json:"hints"`               // from gentle to plain
	// Visibility "hidden" keeps the check from all that students see; "" shows it.
	Visibility string `json:"visibility,omitempty"`

	Reach    *Reach    `json:"reach,omitempty"`
	App      *App      `json:"app,omitempty"`
	Internal *Internal `json:"internal,omitempty"`
	Resolve  *Resolve  `json:"resolve,omitempty"`
	Question *Question `json:"question,omitempty"`
	Run      *Run      `json:"run,omitempty"`
}

// Via is the way by which a Service is reached.
type Via string

// The ways to a Service.
const (
	ViaName         Via = "name"         // cluster DNS: http://backend
	ViaClusterIP    Via = "clusterIP"    // the virtual IP
	ViaNodePort     Via = "nodePort"     // each node's address, from outside
	ViaLoadBalancer Via = "loadBalancer" // the external address, from outside
)

// Reach sends identified requests to a Service and looks at who answers.
type Reach struct {
	Service string `json:"service"`        // the Service's name
	Tier    string `json:"tier"`           // whose pods must answer, and nobody else
	From    string `json:"from,omitempty"` // the tier from whose pods is asked; "" means outside
	Via     []Via  `json:"via"`            // every one of these ways must work
	Port    int    `json:"port"`           // the Service's port
	Type    string `json:"type,omitempty"` // ClusterIP, NodePort, LoadBalancer: required of the Service
	// NodePort is the node port that the Service must have; 0 means any. Where it is set, it
	// is what is dialled, whatever the Service's own port is: that is another check's matter.
	NodePort int `json:"nodePort,omitempty"`
	// Nodes: "any" node must answer (default), or "every". Only with nodePort.
	Nodes string `json:"nodes,omitempty"`
	// Pods is how many different pods must answer at least; every ready pod of the tier
	// must be among those that do. 0 means that one answer is enough.
	Pods int `json:"pods,omitempty"`
	// Assigned asks only that the load balancer has an address and accepts connections there.
	Assigned bool `json:"assigned,omitempty"`
	// Sticky asks that one client is answered by one and the same pod every time, though
	// several are ready: session affinity.
	Sticky bool `json:"sticky,omitempty"`
}

// App asks the application in every pod of a tier, from inside that pod, over loopback:
// it shows whether the pod's own configuration reaches the next tier.
type App struct {
	Tier     string `json:"tier"`     // whose pods are asked
	Path     string `json:"path"`     // "/readyz", "/api/whoami"
	Answered string `json:"answered"` // the tier that must have answered behind it
}

// Internal tries every way into the tiers' pods from outside: node ports, load balancer
// addresses, externalIPs and host ports. None may answer, while inside each does.
type Internal struct {
	Tiers []string `json:"tiers"` // whose pods nobody outside may reach
}

// Resolve asks the cluster's DNS, from a pod, what the name of a Service stands for.
type Resolve struct {
	Service string `json:"service"` // the name that is looked up
	From    string `json:"from"`    // the tier from whose pods is asked
	// To is what the name must stand for: "service" (its ClusterIP), "pods" (the addresses of
	// exactly the ready pods of Tier: a headless Service) or "alias" (another Service, named by
	// Target: an ExternalName).
	To     string `json:"to"`
	Tier   string `json:"tier,omitempty"`   // only with to: pods
	Target string `json:"target,omitempty"` // only with to: alias
}

// Question is answered in the submission's answers.yaml, under the check's id. Exactly one of
// Choose, Order and Predict is set.
type Question struct {
	Ask    string   `json:"ask"`              // the question itself
	Choose []string `json:"choose,omitempty"` // what there is to choose from
	Answer string   `json:"answer,omitempty"` // the right one of Choose
	Order  []string `json:"order,omitempty"`  // in the right order; students see them shuffled
	// Predict is something that the grader then really tries on the submission's own objects.
	Predict *Predict `json:"predict,omitempty"`
	Why     string   `json:"why"` // shown to who has answered rightly
}

// Predict is one request. Its answer is what comes of it: "answers", or the class of the
// failure (TIMEOUT, REFUSED, DNS, RESET).
type Predict struct {
	Service string `json:"service"`        // the Service that is asked
	From    string `json:"from,omitempty"` // the tier from whose pods is asked; "" means outside
	Via     Via    `json:"via"`            // the way that the request takes
	Port    int    `json:"port"`           // the Service's port; with via nodePort the port of each node
}

// Run is a check written in Go, by its registered name, with its parameters.
type Run struct {
	Name string            `json:"name"`           // as registered in grader/
	With map[string]string `json:"with,omitempty"` // its parameters
}

// Points returns the sum over all checks.
func (l *Lab) Points() float64 {
	sum := 0.0
	for _, c := range l.Checks {
		sum += c.Points
	}
	return sum
}

// Images are those of its tiers: what a submission for the lab may run.
func (l *Lab) Images() []string {
	var images []string
	for _, t := range l.Tiers {
		images = append(images, t.Image)
	}
	return images
}

// Check returns the check with the id.
func (l *Lab) Check(id string) (Check, bool) {
	for _, c := range l.Checks {
		if c.ID == id {
			return c, true
		}
	}
	return Check{}, false
}

// Tier returns the tier with the name.
func (l *Lab) Tier(name string) (Tier, bool) {
	for _, t := range l.Tiers {
		if t.Name == name {
			return t, true
		}
	}
	return Tier{}, false
}

// Hidden tells whether students must not see the check.
func (c Check) Hidden() bool { return c.Visibility == "hidden" }

// NeedsLoadBalancer tells whether any check goes through a load balancer.
func (l *Lab) NeedsLoadBalancer() bool {
	for _, c := range l.Checks {
		if c.Reach != nil && slices.Contains(c.Reach.Via, ViaLoadBalancer) {
			return true
		}
		if q := c.Question; q != nil && q.Predict != nil && q.Predict.Via == ViaLoadBalancer {
			return true
		}
		if c.Run != nil && c.Run.With["via"] == string(ViaLoadBalancer) {
			return true
		}
	}
	return false
}

// DependsOn tells whether the check depends on the other one, directly or through others.
func (l *Lab) DependsOn(check, other string) bool {
	c, _ := l.Check(check)
	for _, d := range c.DependsOn {
		if d == other || l.DependsOn(d, other) {
			return true
		}
	}
	return false
}
