package ci

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"labctl.dev/labctl/internal/ci"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/internal/ui"
)

const (
	diagnosticsDir = "diagnostics"
	// diagnoseTime bounds the collecting: the cluster may be what does not answer.
	diagnoseTime = time.Minute
	nodeLines    = 1000
	maxLog       = 4 << 20 // bytes kept of one log, its end
)

// diagnose collects what is needed to find out why the environment failed, before the
// cluster goes. What cannot be had says so in its place.
func (j *job) diagnose(ctx context.Context) {
	defer j.platform.Fold("Collect diagnostics")()
	ctx, cancel := context.WithTimeout(ctx, diagnoseTime)
	defer cancel()
	dir := filepath.Join(j.opts.Out, diagnosticsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		j.say("no diagnostics: %v", err)
		return
	}
	redact := ci.Redactor(os.Environ())
	for _, part := range j.parts() {
		text, err := part.text(ctx)
		if err != nil {
			text += fmt.Sprintf("\nnot to be had: %v\n", err)
		}
		if err := home.Replace(filepath.Join(dir, part.file), []byte(redact(text)), 0o644); err != nil {
			j.say("no %s: %v", part.file, err)
			continue
		}
		j.say("%s", filepath.Join(dir, part.file))
	}
}

// part is one file of the diagnostics.
type part struct {
	file string
	text func(context.Context) (string, error)
}

// parts are all that can be had: without an engine, what the doctor found.
func (j *job) parts() []part {
	found := []part{{"doctor.txt", j.doctorText}}
	if j.tools == nil {
		return found
	}
	return append(found, part{"cluster.txt", j.story}, part{"load-balancer.log", j.balancerLog},
		part{"nodes.log", func(ctx context.Context) (string, error) {
			return j.tools.Clusters.Logs(ctx, j.opts.Target.Name, nodeLines), nil
		}})
}

func (j *job) doctorText(context.Context) (string, error) {
	var b strings.Builder
	for _, f := range j.findings {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", f.Level, f.Check, f.Found, f.Remedy)
	}
	return b.String(), nil
}

func (j *job) story(ctx context.Context) (string, error) {
	p := ui.NewProgress(j.opts.Streams)
	defer p.Close()
	t, err := j.opts.Target.Open(ctx, p)
	if err != nil {
		return "", err
	}
	return t.API.Story(ctx)
}

func (j *job) balancerLog(ctx context.Context) (string, error) {
	s, err := loadbalancer.StatusOf(ctx, j.tools.Engine, j.opts.Target.Name)
	if err != nil {
		return "", err
	}
	head := fmt.Sprintf("%s: running %v, healthy %v. %s\n", s.Kind, s.Running, s.Healthy, s.Why)
	if s.Log == "" {
		return head, nil
	}
	data, err := os.ReadFile(s.Log)
	return head + string(data[max(0, len(data)-maxLog):]), err
}
