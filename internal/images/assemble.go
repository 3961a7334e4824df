package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/internal/fault"
)

// format is part of every image's inputs: raise it when the code that assembles changes
// what comes out.
const format = 2

// recipe says what an image is made of. Its JSON is what the cache is keyed by, together
// with the program's content.
type recipe struct {
	Ref      string
	Program  string    // of the embedded ones; "" for none
	Path     string    // where the program goes
	Official string    // image to build on, where a registry answers
	Packages *packages // what to build on otherwise; nil builds on nothing
	Users    account
	Dirs     []account // writable directories: name is the path
	InEngine bool      // the container engine runs it itself, beside the nodes
	Config   v1.Config
}

// account is a user, or a directory and the user whose it is.
type account struct {
	Name string
	Home string
	ID   int
	Mode int64
}

// recipes returns how each fixture image is made.
func recipes() []recipe {
	apps := make([]recipe, 0, 5)
	for _, ref := range []string{Frontend, Backend, Probe} {
		name := short(ref)
		r := recipe{
			Ref: ref, Program: name, Path: name, Users: account{Name: "app", Home: "/", ID: 65532},
			Config: v1.Config{User: "65532:65532", Entrypoint: []string{"/" + name}, Env: []string{"PATH=/"}, WorkingDir: "/"},
		}
		if ref == Probe {
			r.InEngine, r.Config.Cmd = true, []string{"wait"}
		} else {
			r.Config.ExposedPorts = map[string]struct{}{"8080/tcp": {}}
		}
		apps = append(apps, r)
	}
	return append(apps, databaseRecipe(), haproxyRecipe())
}

func databaseRecipe() recipe {
	return recipe{
		Ref: Database, Program: "db", Path: "usr/local/bin/labctl-db",
		Official: "docker.io/library/postgres:17", Packages: postgresqlPackages(),
		Users: account{Name: "postgres", Home: "/var/lib/postgresql", ID: 999},
		Dirs: []account{
			{Name: "var/lib/postgresql", ID: 999, Mode: 0o755},
			{Name: "var/lib/postgresql/data", ID: 999, Mode: 0o1777}, // for any user that a pod may run as
			{Name: "var/run/postgresql", ID: 999, Mode: 0o1777},
			{Name: "docker-entrypoint-initdb.d", Mode: 0o755},
		},
		Config: v1.Config{
			User: "999:999", Entrypoint: []string{"/usr/local/bin/labctl-db"}, Cmd: []string{"postgres"},
			Env:          []string{"LANG=C.UTF-8", "PGDATA=/var/lib/postgresql/data/pgdata"},
			ExposedPorts: map[string]struct{}{"5432/tcp": {}}, StopSignal: "SIGTERM", WorkingDir: "/",
		},
	}
}

func haproxyRecipe() recipe {
	return recipe{
		Ref: HAProxy, InEngine: true, Official: "docker.io/library/haproxy:3.2", Packages: haproxyPackages(),
		Users: account{Name: "haproxy", Home: "/var/lib/haproxy", ID: 99},
		Dirs: []account{
			{Name: "var/lib/haproxy", ID: 99, Mode: 0o755},
			{Name: "usr/local/etc/haproxy", ID: 99, Mode: 0o755},
		},
		Config: v1.Config{
			User: "99:99", Entrypoint: []string{"haproxy"},
			Cmd:        []string{"-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"},
			StopSignal: "SIGTERM", WorkingDir: "/var/lib/haproxy",
		},
	}
}

// short is the middle of an image's name: labctl/db:v1 is db.
func short(ref string) string {
	name := ref[strings.LastIndex(ref, "/")+1:]
	name, _, _ = strings.Cut(name, ":")
	return name
}

// Assemble makes the images that are not in the store yet, all at the same time, and
// returns them in the order asked for; no names mean all of them. The same inputs give the
// same digests.
func (s *Store) Assemble(ctx context.Context, refs ...string) ([]Image, error) {
	if len(refs) == 0 {
		refs = Refs()
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()

	images := make([]Image, len(refs))
	var missing []job
	known := recipes()
	for i, ref := range refs {
		at := slices.IndexFunc(known, func(r recipe) bool { return r.Ref == ref })
		if at < 0 {
			return nil, fault.Inputf("%s is no fixture image", ref)
		}
		j := job{recipe: known[at], image: &images[i]}
		err := s.prepare(&j, func(name string) ([]byte, error) { return s.program(ctx, name) })
		if err != nil {
			return nil, err
		}
		if r, ok := s.getRecord(short(ref)); ok && r.Inputs == j.inputs {
			images[i] = r.Image
			continue
		}
		missing = append(missing, j)
	}
	if len(missing) == 0 {
		return images, nil
	}
	end := s.progress.Begin("assemble the fixture images")
	err = s.make(ctx, missing)
	end(err)
	return images, err
}

// job is an image to be made.
type job struct {
	recipe
	program []byte
	inputs  string
	base    base
	image   *Image
}

// prepare gets the program and derives what the image is cached by.
func (s *Store) prepare(j *job, program func(name string) ([]byte, error)) error {
	hash := sha256.New()
	if j.Program != "" {
		var err error
		if j.program, err = program(j.Program); err != nil {
			return err
		}
		hash.Write(j.program)
	}
	text, err := json.Marshal(j.recipe)
	if err != nil {
		return err
	}
	fmt.Fprintf(hash, "\n%d %s %s", format, s.arch, text)
	j.inputs = hex.EncodeToString(hash.Sum(nil))
	return nil
}

func (s *Store) make(ctx context.Context, jobs []job) error {
	if err := s.findBases(ctx, jobs); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range jobs {
		g.Go(func() error {
			if err := s.build(ctx, &jobs[i]); err != nil {
				return fmt.Errorf("assemble %s: %w", jobs[i].Ref, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// build puts the recipe's own layer on its base and stores the result.
func (s *Store) build(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := tree{}
	if !j.base.official {
		t.users(j.Users.Name, j.Users.Home, j.Users.ID)
	}
	for _, d := range j.Dirs {
		t.dir(d.Name, d.Mode, d.ID)
	}
	if j.Program != "" {
		t.file(j.Path, 0o755, j.program)
	}
	own, err := s.putLayer(t, j.InEngine)
	if err != nil {
		return err
	}
	img := j.base.image
	if img == nil {
		img = mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	if img, err = mutate.Append(img, mutate.Addendum{Layer: own, History: v1.History{CreatedBy: "labctl"}}); err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	inherited := config.Config.Env
	config.Config = j.Config
	config.Config.Env = slices.Concat(inherited, j.base.env, j.Config.Env)
	config.Architecture, config.OS, config.Created = s.arch, "linux", v1.Time{}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return err
	}
	*j.image, err = s.putImage(short(j.Ref), record{Inputs: j.inputs, Image: Image{Ref: j.Ref, Source: j.base.source}}, img)
	return err
}

// lock keeps other processes from making the same images at the same time.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the image store: %w", err)
	}
	l := flock.New(filepath.Join(s.dir, "lock"))
	if _, err := l.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("wait for another labctl that assembles images: %w", err)
	}
	return func() { _ = l.Unlock() }, nil // the lock ends with the process anyway
}
