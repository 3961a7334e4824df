package submission_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/labs"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what comes out to the golden files")
	flag.Parse()
	os.Exit(m.Run())
}

// TestSubmissions reads each case as a folder, as a .zip of that folder, and as a .tar.gz
// of what is in it. What comes of it must be the same.
func TestSubmissions(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) < 10 {
		t.Fatalf("find test data: %v, %v", paths, err)
	}
	for _, name := range paths {
		name, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			writeFolder(t, "alice", archive.Files)
			writeZip(t, "alice.zip", archive.Files, "alice/")
			writeTar(t, "alice.tar.gz", archive.Files, "./")

			limits := submission.Limits{Namespace: "clusterip", Images: []string{"labctl/backend:v1", "labctl/db:v1"}}
			first, err := submission.Read("alice", limits)
			golden(t, strings.TrimSuffix(name, ".txtar")+".golden", describe(t, first, err))
			if valid := strings.HasPrefix(filepath.Base(name), "valid-"); valid != (err == nil) {
				t.Fatalf("valid is %v, error %v", valid, err)
			}
			for _, other := range []string{"alice.zip", "alice.tar.gz"} {
				again, err := submission.Read(other, limits)
				if got, want := len(findings(err)), len(findings(firstErr(first, limits))); got != want {
					t.Errorf("%s: %d findings, the folder has %d: %v", other, got, want, err)
				}
				if first != nil && again != nil && (again.Digest != first.Digest || again.Student != "alice" || len(again.Objects) != len(first.Objects)) {
					t.Errorf("%s is %s %s, the folder %s %s", other, again.Student, again.Digest, first.Student, first.Digest)
				}
			}
		})
	}
}

// firstErr reads the folder again, for its error.
func firstErr(first *submission.Submission, limits submission.Limits) error {
	if first != nil {
		return nil
	}
	_, err := submission.Read("alice", limits)
	return err
}

