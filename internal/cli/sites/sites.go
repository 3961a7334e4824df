// Package sites makes the clusters that classes are graded in, and grades in them.
package sites

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/batch"
	"labctl.dev/labctl/internal/cli/furnish"
	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/telemetry"
	"labctl.dev/labctl/internal/ui"
)

// Sites are clusters of their own, apart from the one that somebody works in: NAME-batch-1 and
// so on. It is a batch.Sites.
type Sites struct {
	Flags        target.Flags
	LoadBalancer string
	NodeImage    string
	Catalog      *lab.Catalog
	Steps        target.Steps

	mu    sync.Mutex
	mine  map[int]string // the clusters' names, by their numbers in the pool
	locks []*flock.Flock // held until the process ends, however it does
}

// makeTime bounds the making of one cluster.
const makeTime = 15 * time.Minute

// mostNames is how many processes and clusters can share a machine.
const mostNames = 256

// stateFolder returns labctl's folder for what must not be lost, which is there then.
func stateFolder() (string, error) {
	state, err := home.State()
	if err == nil {
		err = os.MkdirAll(state, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("make the state folder: %w", err)
	}
	return state, nil
}

// name returns the name of the cluster with the number: the first that no other process on
// this machine grades in.
func (s *Sites) name(n int, state string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, ok := s.mine[n]; ok {
		return name, nil
	}
	for i := range mostNames {
		name := fmt.Sprintf("%s-batch-%d", s.Flags.Name, i+1)
		lock := flock.New(filepath.Join(state, name+".grading.lock"))
		got, err := lock.TryLock()
		if err != nil {
			return "", fmt.Errorf("choose a cluster to grade in: %w", err)
		}
		if !got {
			continue
		}
		if s.mine == nil {
			s.mine = map[int]string{}
		}
		s.mine[n] = name
		s.locks = append(s.locks, lock)
		return name, nil
	}
	return "", fault.Environmentf("%d clusters are in use for grading", mostNames).WithRemedy("wait until other batches have ended")
}

// Make implements batch.Sites.
func (s *Sites) Make(ctx context.Context, n int, anew bool) (batch.Site, error) {
	ctx, cancel := context.WithTimeout(ctx, makeTime)
	defer cancel()
	tools, err := furnish.Open(ctx, s.Flags.Provider, s.Steps)
	if err != nil {
		return nil, err
	}
	state, err := stateFolder()
	if err != nil {
		return nil, err
	}
	name, err := s.name(n, state)
	if err != nil {
		return nil, err
	}
	wanted := furnish.Wanted{
		Name: name, Workers: cluster.AsItIs, NodeImage: s.NodeImage, LoadBalancer: s.LoadBalancer,
		Kubeconfig: filepath.Join(state, "batch-kubeconfig"), Purpose: "labctl batch", Anew: anew,
	}
	began := time.Now()
	_, err = tools.Up(ctx, wanted, s.Steps)
	if err != nil && !anew && ctx.Err() == nil && fault.KindOf(err) == fault.Environment {
		wanted.Anew = true // what is there cannot be mended; nobody else uses it
		_, err = tools.Up(ctx, wanted, s.Steps)
	}
	if err != nil {
		return nil, err
	}
	s.Steps.Note(fmt.Sprintf("cluster %s is ready after %s", wanted.Name, ui.Duration(time.Since(began))))
	flags := s.Flags
	flags.Name = wanted.Name
	t, err := flags.Open(ctx, s.Steps)
	if err != nil {
		return nil, err
	}
	made := &site{sites: s, target: t, clusters: tools.Clusters, places: t.Places("")}
	if made.clean, err = made.footprint(ctx); err != nil {
		return nil, err
	}
	return made, nil
}

// site is one of the clusters.
type site struct {
	sites    *Sites
	target   *target.Target
	clusters *cluster.Clusters
	places   grader.Places
	clean    []string // what was there of it at first
}

// Grade implements batch.Grader.
func (s *site) Grade(ctx context.Context, t batch.Task, archive []byte) (result.Report, error) {
	l, err := s.sites.Catalog.Lab(t.Lab)
	if err != nil {
		return result.Report{}, err
	}
	telemetry.Annotate(ctx, slog.String("k8s.cluster.name", s.target.Cluster.Name))
	report := target.NewReport(l)
	if err := s.grade(ctx, l, t, archive, &report); err != nil {
		target.Explain(&report, err)
	}
	report.Submission, report.Student = t.Digest, ""
	return report, ctx.Err()
}

func (s *site) grade(ctx context.Context, l *lab.Lab, t batch.Task, archive []byte, report *result.Report) error {
	if l.Version != t.Version {
		return fault.Environmentf("this labctl has version %s of lab %s, not %s", l.Version, l.ID, t.Version)
	}
	_, end := telemetry.Begin(ctx, telemetry.Read)
	sub, err := submission.Unpack(archive, "submission", target.Limits(l))
	end(err)
	if err != nil {
		return err
	}
	if sub.Digest != t.Digest {
		return fault.Environmentf("the archive of submission %s was altered: it is %s", t.Digest, sub.Digest)
	}
	return s.target.Grade(ctx, l, sub, report, false, s.sites.Steps, nil)
}

// soundTime bounds the look at a cluster.
const soundTime = time.Minute

// Sound implements batch.Site.
func (s *site) Sound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, soundTime)
	defer cancel()
	status, err := s.clusters.Status(ctx, s.target.Cluster.Name)
	if err != nil {
		return err
	}
	if !status.Healthy {
		return errors.New(strings.Join(status.Problems, "; "))
	}
	now, err := s.footprint(ctx)
	if err != nil {
		return err
	}
	for _, line := range now {
		if !slices.Contains(s.clean, line) {
			return fmt.Errorf("%.200s was not there when it was new", line)
		}
	}
	for _, line := range s.clean {
		if !slices.Contains(now, line) {
			return fmt.Errorf("%.200s is gone", line)
		}
	}
	return nil
}

// Strain implements batch.Site. A machine that does not even answer to this is busy.
func (s *site) Strain(ctx context.Context) batch.Strain {
	demand, err := s.places.Demand(ctx)
	switch bounds := grader.DefaultTimeouts(); {
	case err == nil && demand.Load > bounds.Overload:
		return batch.Overloaded
	case err != nil, demand.Pressure > bounds.Pressure:
		return batch.Busy
	}
	return batch.AtLeisure
}

func (s *site) footprint(ctx context.Context) ([]string, error) {
	all, err := s.target.API.Footprint(ctx, grader.PurposeLabel+"!="+grader.PurposeGrade)
	// labctl's own policies come with the first submission.
	return slices.DeleteFunc(all, func(line string) bool { return strings.HasSuffix(line, ".labctl.dev") }), err
}
