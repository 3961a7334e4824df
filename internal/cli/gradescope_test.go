package cli_test

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"labctl.dev/labctl/internal/gradescope/facts"
	"labctl.dev/labctl/internal/result"
)

// unzip FILE DIR: unpacks as Gradescope does, with the modes that are in the zip.
func unzip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unzip FILE DIR")
	}
	z, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = z.Close() }()
	for _, f := range z.File {
		name := filepath.Join(ts.MkAbs(args[1]), filepath.FromSlash(f.Name))
		ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
		in, err := f.Open()
		ts.Check(err)
		out, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, f.Mode().Perm())
		ts.Check(err)
		_, err = io.Copy(out, in)
		ts.Check(err)
		ts.Check(out.Close())
		fmt.Fprintln(ts.Stdout(), f.Mode(), f.Name)
	}
}

// results FILE: holds it against what Gradescope documents, and prints what is in it.
func results(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: results FILE")
	}
	r, err := facts.Read([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	out := ts.Stdout()
	if r.Graded() {
		fmt.Fprintf(out, "score %s\n", result.Points(*r.Score))
	} else {
		fmt.Fprintln(out, "no score")
	}
	fmt.Fprintf(out, "extra %v\n", r.ExtraData["labctl"])
	for _, line := range strings.Split(r.Output, "\n") {
		fmt.Fprintf(out, "output %s\n", line)
	}
	for _, t := range r.Tests {
		fmt.Fprintf(out, "%s: %s: %s\n", t.Status, t.Name, strings.ReplaceAll(t.Output, "\n", " "))
	}
}
