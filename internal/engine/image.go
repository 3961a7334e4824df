package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// HasImage tells whether the engine has an image, and its ID ("sha256:…").
func (e *Engine) HasImage(ctx context.Context, ref string) (id string, ok bool, err error) {
	out, err := e.Output(ctx, "image", "inspect", "--format", "{{.Id}}", ref)
	if notFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("look for image %s: %w", ref, err)
	}
	return withAlgorithm(strings.TrimSpace(out)), true, nil
}

// withAlgorithm makes podman's bare IDs look like everybody's.
func withAlgorithm(id string) string {
	if id == "" || strings.Contains(id, ":") {
		return id
	}
	return "sha256:" + id
}

// LoadImages loads an archive of images (a docker-archive or OCI tar).
func (e *Engine) LoadImages(ctx context.Context, archive io.Reader) error {
	cmd := e.Command(ctx, "load")
	cmd.Stdin = archive
	if err := e.do(ctx, cmd); err != nil {
		return fmt.Errorf("load images: %w", err)
	}
	return nil
}

// SaveImages writes images to w as one archive.
func (e *Engine) SaveImages(ctx context.Context, w io.Writer, refs ...string) error {
	args := []string{"save"}
	if e.provider == Podman && len(refs) > 1 {
		args = append(args, "--multi-image-archive")
	}
	cmd := e.Command(ctx, append(args, refs...)...)
	cmd.Stdout = w
	if err := e.do(ctx, cmd); err != nil {
		return fmt.Errorf("save images: %w", err)
	}
	return nil
}

// Pull fetches an image from its registry.
func (e *Engine) Pull(ctx context.Context, ref string) error {
	if _, err := e.Output(ctx, "pull", "--quiet", ref); err != nil {
		return fmt.Errorf("pull %s: %w", ref, err)
	}
	return nil
}

// RemoveImage removes an image; an absent one is fine.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	if _, err := e.Output(ctx, "image", "rm", "--force", ref); err != nil && !notFound(err) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}

// Network is a network of the engine.
type Network struct {
	Name    string
	Subnets []netip.Prefix
}

// Network describes a network by its name, or returns an error that is ErrNotFound.
func (e *Engine) Network(ctx context.Context, name string) (Network, error) {
	out, err := e.Output(ctx, "network", "inspect", name)
	if notFound(err) {
		return Network{}, fmt.Errorf("network %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Network{}, fmt.Errorf("inspect network %s: %w", name, err)
	}
	return parseNetwork(name, out)
}

func parseNetwork(name, out string) (Network, error) {
	// encoding/json matches keys whatever their case, so that podman's "subnets" fit too.
	var raw []struct {
		Name    string
		IPAM    struct{ Config []struct{ Subnet string } }
		Subnets []struct{ Subnet string }
	}
	if err := json.Unmarshal([]byte(out), &raw); err != nil {
		return Network{}, fmt.Errorf("read the description of network %s: %w", name, err)
	}
	if len(raw) == 0 {
		return Network{}, fmt.Errorf("network %s: %w", name, ErrNotFound)
	}
	n := Network{Name: name}
	for _, c := range append(raw[0].IPAM.Config, raw[0].Subnets...) {
		prefix, err := netip.ParsePrefix(c.Subnet)
		if err != nil {
			return Network{}, fmt.Errorf("network %s has the subnet %q: %w", name, c.Subnet, err)
		}
		n.Subnets = append(n.Subnets, prefix)
	}
	return n, nil
}
