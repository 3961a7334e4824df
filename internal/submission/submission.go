// Package submission reads what a student hands in: a folder or an archive of Kubernetes
// manifests. It finds the files, decodes them and holds them against the policy on what
// a submission may contain. A submission can contain anything, so nothing here trusts it.
package submission

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

// Submission is what a student handed in, decoded and allowed.
type Submission struct {
	Student string              // the folder's or the archive's name
	Digest  string              // "sha256:…" of names and contents: the same for a folder and its archive
	Objects []Object            // in the order in which they are to be applied
	Answers map[string][]string // by the id of the question; from answers.yaml
	Refused []result.Finding    // objects that were left out; only where Limits.LeaveOut

	files map[string][]byte // all that was read, by slash-separated path
}

// Object is one Kubernetes object, without a namespace, and where it stands.
type Object struct {
	File     string // as in "app/db.yaml", or the kustomization that made it
	Document int    // 1-based within File, or among what the kustomization made
	Object   *unstructured.Unstructured
}

// Unstructured returns the objects alone, in their order.
func (s *Submission) Unstructured() []*unstructured.Unstructured {
	objects := make([]*unstructured.Unstructured, len(s.Objects))
	for i, o := range s.Objects {
		objects[i] = o.Object
	}
	return objects
}

// Texts returns the contents of the files that were read, by name, for who wants what decoding
// drops. Read only.
func (s *Submission) Texts() [][]byte {
	var all [][]byte
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		all = append(all, s.files[name])
	}
	return all
}

// Limits bound what a submission may contain. A zero field means its default.
type Limits struct {
	Namespace string       // that manifests may name; naming none is always allowed
	Images    []string     // whose repositories containers may use, with any tag; none allows all
	Files     int          // in the folder or archive, hidden ones apart; default 500
	Depth     int          // folders within folders; default 8
	Path      int          // length of a path in bytes; default 300
	Archive   int64        // of an archive, in bytes; default 16 MiB
	FileSize  int64        // of one manifest, in bytes; default 1 MiB
	Size      int64        // of all that is read, in bytes; default 8 MiB
	Unpacked  int64        // that an archive may unpack to, in bytes; default 256 MiB
	Objects   int          // default 200
	Pods      netip.Prefix // where pods have their addresses; an EndpointSlice may hold others nowhere
	Kinds     []string     // allowed beyond those that always are: EndpointSlice
	LeaveOut  bool         // an object that is refused is left out; the rest, if any, is a submission

	Questions      []string // ids that answers.yaml may answer; none allows any
	AnswersSuffice bool     // a submission without objects is one, too, if it has answers
}

func (l Limits) withDefaults() Limits {
	l.Files = orDefault(l.Files, 500)
	l.Depth = orDefault(l.Depth, 8)
	l.Path = orDefault(l.Path, 300)
	l.Archive = orDefault(l.Archive, 16<<20)
	l.FileSize = orDefault(l.FileSize, 1<<20)
	l.Size = orDefault(l.Size, 8<<20)
	l.Unpacked = orDefault(l.Unpacked, 256<<20)
	l.Objects = orDefault(l.Objects, 200)
	return l
}

