package grader

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/containment"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/telemetry"
)

// Labels of the namespaces that submissions are graded in. The owner's host and process
// let a later run tell what an ended one left behind.
const (
	PurposeLabel = "labctl.dev/purpose"
	hostLabel    = "labctl.dev/owner-host"
	pidLabel     = "labctl.dev/owner-pid"

	PurposeGrade   = "grade"
	PurposeStudent = "student" // a student works there: not graded, and never swept
	purposeKept    = "kept"
)

const (
	// portPatience is how long a node port may stay with a namespace that is going away.
	portPatience = 20 * time.Second
	// stuckAfter is how long a namespace may take to go before it is forced.
	stuckAfter = 2 * time.Minute
	// cleanTimeout bounds tidying up; cleanTimeoutInterrupted after Ctrl-C.
	cleanTimeout            = 30 * time.Second
	cleanTimeoutInterrupted = 3 * time.Second
)

// API is what grading a submission needs of the cluster.
type API interface {
	containment.API
	CreateNamespace(ctx context.Context, name string, labels, annotations map[string]string) error
	DeleteNamespace(ctx context.Context, name string, wait bool) error
	// ApplyAs applies the objects with the rights of the user alone.
	ApplyAs(ctx context.Context, user, namespace string, objs []*unstructured.Unstructured) error
	// Release takes off the finalizers of what is being deleted, and returns what they were on.
	Release(ctx context.Context, namespace string) ([]string, error)
	// Discard removes the namespace as fast as it goes.
	Discard(ctx context.Context, name string) error
	NodePorts(ctx context.Context) (map[int32]corev1.Service, error)
	Namespaces(ctx context.Context, selector string) ([]corev1.Namespace, error)
}

// Grading is one submission being graded in a namespace of its own.
type Grading struct {
	API     API
	Lab     *lab.Lab
	Labs    []string // folders with further labs, for the grader process
	Objects []*unstructured.Unstructured
	Refused int                 // how many faults the policy found with objects that were left out
	Answers map[string][]string // to the lab's questions, by the check's id
	Target  Target              // Namespace is chosen by Run
	Keep    bool                // leave the namespace for somebody to look at
	// Command starts a grader process, which reads its Task from standard input.
	Command func(ctx context.Context) *exec.Cmd
	// Log receives what the grader process tells; nil drops it.
	Log io.Writer
	// Trace receives the grader process's log, of commands and API calls; nil drops it.
	Trace io.Writer
	// Begin shows progress.
	Begin func(step string) (end func(error))
}

// Run applies the submission and grades it. The report is complete but for the student,
// the submission's digest and labctl's version. An error is ours, or the API server's
// refusal of an object, which is the submission's (fault.Input).
func (g *Grading) Run(ctx context.Context) (result.Report, error) {
	if err := g.sweep(ctx); err != nil {
		return result.Report{}, err
	}
	if err := g.prepare(ctx); err != nil {
		return result.Report{}, err
	}
	end := g.Begin("grade lab " + g.Lab.ID)
	within, endSuite := telemetry.Begin(ctx, telemetry.Suite)
	r, err := g.process(within)
	endSuite(err)
	end(err)
	return r, err
}

// prepare creates the namespace and applies the submission's objects in it.
func (g *Grading) prepare(ctx context.Context) error {
	suffix := make([]byte, 4)
	if _, err := rand.Read(suffix); err != nil {
		return fmt.Errorf("choose a namespace: %w", err)
	}
	g.Target.Namespace = fmt.Sprintf("labctl-%s-%s", g.Lab.ID, hex.EncodeToString(suffix))
	end := g.Begin("apply the submission in namespace " + g.Target.Namespace)
	telemetry.Annotate(ctx, slog.String("k8s.namespace.name", g.Target.Namespace))
	err := telemetry.In(ctx, telemetry.Admit, g.admit)
	if err == nil {
		err = telemetry.In(ctx, telemetry.Apply, g.apply)
	}
	end(err)
	return err
}

// admit creates the namespace and contains it.
func (g *Grading) admit(ctx context.Context) error {
	err := g.API.CreateNamespace(ctx, g.Target.Namespace, g.labels(), containment.Annotations(g.Lab.Images()))
	if err != nil {
		return err
	}
	return containment.Contain(ctx, g.API, g.Target.Namespace, g.Lab.Policy.Kinds)
}

func (g *Grading) labels() map[string]string {
	purpose := PurposeGrade
	if g.Keep {
		purpose = purposeKept
	}
	labels := containment.Labels()
	labels[PurposeLabel], labels["labctl.dev/lab"] = purpose, g.Lab.ID
	labels[hostLabel], labels[pidLabel] = hostname(), strconv.Itoa(os.Getpid())
	return labels
}

