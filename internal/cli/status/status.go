// Package status implements "labctl status".
package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/furnish"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/images"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/internal/version"
)

// Options are the command's inputs.
type Options struct {
	Streams  ui.Streams
	Name     string
	Provider string
	JSON     bool
}

// NewCmd returns the command; run replaces Run in tests.
func NewCmd(streams ui.Streams, run func(context.Context, *Options) error) *cobra.Command {
	opts := &Options{Streams: streams}
	if run == nil {
		run = Run
	}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the cluster: its nodes, images and load balancer",
		Long:  `Status shows how the cluster is without changing anything. Exit code 3 means not healthy.`,
		Example: `  labctl status
  labctl status --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), opts) },
	}
	f := cmd.Flags()
	f.StringVar(&opts.Name, "name", cluster.DefaultName, "the cluster's name")
	f.StringVar(&opts.Provider, "provider", "", "container engine: docker, podman or nerdctl (default: the one that answers)")
	f.BoolVar(&opts.JSON, "json", false, "print JSON")
	return cmd
}

// Report is what "labctl status --json" prints.
type Report struct {
	Name   string          `json:"name"`
	Exists bool            `json:"exists"`
	Status *cluster.Status `json:"cluster,omitempty"`
	// Images are the fixture images, and the nodes that lack them.
	Images       []Image       `json:"images,omitempty"`
	LoadBalancer *LoadBalancer `json:"loadBalancer,omitempty"`
	Healthy      bool          `json:"healthy"`
	Problems     []string      `json:"problems,omitempty"`
	Notes        []string      `json:"notes,omitempty"` // nothing is wrong, and yet
	Next         string        `json:"next"`            // a command
}

// Image is a fixture image on the nodes.
type Image struct {
	Ref     string   `json:"ref"`
	Digest  string   `json:"digest,omitempty"`
	Missing []string `json:"missing,omitempty"` // nodes
}

// LoadBalancer is who serves LoadBalancer Services.
type LoadBalancer struct {
	Kind    string `json:"kind"`
	Healthy bool   `json:"healthy"`
	Why     string `json:"why,omitempty"`
	Log     string `json:"log,omitempty"`
}

// Run shows the status.
func Run(ctx context.Context, opts *Options) error {
	p := ui.NewProgress(opts.Streams)
	defer p.Close()
	tools, err := furnish.Open(ctx, opts.Provider, p)
	if err != nil {
		return err
	}
	report, err := opts.look(ctx, tools)
	if err != nil {
		return err
	}
	p.Close()
	if opts.JSON {
		enc := json.NewEncoder(opts.Streams.Out)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		opts.print(report)
	}
	if err == nil && !report.Healthy {
		return &ui.ExitError{Code: int(fault.Environment)}
	}
	return err
}

// withName adds --name where it is needed.
func withName(command, name string) string {
	if name == cluster.DefaultName {
		return command
	}
	return command + " --name " + name
}

func (o *Options) look(ctx context.Context, tools *furnish.Tools) (*Report, error) {
	r := &Report{Name: o.Name, Next: withName("labctl up", o.Name)}
	status, err := tools.Clusters.Status(ctx, o.Name)
	if errors.Is(err, cluster.ErrNone) {
		r.Problems = []string{err.Error()}
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r.Exists, r.Status, r.Problems = true, status, status.Problems
	if !status.Healthy {
		r.Next = withName("labctl repair", o.Name)
		return r, nil
	}
	var wg sync.WaitGroup
	var balancer loadbalancer.Status
	var balancerErr, imagesErr error
	wg.Go(func() { balancer, balancerErr = loadbalancer.StatusOf(ctx, tools.Engine, o.Name) })
	wg.Go(func() { r.Images, imagesErr = fixtures(ctx, tools, status) })
	wg.Wait()
	r.judge(balancer, errors.Join(balancerErr, imagesErr))
	if len(r.Problems) == 0 {
		r.Healthy, r.Next = true, withName("labctl labs", cluster.DefaultName)
		r.compare(status.Labctl, version.Current().Version)
	}
	return r, nil
}

// compare tells of a cluster that another version of labctl made: it can be used, and what
// labctl put into it may be older than what this one grades with.
func (r *Report) compare(made, here string) {
	if made == "" || made == here {
		return
	}
	r.Notes = append(r.Notes, fmt.Sprintf("labctl %s made this cluster, and this is labctl %s: labctl up brings it up to date", made, here))
	r.Next = withName("labctl up", r.Name)
}

// judge adds what is wrong with the images and the load balancer; "labctl up" mends both.
func (r *Report) judge(balancer loadbalancer.Status, err error) {
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	for _, i := range r.Images {
		if len(i.Missing) > 0 {
			r.Problems = append(r.Problems, fmt.Sprintf("image %s is missing on %s", i.Ref, strings.Join(i.Missing, ", ")))
		}
	}
	r.LoadBalancer = &LoadBalancer{
		Kind: string(balancer.Kind), Healthy: balancer.Healthy, Why: balancer.Why, Log: balancer.Log,
	}
	none := r.Status.LoadBalancer == string(loadbalancer.None)
	if none {
		r.LoadBalancer.Kind = string(loadbalancer.None)
	}
	if !balancer.Healthy && !none {
		r.Problems = append(r.Problems, "the load balancer does not serve: "+balancer.Why)
	}
}

// fixtures compares what the cluster's inventory promises with what its nodes hold.
func fixtures(ctx context.Context, tools *furnish.Tools, status *cluster.Status) ([]Image, error) {
	client, err := kube.Connect(status.Kubeconfig, status.Context)
	if err != nil {
		return nil, err
	}
	data, err := client.ConfigMap(ctx, images.InventoryNamespace, images.InventoryName)
	if kube.IsNotFound(err) {
		return nil, errors.New("the fixture images were not loaded yet")
	}
	if err != nil {
		return nil, err
	}
	promised, err := images.ReadInventory(data)
	if err != nil {
		return nil, err
	}
	lists := make([]string, len(status.Nodes))
	errs := make([]error, len(status.Nodes))
	var wg sync.WaitGroup
	for i, n := range status.Nodes {
		wg.Go(func() {
			lists[i], errs[i] = tools.Engine.ExecOutput(ctx, n.Name, "ctr", "-n", "k8s.io", "images", "ls")
		})
	}
	wg.Wait()
	var all []Image
	for _, ref := range images.Refs() {
		image, ok := promised[ref]
		if !ok || ref == images.HAProxy { // that one runs beside the cluster
			continue
		}
		here := Image{Ref: ref, Digest: image.Digest}
		for i, n := range status.Nodes {
			if errs[i] == nil && !holds(lists[i], image) {
				here.Missing = append(here.Missing, n.Name)
			}
		}
		all = append(all, here)
	}
	return all, errors.Join(errs...)
}

// holds reads the list that a node's containerd prints: name, type, digest, …
func holds(list string, image images.Image) bool {
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == image.Name() && f[2] == image.Digest {
			return true
		}
	}
	return false
}

func (o *Options) print(r *Report) {
	w := o.Streams.Out
	mark := func(ok bool) string {
		switch {
		case !o.Streams.OutTerminal && ok:
			return "ok"
		case !o.Streams.OutTerminal:
			return "failed"
		case ok:
			return ui.Paint(true, ui.Green, "✓")
		}
		return ui.Paint(true, ui.Red, "✗")
	}
	if r.Status != nil {
		s := r.Status
		fmt.Fprintf(w, "Cluster %s  context %s  age %s\n", s.Name, s.Context, ui.Duration(time.Since(s.CreatedAt)))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, n := range s.Nodes {
			fmt.Fprintf(t, "%s\tnode %s\t%s\t%s\t%s\n", mark(n.Ready), n.Name, n.Role, n.IPv4, nodeState(n))
		}
		if len(r.Images) > 0 {
			fmt.Fprintf(t, "%s\timages\t%s\n", mark(complete(r.Images)), held(r.Images))
		}
		if lb := r.LoadBalancer; lb != nil {
			fmt.Fprintf(t, "%s\tload balancer\t%s\n", mark(lb.Healthy || lb.Kind == string(loadbalancer.None)), lb.Kind)
		}
		_ = t.Flush()
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(w, "! %s\n", problem)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	fmt.Fprintf(w, "Next: %s\n", r.Next)
}

func nodeState(n cluster.NodeStatus) string {
	if n.Ready {
		return "ready"
	}
	return "not ready"
}

func complete(all []Image) bool {
	for _, i := range all {
		if len(i.Missing) > 0 {
			return false
		}
	}
	return true
}

func held(all []Image) string {
	names := make([]string, 0, len(all))
	for _, i := range all {
		names = append(names, i.Ref)
	}
	return strings.Join(names, ", ")
}