func orDefault[T int | int64](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// Error says why a submission was refused: every reason at once.
type Error struct {
	Path     string // of the submission
	Student  string // as in Submission
	Digest   string // as in Submission; "" where it could not be read
	Findings []result.Finding
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return fmt.Sprintf("submission %s is refused:\n%s", e.Path, strings.Join(lines, "\n"))
}

// Read reads the folder, .zip, .tar.gz or .tgz at the path. A submission that may not be
// applied is a fault.Input that wraps an *Error.
func Read(name string, limits Limits) (*Submission, error) {
	r := newReader(name, limits)
	s := r.open(name)
	if s == nil {
		return nil, r.refusal()
	}
	defer func() { _ = s.Close() }() // only read from
	r.gather(s)
	return r.finish()
}

// Digest returns the digest of what is at the path, as Read does, whatever it holds.
func Digest(name string) (string, error) {
	r := newReader(name, Limits{})
	s := r.open(name)
	if s != nil {
		defer func() { _ = s.Close() }() // only read from
		r.gather(s)
	}
	if err := r.refusal(); err != nil {
		return "", err
	}
	return r.tree.digest(), nil
}

// ReadFS reads the submission in a folder of a lab, such as "solution". Unlike a
// student's, its kustomization may build upon every other folder of the lab; and a wrong
// one that is nothing but answers is the solution with these answers for its own.
func ReadFS(lab fs.FS, dir string, limits Limits) (*Submission, error) {
	if path.Dir(dir) == "wrong" && answersAlone(lab, dir) {
		return overSolution(lab, dir, limits)
	}
	return readFS(lab, dir, limits)
}

// overSolution lays the answers in a folder over the lab's solution.
func overSolution(lab fs.FS, dir string, limits Limits) (*Submission, error) {
	solution, err := readFS(lab, "solution", limits)
	if err != nil {
		return nil, err
	}
	limits.AnswersSuffice = true
	wrong, err := readFS(lab, dir, limits)
	if err != nil {
		return nil, err
	}
	merged := maps.Clone(solution.Answers)
	if merged == nil {
		merged = map[string][]string{}
	}
	maps.Copy(merged, wrong.Answers)
	wrong.Answers, wrong.Objects = merged, solution.Objects
	return wrong, nil
}

// answersAlone tells whether a folder of a lab holds answers and no manifest.
func answersAlone(lab fs.FS, dir string) bool {
	entries, err := fs.ReadDir(lab, dir)
	return err == nil && len(entries) == 1 && slices.Contains(answersNames(), entries[0].Name())
}

func readFS(lab fs.FS, dir string, limits Limits) (*Submission, error) {
	r := newReader(dir, limits)
	sub, err := fs.Sub(lab, dir)
	if err != nil {
		return nil, fmt.Errorf("read %s of the lab: %w", dir, err)
	}
	if _, ok := kustomizationIn(sub); ok {
		r.tree.root = dir
		r.gather(folder{lab})
	} else {
		r.tree.shown = dir
		r.gather(folder{sub})
	}
	r.student = path.Base(dir)
	return r.finish()
}

// reader carries one submission from its files to its objects, and gathers what is
// wrong on the way.
type reader struct {
	path     string
	student  string
	limits   Limits
	tree     tree
	asIs     bool // no folder around everything is taken off
	findings []result.Finding
}

func newReader(name string, limits Limits) *reader {
	return &reader{path: name, limits: limits.withDefaults(), tree: tree{files: map[string][]byte{}}}
}

// refuse adds a finding about the submission as a whole, or about one file of it.
func (r *reader) refuse(file, format string, args ...any) {
	r.findings = append(r.findings, result.Finding{File: file, Message: fmt.Sprintf(format, args...)})
}

// refusal returns the findings by their places as an error, or nil where there are none.
func (r *reader) refusal() error {
	if len(r.findings) == 0 {
		return nil
	}
	slices.SortStableFunc(r.findings, func(a, b result.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Document, b.Document))
	})
	refused := &Error{Path: r.path, Student: r.student, Findings: r.findings}
	if len(r.tree.files) > 0 {
		refused.Digest = r.tree.digest()
	}
	return &fault.Error{Kind: fault.Input, Err: refused}
}

// open finds out what is at the path, and whose it is. Without a source it has refused the
// submission.
func (r *reader) open(name string) (s source) {
	full, err := filepath.Abs(name)
	if err != nil {
		r.refuse(name, "cannot be found: %v", err)
		return nil
	}
	info, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		r.refuse(name, "does not exist")
		return nil
	}
	student := filepath.Base(full)
	switch kind := ArchiveKind(student); {
	case err != nil: // reported below
	case info.IsDir():
		s, err = openFolder(full)
	case kind == "" || !info.Mode().IsRegular():
		r.refuse(name, "is no submission: that is a folder, a .zip or a .tar.gz of manifests")
		return nil
	case info.Size() > r.limits.Archive:
		r.refuse(name, "is an archive of more than %d bytes", r.limits.Archive)
		return nil
	case kind == ".zip":
		s, err = openZip(full)
		student = student[:len(student)-len(kind)]
	default:
		s, err = openTar(full, r.limits.Unpacked)
		student = student[:len(student)-len(kind)]
	}
	if err != nil {
		r.refuse(name, "cannot be read: %s", cause(err))
		return nil
	}
	r.student = student
	return s
}

// finish decodes what was gathered, and holds it against the policy.
func (r *reader) finish() (*Submission, error) {
	if len(r.findings) > 0 {
		return nil, r.refusal() // what is half read would only lead to findings that mislead
	}
	answers := r.answers()
	objects := r.decode()
	unread := len(r.findings) > 0
	objects = r.police(objects)
	var leftOut []result.Finding
	if r.limits.LeaveOut && !unread && len(objects) > 0 {
		leftOut, r.findings = r.findings, nil
	}
	suffices := r.limits.AnswersSuffice && r.tree.hasAnswers()
	if len(objects) == 0 && len(r.findings) == 0 && !suffices {
		r.refuse(r.path, "has no Kubernetes object in it, in %d files named *.yaml, *.yml or *.json", len(r.tree.files))
	}
	if err := r.refusal(); err != nil {
		return nil, err
	}
	return &Submission{Student: r.student, Digest: r.tree.digest(), Objects: objects, Answers: answers, Refused: leftOut, files: r.tree.files}, nil
}
