package lab_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/labs"
)

// FuzzLoad reads a lab.yaml beside the files of a real lab. Whatever it is, it is a lab whose
// points sum up, or refused as the author's mistake.
func FuzzLoad(f *testing.F) {
	files := fstest.MapFS{}
	err := fs.WalkDir(labs.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(labs.Files(), name)
		files[name] = &fstest.MapFile{Data: data}
		if d.Name() == "lab.yaml" {
			f.Add(data)
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	const home = "10-clusterip"
	load := func(data []byte) (*lab.Lab, error) {
		own := fstest.MapFS{}
		for name, file := range files {
			if rest, ok := strings.CutPrefix(name, home+"/"); ok {
				own[rest] = file
			}
		}
		own[lab.FileName] = &fstest.MapFile{Data: data}
		return lab.Load(own, home, runs())
	}
	if _, err := load(files[home+"/"+lab.FileName].Data); err != nil {
		f.Fatalf("the lab as it is: %v", err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := load(data)
		switch {
		case (l == nil) == (err == nil):
			t.Errorf("lab %v, error %v", l, err)
		case err != nil && fault.KindOf(err) != fault.Input:
			t.Errorf("error %v is not the author's", err)
		case err == nil && l.Points() != 100:
			t.Errorf("points sum to %v", l.Points())
		}
	})
}
