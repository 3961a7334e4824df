package submission_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"labctl.dev/labctl/fixtures/hostile"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/submission"
)

// bounded reads what is at the path. Whatever it is, it is either a submission or refused with
// findings, and takes no more memory than the limits let it.
func bounded(t *testing.T, path string) {
	t.Helper()
	limits := submission.Limits{
		Namespace: "clusterip", Images: hostile.Images(),
		Unpacked: 32 << 20, Size: 1 << 20, FileSize: 256 << 10,
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := submission.Read(path, limits)
	runtime.ReadMemStats(&after)
	if grew := after.TotalAlloc - before.TotalAlloc; grew > 1<<30 {
		t.Errorf("took %d bytes", grew)
	}
	if (s == nil) == (err == nil) {
		t.Fatalf("submission %v, error %v", s, err)
	}
	if err != nil {
		if fault.KindOf(err) != fault.Input || len(findings(err)) == 0 {
			t.Errorf("error %v is no refusal with findings", err)
		}
		return
	}
	for _, o := range s.Objects {
		if o.Object.GetNamespace() != "" || o.Object.GetName() == "" || len(o.Object.GetFinalizers()) > 0 {
			t.Errorf("%s %q of namespace %q was let through", o.Object.GetKind(), o.Object.GetName(), o.Object.GetNamespace())
		}
	}
}

// seeds adds the files of the hostile cases with one of the suffixes.
func seeds(f *testing.F, suffixes ...string) {
	f.Helper()
	cases, err := hostile.Cases("../../fixtures/hostile")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		for _, suffix := range suffixes {
			for _, name := range []string{c.Path, filepath.Join(c.Path, "manifest.yaml"), filepath.Join(c.Path, "kustomization.yaml")} {
				if data, err := os.ReadFile(name); err == nil && filepath.Ext(name) == suffix && len(data) < 64<<10 {
					f.Add(data)
				}
			}
		}
	}
}

func fuzzFile(f *testing.F, name string) {
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) == ".yaml" {
			path = filepath.Dir(path)
		}
		bounded(t, path)
	})
}

func FuzzZip(f *testing.F) { seeds(f, ".zip"); fuzzFile(f, "a.zip") }

func FuzzTar(f *testing.F) { seeds(f, ".gz"); fuzzFile(f, "a.tar.gz") }

// FuzzManifest is the decoder and the policy.
func FuzzManifest(f *testing.F) { seeds(f, ".yaml"); fuzzFile(f, "manifest.yaml") }

func FuzzKustomization(f *testing.F) {
	f.Add([]byte("resources: [a.yaml]\nnamePrefix: x\n"), []byte("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"))
	f.Add([]byte("configMapGenerator: [{name: c, files: [a.yaml], literals: [a=b]}]\n"), []byte("x"))
	f.Add([]byte("resources: [.]\n"), []byte(""))
	f.Fuzz(func(t *testing.T, kustomization, resource []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{"kustomization.yaml": kustomization, "a.yaml": resource} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		bounded(t, dir)
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte("which: LoadBalancer\norder: [a, b]\n"))
	fuzzFile(f, "answers.yaml")
}
