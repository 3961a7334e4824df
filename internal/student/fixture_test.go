package student

import (
	"testing"
	"testing/fstest"
	"time"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// guestbook is a lab of two steps, with a hidden check.
func guestbook() *lab.Lab {
	return &lab.Lab{
		ID: "guestbook", Version: "1",
		Steps: []lab.Step{{ID: "one", Title: "One"}, {ID: "two", Title: "Two"}},
		Checks: []lab.Check{
			{ID: "a", Step: "one", Points: 30},
			{ID: "b", Step: "one", Points: 30, DependsOn: []string{"a"}},
			{ID: "secret", Step: "two", Points: 10, Visibility: "hidden"},
			{ID: "c", Step: "two", Points: 30},
		},
		Files: fstest.MapFS{
			"starter/app.yaml":         {Data: []byte("kind: app\n")},
			"starter/deep/config.json": {Data: []byte("{}\n")},
			"solution/app.yaml":        {Data: []byte("kind: app\nright: true\n")},
		},
	}
}

func catalog() *lab.Catalog {
	return &lab.Catalog{Labs: []*lab.Lab{guestbook(), {ID: "other", Version: "1"}}}
}

// report has a verdict on each check that is named, in turn: "a", "passed", …
func report(verdicts ...string) result.Report {
	r := result.Report{Schema: result.Schema, Status: result.Graded}
	for i := 0; i+1 < len(verdicts); i += 2 {
		r.Checks = append(r.Checks, result.Check{ID: verdicts[i], Status: result.CheckStatus(verdicts[i+1])})
	}
	return r
}

// clock is a time of day.
func clock(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }

func testStore(t *testing.T) *Store {
	t.Helper()
	return &Store{dir: t.TempDir(), now: func() time.Time { return clock(12) }}
}

// mapFS is files by name.
type mapFS map[string]string

func (m mapFS) fs() fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range m {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}