func TestDigestChangesWithContent(t *testing.T) {
	t.Chdir(t.TempDir())
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
	digest := func(files ...txtar.File) string {
		t.Helper()
		dir := t.TempDir()
		writeFolder(t, dir, files)
		s, err := submission.Read(dir, submission.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return s.Digest
	}
	same := digest(txtar.File{Name: "a.yaml", Data: []byte(service)})
	for name, other := range map[string]string{
		"another name":    digest(txtar.File{Name: "b.yaml", Data: []byte(service)}),
		"another content": digest(txtar.File{Name: "a.yaml", Data: []byte(service + "#")}),
		"another file": digest(txtar.File{Name: "a.yaml", Data: []byte(service)},
			txtar.File{Name: "answers.yaml", Data: []byte("q1: a\n")}),
	} {
		if other == same {
			t.Errorf("%s makes no other digest", name)
		}
	}
	if again := digest(txtar.File{Name: "a.yaml", Data: []byte(service)}, txtar.File{Name: "notes.txt"}); again != same {
		t.Error("a file that is not read makes another digest")
	}
}

// A lab can choose that an object which is refused is left out.
func TestRefusedObjectsAreLeftOut(t *testing.T) {
	t.Chdir(t.TempDir())
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
	caught := "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {externalIPs: [192.0.2.1]}\n"
	limits := submission.Limits{LeaveOut: true}
	for name, test := range map[string]struct {
		files map[string]string
		left  int // objects; 0 means that the whole submission is refused
		why   string
	}{
		"one of two":      {map[string]string{"a.yaml": service, "b.yaml": caught}, 1, "b.yaml, document 1, spec.externalIPs"},
		"a kind":          {map[string]string{"a.yaml": service, "b.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"}, 1, "b.yaml, document 1, kind"},
		"nothing is left": {map[string]string{"b.yaml": caught}, 0, "b.yaml, document 1, spec.externalIPs"},
		"cannot be read":  {map[string]string{"a.yaml": service, "b.yaml": "{"}, 0, "b.yaml"},
		"nothing refused": {map[string]string{"a.yaml": service}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var files []txtar.File
			for name, data := range test.files {
				files = append(files, txtar.File{Name: name, Data: []byte(data)})
			}
			writeFolder(t, dir, files)
			s, err := submission.Read(dir, limits)
			if test.left == 0 {
				if err == nil || !strings.Contains(err.Error(), test.why) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var why []string
			for _, f := range s.Refused {
				why = append(why, f.Place())
			}
			if len(s.Objects) != test.left || strings.Join(why, "; ") != test.why {
				t.Errorf("%d objects, left out for %q", len(s.Objects), why)
			}
		})
	}
}

// An EndpointSlice is allowed where the lab says so, and leads to pods only.
func TestEndpointSlices(t *testing.T) {
	t.Chdir(t.TempDir())
	slice := func(addresses string) []txtar.File {
		return []txtar.File{{Name: "s.yaml", Data: []byte("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\n" +
			"addressType: IPv4\nendpoints: [{addresses: [" + addresses + "]}]\n")}}
	}
	pods := netip.MustParsePrefix("10.244.0.0/16")
	for name, test := range map[string]struct {
		addresses string
		limits    submission.Limits
		refused   string
	}{
		"a pod":         {"10.244.1.7", submission.Limits{Kinds: []string{"EndpointSlice"}, Pods: pods}, ""},
		"not allowed":   {"10.244.1.7", submission.Limits{Pods: pods}, "EndpointSlice (discovery.k8s.io/v1) is not allowed"},
		"the world":     {"10.244.1.7, 192.0.2.1", submission.Limits{Kinds: []string{"EndpointSlice"}, Pods: pods}, `endpoints[0].addresses[1]: "192.0.2.1" is no pod's address`},
		"no address":    {"localhost", submission.Limits{Kinds: []string{"EndpointSlice"}, Pods: pods}, `"localhost" is no pod's address`},
		"IPv4 in IPv6":  {`"::ffff:192.0.2.1"`, submission.Limits{Kinds: []string{"EndpointSlice"}, Pods: pods}, "is no pod's address"},
		"nowhere known": {"10.244.1.7", submission.Limits{Kinds: []string{"EndpointSlice"}}, "is no pod's address"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFolder(t, dir, slice(test.addresses))
			_, err := submission.Read(dir, test.limits)
			if (err == nil) != (test.refused == "") || err != nil && !strings.Contains(err.Error(), test.refused) {
				t.Errorf("error %v, want %q", err, test.refused)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFolder(t, "single", []txtar.File{{Name: "app.yaml", Data: []byte("kind: Service\n")}})
	writeFolder(t, ".", []txtar.File{
		{Name: "fake.zip", Data: []byte("not a zip")}, {Name: "fake.tgz", Data: []byte("this is no archive at all")},
		{Name: "empty/keep/.gitkeep"},
	})
	for name, want := range map[string]string{
		"nowhere":         "nowhere: does not exist",
		"single/app.yaml": "single/app.yaml: is no submission: that is a folder, a .zip or a .tar.gz of manifests",
		"fake.zip":        "fake.zip: cannot be read: zip: not a valid zip file",
		"fake.tgz":        "fake.tgz: cannot be read: unpack: gzip: invalid header",
		"empty":           "empty: has no Kubernetes object in it, in 0 files named *.yaml, *.yml or *.json",
	} {
		_, err := submission.Read(name, submission.Limits{})
		if want = "submission " + name + " is refused:\n" + want; fmt.Sprint(err) != want || fault.KindOf(err) != fault.Input {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, want)
		}
	}
}

// TestLabs reads every submission that the labs come with: the wrong ones build upon the
// solution beside them, and differ from it.
func TestLabs(t *testing.T) {
	wrong, err := fs.Glob(labs.Files(), "*/wrong/*")
	if err != nil || len(wrong) < 19 {
		t.Fatalf("find wrong submissions: %v, %v", wrong, err)
	}
	for _, name := range wrong {
		folder, dir, _ := strings.Cut(name, "/")
		files, err := fs.Sub(labs.Files(), folder)
		if err != nil {
			t.Fatal(err)
		}
		l, err := lab.Load(files, folder, nil)
		if err != nil {
			t.Fatal(err)
		}
		limits := submission.Limits{Namespace: l.ID, Images: l.Images(), Questions: l.Questions(), AnswersSuffice: l.AnswersSuffice()}
		for _, own := range []string{lab.StarterDir, lab.SolutionDir} {
			if _, err := submission.ReadFS(files, own, limits); err != nil {
				t.Errorf("%s/%s: %v", folder, own, err)
			}
		}
		solution, err := submission.ReadFS(files, lab.SolutionDir, limits)
		if err != nil {
			t.Fatal(err)
		}
		s, err := submission.ReadFS(files, dir, limits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same := cmp.Equal(bodies(s), bodies(solution)) && cmp.Equal(s.Answers, solution.Answers)
		if len(s.Objects)+len(s.Answers) == 0 || s.Digest == solution.Digest || same {
			t.Errorf("%s: %d objects and %d answers, which differ from the solution's: %v", name, len(s.Objects), len(s.Answers), !same)
		}
	}
}

func TestReadFSNamesFilesWithinTheLab(t *testing.T) {
	lab := fstest.MapFS{
		"solution/app.yaml":          {Data: []byte("kind: Service\n")},
		"wrong/x/kustomization.yaml": {Data: []byte("resources: [../../../other]\n")},
	}
	for dir, want := range map[string]string{
		"solution": "solution/app.yaml, document 1: is not a Kubernetes object: it has no apiVersion",
		"wrong/x":  `wrong/x/kustomization.yaml, document 1, resources: "../../../other" is not in the submission; remote ones and those outside are not read`,
		"nowhere":  "nowhere: cannot be read: file does not exist",
	} {
		_, err := submission.ReadFS(lab, dir, submission.Limits{})
		if want = "submission " + dir + " is refused:\n" + want; fmt.Sprint(err) != want {
			t.Errorf("%s:\ngot  %v\nwant %s", dir, err, want)
		}
	}
}

func bodies(s *submission.Submission) []any {
	var all []any
	for _, o := range s.Unstructured() {
		all = append(all, o.Object)
	}
	return all
}

func findings(err error) []string {
	var refused *submission.Error
	if !errors.As(err, &refused) {
		return nil
	}
	var messages []string
	for _, f := range refused.Findings {
		messages = append(messages, f.Message)
	}
	return messages
}

// describe writes what was read, or why it was refused.
func describe(t *testing.T, s *submission.Submission, err error) string {
	t.Helper()
	if err != nil {
		if fault.KindOf(err) != fault.Input || len(findings(err)) == 0 {
			t.Errorf("want findings of kind Input, got %v", err)
		}
		return err.Error() + "\n"
	}
	var out strings.Builder
	fmt.Fprintln(&out, s.Student)
	for _, id := range slices.Sorted(maps.Keys(s.Answers)) {
		fmt.Fprintf(&out, "answer %s: %q\n", id, s.Answers[id])
	}
	for _, o := range s.Objects {
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "--- # %s, document %d\n%s", o.File, o.Document, data)
	}
	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
