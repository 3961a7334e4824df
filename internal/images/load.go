package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/internal/engine"
)

// NodeExec runs commands in a node's container.
type NodeExec interface {
	Exec(ctx context.Context, container string, spec engine.ExecSpec) error
}

// LoadNodes brings images to all nodes at the same time, unpacked and ready to start. What
// a node has already is not sent again.
func (s *Store) LoadNodes(ctx context.Context, e NodeExec, nodes []string, images []Image) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, node := range nodes {
		g.Go(func() error {
			if err := s.loadNode(ctx, e, node, images); err != nil {
				return fmt.Errorf("load the fixture images into %s: %w", node, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// look tells how the node unpacks and what is there. Each of containerd's programs costs a busy
// node more than its answer: the configuration's source is asked before the whole of it.
const look = `grep -s '^ *snapshotter = ' /etc/containerd/config.toml || containerd config dump
echo images:
exec ctr -n k8s.io images ls`

func (s *Store) loadNode(ctx context.Context, e NodeExec, node string, images []Image) error {
	var out, complaint bytes.Buffer
	err := e.Exec(ctx, node, engine.ExecSpec{Cmd: []string{"sh", "-c", look}, Stdout: &out, Stderr: &complaint})
	if err != nil {
		return fmt.Errorf("look what is there: %w: %s", err, lastLine(complaint.String()))
	}
	config, list, _ := strings.Cut(out.String(), "images:\n")
	missing := absent(list, images)
	if len(missing) == 0 {
		return nil
	}
	send := func(flags ...string) error {
		complaint.Reset()
		return pipe(func(w io.Writer) error {
			return s.WriteArchive(w, missing)
		}, func(r io.Reader) error {
			return e.Exec(ctx, node, engine.ExecSpec{
				Cmd: importCommand(config, flags...), Stdin: r, Stdout: io.Discard, Stderr: &complaint,
			})
		})
	}
	// With --local ctr unpacks by itself, for half of the processor time that containerd's
	// transfer service takes; older ones always do, and do not know the flag.
	err = send("--local")
	if err != nil && strings.Contains(complaint.String(), "flag provided but not defined") {
		err = send()
	}
	if err != nil {
		return fmt.Errorf("import: %w: %s", err, lastLine(complaint.String()))
	}
	return nil
}

// importCommand reads an archive on its input.
func importCommand(config string, flags ...string) []string {
	cmd := []string{"ctr", "-n", "k8s.io", "images", "import", "--all-platforms", "--snapshotter", snapshotter(config)}
	return append(append(cmd, flags...), "-")
}

// absent returns the images that are not in the list (columns: name, type, digest).
func absent(list string, images []Image) []Image {
	there := make(map[string]string)
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) >= 3 {
			there[f[0]] = f[2]
		}
	}
	return slices.DeleteFunc(slices.Clone(images), func(i Image) bool { return there[i.Name()] == i.Digest })
}

// snapshotter finds out how the node's containerd unpacks images: other than by default
// where the engine is rootless or its disk cannot be overlaid.
func snapshotter(config string) string {
	found := regexp.MustCompile(`(?m)^\s*snapshotter = ["']([^"']+)["']`).FindStringSubmatch(config)
	if found == nil {
		return "overlayfs"
	}
	return found[1]
}

// LoadEngine brings images to the engine itself, where those of the vantage point outside and
// of the load balancer run.
func (s *Store) LoadEngine(ctx context.Context, e Engine, images []Image) error {
	var missing []Image
	for _, i := range images {
		id, ok, err := e.HasImage(ctx, i.Ref)
		if err != nil {
			return err
		}
		if !ok || !i.Matches(id) {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return pipe(func(w io.Writer) error {
		return s.WriteArchive(w, missing)
	}, func(r io.Reader) error {
		return e.LoadImages(ctx, r)
	})
}

// pipe connects a writer and a reader. Whose error came first is the one that tells.
func pipe(write func(io.Writer) error, read func(io.Reader) error) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(w)
		w.CloseWithError(err)
		written <- err
	}()
	err := read(r)
	r.CloseWithError(io.ErrClosedPipe)
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return errors.Join(werr, err)
	}
	return err
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}