// apply applies the objects. A node port that a namespace on its way out still holds is
// waited for; one that anybody else holds is no fault of the submission.
func (g *Grading) apply(ctx context.Context) error {
	deadline := time.Now().Add(portPatience)
	objects := inNamespace(g.Objects, g.Lab.ID, g.Target.Namespace)
	for {
		err := g.API.ApplyAs(ctx, containment.User(g.Target.Namespace), g.Target.Namespace, objects)
		if !portTaken(err) {
			return err
		}
		holder, errHolder := g.portHolder(ctx)
		switch {
		case errHolder != nil:
			return errHolder
		case holder == nil:
			return err // two of the submission's own Services want the same
		case holder.leaving && time.Now().Before(deadline):
			if err := pause(ctx, DefaultTimeouts().Pause); err != nil {
				return err
			}
		default:
			return fault.Environmentf("node port %d is held by service/%s of namespace %s", holder.port, holder.service, holder.namespace).
				WithRemedy("%s", holder.remedy(g.Target.Context))
		}
	}
}

// inNamespace returns the objects as they are for the namespace that was chosen: an alias of
// another Service (NAME.<lab>.svc.cluster.local) names the one that the manifests mean.
func inNamespace(objects []*unstructured.Unstructured, labID, namespace string) []*unstructured.Unstructured {
	own := slices.Clone(objects)
	for i, o := range own {
		name, _, _ := unstructured.NestedString(o.Object, "spec", "externalName")
		service, domain, _ := strings.Cut(strings.TrimSuffix(name, "."), ".")
		if o.GetKind() != "Service" || service == "" || domain != labID+".svc."+clusterDomain {
			continue
		}
		own[i] = o.DeepCopy()
		// The field is there and a text, so setting it cannot fail.
		_ = unstructured.SetNestedField(own[i].Object, fqdn(service, namespace), "spec", "externalName")
	}
	return own
}

// process runs a grader process on the namespace and reads its report.
func (g *Grading) process(ctx context.Context) (result.Report, error) {
	dir, err := os.MkdirTemp("", "labctl-grade-")
	if err != nil {
		return result.Report{}, fmt.Errorf("make room for the report: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system's temporary folder is swept anyway
	task := Task{Lab: g.Lab.ID, Labs: g.Labs, Target: g.Target, Answers: g.Answers, Refused: g.Refused, Report: filepath.Join(dir, "report.json"), Verbose: g.Log != nil}
	if telemetry.Wanted(ctx) {
		task.Laps = filepath.Join(dir, "laps.json")
		defer func() { telemetry.Replay(ctx, readLaps(task.Laps)) }()
	}
	stdin, err := json.Marshal(task)
	if err != nil {
		return result.Report{}, fmt.Errorf("encode the grader's task: %w", err)
	}
	cmd := g.Command(ctx)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), g.Log, &stderr
	if g.Trace != nil {
		cmd.Stderr = io.MultiWriter(&stderr, g.Trace)
	}
	cmd.Cancel = func() error { return cmd.Process.Kill() } // it owns nothing: the namespace is ours
	cmd.WaitDelay = time.Second
	runErr := cmd.Run()
	r, err := readReport(task.Report)
	switch {
	case ctx.Err() != nil:
		return result.Report{}, ctx.Err()
	case err == nil:
		return r, nil
	case runErr != nil:
		return result.Report{}, fault.Environmentf("the grader process ended without a report: %w: %s", runErr, bounded(stderr.String()))
	}
	return result.Report{}, err
}

// Clean removes the namespace. After an interrupt there is only time to ask for it.
func (g *Grading) Clean(ctx context.Context) error {
	if g.Target.Namespace == "" || g.Keep {
		return nil
	}
	limit := cleanTimeout
	if ctx.Err() != nil {
		limit = cleanTimeoutInterrupted
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return telemetry.In(ctx, telemetry.Remove, func(ctx context.Context) error {
		return g.API.Discard(ctx, g.Target.Namespace)
	})
}

// sweep removes namespaces that earlier runs on this host had no time to remove, and lets go
// those that something keeps from going.
func (g *Grading) sweep(ctx context.Context) error {
	left, err := g.API.Namespaces(ctx, PurposeLabel+"="+PurposeGrade+","+hostLabel+"="+hostname())
	if err != nil {
		return err
	}
	for _, ns := range left {
		switch pid, errPid := strconv.Atoi(ns.Labels[pidLabel]); {
		case ns.DeletionTimestamp != nil && time.Since(ns.DeletionTimestamp.Time) > stuckAfter:
			err = g.release(ctx, ns.Name)
		case ns.DeletionTimestamp == nil && errPid == nil && !alive(pid):
			err = g.API.DeleteNamespace(ctx, ns.Name, false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// release forces away what keeps a namespace, and tells what it was.
func (g *Grading) release(ctx context.Context, namespace string) error {
	released, err := g.API.Release(ctx, namespace)
	if len(released) > 0 || err != nil {
		g.Begin("force away what keeps namespace " + namespace + ": " + strings.Join(released, ", "))(err)
	}
	return err
}

// hostname is this machine's name as a label's value.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
	return strings.Trim(name[:min(len(name), 63)], "-")
}
