package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/internal/fault"
)

// NodeImage describes the node image that was built on this machine or came in a bundle;
// it is the content of node-image/latest.json in the cache folder.
type NodeImage struct {
	Ref        string `json:"ref"`
	Archive    string `json:"archive"` // a file for the engine to load, absolute or beside latest.json
	ID         string `json:"id"`
	Kubernetes string `json:"kubernetes"`
}

// LocalNode returns what node-image/latest.json says; ok is false where there is none.
func (s *Store) LocalNode() (n NodeImage, ok bool, err error) {
	dir := filepath.Join(s.cache, "node-image")
	body, err := os.ReadFile(filepath.Join(dir, "latest.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return n, false, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	if err != nil {
		return n, false, fmt.Errorf("read the record of the node image: %w", err)
	}
	if n.Archive != "" && !filepath.IsAbs(n.Archive) {
		n.Archive = filepath.Join(dir, n.Archive)
	}
	return n, n.Ref != "", nil
}

// ResolveNode decides from which image nodes are made, and says why, for people. want is
// the user's wish, "" for none; pinned is kind's own default. In this order: what is wanted;
// kind's own where it is there or can be pulled; the one that was built here or came in a
// bundle, which is loaded again if the engine lost it.
func (s *Store) ResolveNode(ctx context.Context, e Engine, want, pinned string) (ref, why string, err error) {
	local, hasLocal, err := s.LocalNode()
	if err != nil {
		return "", "", err
	}
	if want != "" {
		return s.wantedNode(ctx, e, want, local)
	}
	if _, ok, err := e.HasImage(ctx, pinned); err != nil {
		return "", "", err
	} else if ok {
		return pinned, "kind's own, present", nil
	}
	noRegistry := s.sources.Answers(ctx, pinned)
	if noRegistry == nil {
		return pinned, "kind's own, from its registry", nil
	}
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	if hasLocal {
		why, err := s.ensureLocal(ctx, e, local)
		if err == nil {
			return local.Ref, why, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", "", err
		}
	}
	return "", "", fault.Environmentf("there is no node image: no registry answers (%s) and none was built or loaded here", brief(noRegistry)).
		WithRemedy("run `make node-image` in labctl's source (Debian, root), or `labctl bundle load FILE`")
}

// wantedNode serves the user's wish.
func (s *Store) wantedNode(ctx context.Context, e Engine, want string, local NodeImage) (ref, why string, err error) {
	if want == local.Ref {
		why, err := s.ensureLocal(ctx, e, local)
		if err == nil {
			return want, "as asked, " + why, nil
		}
		if !errors.Is(err, fs.ErrNotExist) { // no registry has what was built here
			return "", "", err
		}
	}
	if _, ok, err := e.HasImage(ctx, want); err != nil {
		return "", "", err
	} else if ok {
		return want, "as asked, present", nil
	}
	if err := s.sources.Answers(ctx, want); err != nil {
		return "", "", fault.Environmentf("the node image %s is not in the engine, and its registry does not give it (%s)", want, brief(err)).
			WithRemedy("leave --node-image out to let labctl choose, or load the image into the engine")
	}
	return want, "as asked, from its registry", nil
}

// ensureLocal makes sure that the engine has the local node image. The error is
// fs.ErrNotExist where neither the engine nor a file has it.
func (s *Store) ensureLocal(ctx context.Context, e Engine, n NodeImage) (why string, err error) {
	_, ok, err := e.HasImage(ctx, n.Ref)
	if err != nil {
		return "", err
	}
	if ok {
		return "built from modules and packages, present", nil
	}
	f, err := os.Open(n.Archive)
	if err != nil {
		return "", fmt.Errorf("the node image %s: %w", n.Ref, err)
	}
	defer f.Close()
	end := s.progress.Begin("load the node image into the engine")
	err = e.LoadImages(ctx, f)
	end(err)
	if err != nil {
		return "", fmt.Errorf("load %s from %s: %w", n.Ref, n.Archive, err)
	}
	return "built from modules and packages, loaded from " + filepath.Base(n.Archive), nil
}

// brief is an error without what it wraps: one line for people.
func brief(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in " + registryPatience.String()
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 160 {
		text = text[:160] + "…"
	}
	return text
}
