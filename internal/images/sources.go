package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"labctl.dev/labctl/internal/fault"
)

const (
	lockPoll = 100 * time.Millisecond
	// registryPatience is for a registry's first answer: where there is none, nobody waits long.
	registryPatience = 3 * time.Second
)

// base is what an image is built on.
type base struct {
	image    v1.Image // nil: nothing
	official bool
	env      []string
	source   string
}

// sources is where bases come from.
type sources interface {
	// Official returns an image from its registry, or an error soon where none answers.
	Official(ctx context.Context, ref string) (v1.Image, error)
	// Debian returns the content of each set of packages.
	Debian(ctx context.Context, sets []*packages) ([]unpacked, error)
	// Answers tells, soon, whether an image can be pulled.
	Answers(ctx context.Context, ref string) error
}

// unpacked is what Debian's packages contain, and which they were.
type unpacked struct {
	tree     tree
	versions []string // name=version
	close    func()
}

// findBases gives every job that needs one its base: what the store has, else the
// official image, else Debian's packages, fetched for all jobs at once.
func (s *Store) findBases(ctx context.Context, jobs []job) error {
	var needed []*job
	for i := range jobs {
		switch j := &jobs[i]; {
		case j.Packages == nil:
			j.base.source = "labctl"
		case !s.storedBase(j):
			needed = append(needed, j)
		}
	}
	if len(needed) == 0 {
		return nil
	}
	unofficial, noRegistry := s.officialBases(ctx, needed)
	if len(unofficial) == 0 {
		return nil
	}
	if err := s.debianBases(ctx, unofficial); err != nil {
		names := make([]string, len(unofficial))
		for i, j := range unofficial {
			names[i] = short(j.Ref)
		}
		return fault.Environmentf("make %s: no registry (%w) and no packages: %w", strings.Join(names, ", "), noRegistry, err).
			WithRemedy("connect to a registry, or run this on Debian once, or load a bundle: labctl bundle load FILE")
	}
	return nil
}

func (j *job) baseName() string { return "base-" + short(j.Ref) }

// baseInputs is what a base is cached by.
func (j *job) baseInputs() (string, error) {
	text, err := json.Marshal(j.Packages)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", format, j.Official, text))
	return hex.EncodeToString(sum[:]), nil
}

// storedBase takes the base that an earlier run left.
func (s *Store) storedBase(j *job) bool {
	inputs, err := j.baseInputs()
	if err != nil {
		return false
	}
	r, ok := s.getRecord(j.baseName())
	if !ok || r.Inputs != inputs {
		return false
	}
	img, err := s.open(r.Image)
	if err != nil {
		return false
	}
	j.base = base{image: img, official: r.Ref == j.Official, source: r.Source}
	return true
}

// keepBase stores a base under its inputs.
func (s *Store) keepBase(j *job, ref string, img v1.Image, source string) error {
	inputs, err := j.baseInputs()
	if err != nil {
		return err
	}
	if _, err := s.putImage(j.baseName(), record{Inputs: inputs, Image: Image{Ref: ref, Source: source}}, img); err != nil {
		return err
	}
	if !s.storedBase(j) {
		return errors.New("what was just stored is not there")
	}
	return nil
}

// officialBases tries the registry; it returns the jobs that it could not serve, and why.
func (s *Store) officialBases(ctx context.Context, jobs []*job) (unserved []*job, why error) {
	for i, j := range jobs {
		img, err := s.sources.Official(ctx, j.Official)
		if err == nil {
			var digest v1.Hash
			if digest, err = img.Digest(); err == nil {
				err = s.keepBase(j, j.Official, img, j.Official+"@"+digest.String())
			}
		}
		if err != nil { // one registry: the others would fail alike, one time-out later
			return jobs[i:], err
		}
	}
	return nil, nil
}

// debianBases makes one layer from packages for each job.
func (s *Store) debianBases(ctx context.Context, jobs []*job) error {
	sets := make([]*packages, len(jobs))
	for i, j := range jobs {
		sets[i] = j.Packages
	}
	all, err := s.sources.Debian(ctx, sets)
	if err != nil {
		return err
	}
	for i, j := range jobs {
		err := s.debianBase(j, all[i])
		all[i].close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) debianBase(j *job, u unpacked) error {
	l, err := s.putLayer(u.tree, j.InEngine)
	if err != nil {
		return err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if img, err = mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: strings.Join(u.versions, " ")}}); err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.Config.Env = []string{"PATH=" + strings.Join(binaries(u.tree), ":")}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return err
	}
	return s.keepBase(j, "debian", img, "Debian packages "+strings.Join(u.versions[:min(1, len(u.versions))], " "))
}

// binaries returns the directories for PATH: PostgreSQL's own, where there is one, and the usual.
func binaries(t tree) []string {
	dirs := []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"}
	for name := range t {
		if path.Base(name) == "initdb" {
			dirs = append(dirs, "/"+path.Dir(name))
		}
	}
	return dirs
}

// upstream is the real world.
type upstream struct{ arch string }

// Official fetches the image's index and manifest; its layers follow when they are read.
func (u *upstream) Official(ctx context.Context, ref string) (v1.Image, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	head, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	options := []remote.Option{
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: u.arch}),
		remote.WithUserAgent("labctl"),
		remote.WithRetryPredicate(func(error) bool { return false }),
	}
	found, err := remote.Head(r, append(options, remote.WithContext(head))...)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", r.Context().RegistryStr(), ref, err)
	}
	pinned := r.Context().Digest(found.Digest.String())
	img, err := remote.Image(pinned, append(options, remote.WithContext(ctx))...)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", ref, err)
	}
	return img, nil
}

// Answers asks the image's registry, within the patience.
func (u *upstream) Answers(ctx context.Context, ref string) error {
	r, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	_, err = remote.Head(r, remote.WithContext(ctx), remote.WithUserAgent("labctl"),
		remote.WithTransport(http.DefaultTransport), remote.WithRetryPredicate(func(error) bool { return false }))
	return err
}
