// Package target opens the cluster that a command works on, and prepares gradings there.
package target

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/labs"
)

// GraderCommand is the hidden command that a grading runs in a process of its own.
const GraderCommand = "grader-process"

// Flags name a cluster and where labs come from.
type Flags struct {
	Name     string
	Provider string
	Labs     []string
}

// Add defines the flags on a command.
func (f *Flags) Add(cmd *cobra.Command) {
	f.add(cmd, DefaultName(), "the cluster's name (also LABCTL_CLUSTER)")
}

// AddOwn is Add for a command that by default works in a cluster of its own.
func (f *Flags) AddOwn(cmd *cobra.Command, name string) { f.add(cmd, name, "the cluster's name") }

func (f *Flags) add(cmd *cobra.Command, name, usage string) {
	cmd.Flags().StringVar(&f.Name, "name", name, usage)
	cmd.Flags().StringVar(&f.Provider, "provider", "", "container engine: docker, podman or nerdctl (default: the one that answers)")
	f.AddLabs(cmd)
}

// DefaultName is the cluster that is meant where none is named.
func DefaultName() string {
	if name := os.Getenv("LABCTL_CLUSTER"); name != "" {
		return name
	}
	return cluster.DefaultName
}

// NameFlag is what a command line needs to name the cluster: "" or " --name NAME".
func NameFlag(name string) string {
	if name == DefaultName() {
		return ""
	}
	return " --name " + name
}

// AddLabs defines only the flag for further labs.
func (f *Flags) AddLabs(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.Labs, "labs", nil, "folders with further labs (also LABCTL_LABS)")
}

// Catalog reads the built-in labs and those of the flags and of LABCTL_LABS.
func (f *Flags) Catalog() (*lab.Catalog, error) {
	return lab.NewCatalog(labs.Files(), f.dirs(), grader.RunNames())
}

func (f *Flags) dirs() []string {
	dirs := slices.Clone(f.Labs)
	if env := os.Getenv("LABCTL_LABS"); env != "" {
		dirs = append(dirs, filepath.SplitList(env)...)
	}
	return dirs
}

// Target is an open cluster of labctl's.
type Target struct {
	Engine  *engine.Engine
	Cluster *cluster.Cluster
	API     *kube.Client
	labs    []string
}

// Open finds the cluster and connects to it. A cluster that labctl did not make is refused.
func (f *Flags) Open(ctx context.Context, p cluster.Progress) (*Target, error) {
	e, err := engine.Detect(ctx, f.Provider)
	if err != nil {
		return nil, err
	}
	clusters, err := cluster.New(e, p)
	if err != nil {
		return nil, err
	}
	cl, err := clusters.Find(ctx, f.Name)
	if err != nil {
		return nil, err
	}
	api, err := kube.Connect(cl.Kubeconfig, cl.Context)
	if err != nil {
		return nil, err
	}
	if err := api.Ping(ctx); err != nil {
		return nil, err
	}
	return &Target{Engine: e, Cluster: cl, API: api, labs: f.dirs()}, nil
}

// Serves returns an error of the environment where the lab needs a load balancer and none
// is served.
func (t *Target) Serves(ctx context.Context, l *lab.Lab) error {
	if !l.NeedsLoadBalancer() {
		return nil
	}
	return loadbalancer.Serves(ctx, t.Engine, t.Cluster.Name)
}

// Places are the vantage points from which a namespace's Services are probed.
func (t *Target) Places(namespace string) grader.Places {
	return grader.PlacesIn(t.Engine, t.API, t.Cluster.Name, namespace, loadbalancer.Serves)
}

// Limits are what a submission for the lab may contain.
func Limits(l *lab.Lab) submission.Limits {
	return submission.Limits{
		Namespace: l.ID, Images: l.Images(), Questions: l.Questions(), AnswersSuffice: l.AnswersSuffice(),
		Kinds: l.Policy.Kinds, LeaveOut: len(l.Policy.RefusedObjectCosts) > 0, Pods: netip.MustParsePrefix(cluster.PodSubnet()),
	}
}

// Grading prepares to grade the submission for the lab. Grader output goes to log; nil drops it.
func (t *Target) Grading(l *lab.Lab, sub *submission.Submission, begin func(string) func(error), log io.Writer) (*grader.Grading, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find labctl's own program: %w", err)
	}
	return &grader.Grading{
		API: t.API, Lab: l, Labs: t.labs, Objects: sub.Unstructured(), Refused: len(sub.Refused), Answers: sub.Answers, Begin: begin, Log: log, Trace: ui.Trace(),
		Target: grader.Target{
			Kubeconfig: t.Cluster.Kubeconfig, Context: t.Cluster.Context, Cluster: t.Cluster.Name, Provider: t.Engine.Provider(),
		},
		Command: func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, self, GraderCommand) },
	}, nil
}
