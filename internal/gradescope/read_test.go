package gradescope

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/gradescope/facts"
	"labctl.dev/labctl/internal/result"
)

// put writes files below a new root.
func put(t *testing.T, files map[string]string) Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Root(dir)
}

// As Gradescope documents it, but for what does not concern labctl.
const metadata = `{
  "id": 123456, "created_at": "2018-07-01T14:22:32.365935-07:00",
  "assignment": {"due_date": "2018-07-31T23:00:00.000000-07:00", "group_size": 4, "group_submission": true, "id": 25828, "course_id": 1234,
    "late_due_date": null, "title": "Programming Assignment 1", "total_points": "20.0"},
  "submission_method": "upload",
  "users": [{"email": "a@example.com", "id": 1, "name": "Anna"}, {"email": "b@example.com", "id": 2, "name": ""}],
  "previous_submissions": [{"submission_time": "2017-04-06T14:24:48.087023-07:00", "score": "0.0", "autograder_error": false, "results": {}}]
}`

func TestMetadata(t *testing.T) {
	m, err := put(t, map[string]string{"submission_metadata.json": metadata}).Metadata()
	if err != nil || m.ID != "123456" || m.Names() != "Anna, b@example.com" || !m.Created.Equal(time.Date(2018, 7, 1, 21, 22, 32, 365935000, time.UTC)) {
		t.Errorf("%+v, %v", m, err)
	}
	var r result.Report
	m.Apply(&r)
	if r.Student != "submission 123456" || r.Person.Email != "a@example.com" || r.Submitted == nil || r.Submitted.Location() != time.UTC {
		t.Errorf("%+v", r)
	}
}

// What is not as documented is left out, and the rest is used.
func TestMetadataIsOdd(t *testing.T) {
	for name, tt := range map[string]struct{ text, says, names string }{
		"missing":      {"", "no such file", ""},
		"no JSON":      {"{", "unexpected end", ""},
		"no object":    {"[1]", "cannot unmarshal", ""},
		"empty":        {"{}", "no id, created_at, users", ""},
		"odd time":     {strings.Replace(metadata, "2018-07-01T", "yesterday ", 1), "no created_at", "Anna, b@example.com"},
		"odd user":     {strings.Replace(metadata, `{"email": "a@example.com", "id": 1, "name": "Anna"}`, `{"name": 7}, 8`, 1), "", "b@example.com"},
		"odd users":    {strings.Replace(metadata, `"users": [`, `"people": [`, 1), "no users", ""},
		"no user":      {`{"id": "9", "created_at": "2018-07-01T14:22:32Z", "users": []}`, "no users", ""},
		"a large name": {`{"id": 9, "created_at": null, "users": [{"name": "` + strings.Repeat("x", 1<<20) + `"}]}`, "", strings.Repeat("x", 1<<20)},
	} {
		files := map[string]string{"submission_metadata.json": tt.text}
		if tt.text == "" {
			files = nil
		}
		m, err := put(t, files).Metadata()
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) || m.Names() != tt.names {
			t.Errorf("%s: %.200v, %v", name, m, err)
		}
	}
}

// Gradescope unpacks a .zip and leaves the .tar.gz of labctl submit as it is.
func TestHanded(t *testing.T) {
	for name, tt := range map[string]struct {
		files []string
		want  string
	}{
		"files":          {[]string{"a.yaml", "b.yaml"}, "submission"},
		"one file":       {[]string{"a.yaml"}, "submission"},
		"a lone archive": {[]string{"anna.tar.gz"}, "submission/anna.tar.gz"},
		"with leftovers": {[]string{"anna.zip", ".DS_Store", "__MACOSX/x"}, "submission/anna.zip"},
		"two archives":   {[]string{"a.zip", "b.zip"}, "submission"},
		"beside a file":  {[]string{"a.zip", "b.yaml"}, "submission"},
		"below a folder": {[]string{"x/a.zip"}, "submission"},
		"a folder":       {[]string{"x.zip/a.yaml"}, "submission"},
	} {
		files := map[string]string{}
		for _, f := range tt.files {
			files["submission/"+f] = "x"
		}
		root := put(t, files)
		got, err := root.Handed()
		if err != nil || got != filepath.Join(string(root), tt.want) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := Root(t.TempDir()).Handed(); err == nil {
		t.Error("a submission was found where there is none")
	}
}

// What is wrong in the container is no student's fault.
func TestConfigIsOurs(t *testing.T) {
	for name, text := range map[string]string{
		"missing": "", "no JSON": "{", "another schema": `{"schema": "labctl.dev/gradescope/v2", "mode": "manifests", "timeLimit": 600}`,
		"no good": `{"schema": "labctl.dev/gradescope/v1", "mode": "grade", "timeLimit": 600}`, "huge": strings.Repeat(" ", maxSmall+1),
	} {
		files := map[string]string{"source/labctl.json": text}
		if text == "" {
			files = nil
		}
		if _, err := put(t, files).Config(); err == nil || fault.KindOf(err) != fault.Environment {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := queued()
	want.Schema = Schema
	data, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := put(t, map[string]string{"source/labctl.json": string(data)}).Config(); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestQueueAddress(t *testing.T) {
	root := put(t, map[string]string{"source/queue": address + "\n"})
	if got, err := root.Queue(Config{}); err != nil || got != address {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv("QUEUE_OF_TEST", "postgres://other/q")
	if got, err := root.Queue(Config{QueueEnv: "QUEUE_OF_TEST"}); err != nil || got != "postgres://other/q" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := root.Queue(Config{QueueEnv: "NO_QUEUE_OF_TEST"}); err == nil || !strings.Contains(err.Error(), "NO_QUEUE_OF_TEST") {
		t.Errorf("%v", err)
	}
	if _, err := Root(t.TempDir()).Queue(Config{}); err == nil {
		t.Error("an address was found where there is none")
	}
}

// A reader sees what Gradescope documents, whatever became of the submission. Where that is an
// error of ours there is no score.
func TestWrite(t *testing.T) {
	graded := result.Report{Status: result.Graded, Score: 50, MaxScore: 100, Checks: []result.Check{
		{ID: "a", Title: "A", Status: result.Passed, Points: 50, MaxPoints: 50}, {ID: "b", Status: result.Failed, MaxPoints: 50, Visibility: "hidden"},
	}}
	read := Config{Mode: Manifests, Points: 5}
	for name, tt := range map[string]struct {
		config Config
		report result.Report
		score  float64 // -1: none
		status string
		begins string
	}{
		"graded":        {Config{Mode: Queue, OutOf: 20, Batch: "b"}, graded, 10, "graded", "1 of 1 checks passed."},
		"error":         {Config{Mode: Queue}, result.Report{Status: result.Errored, Message: "it waits"}, -1, "error", "Not graded, through a fault that is ours: no marks were given or taken.\nit waits"},
		"refused":       {Config{Mode: Queue}, result.Report{Status: result.Rejected, Findings: []result.Finding{{File: "<b>\x1b[2J", Message: "bad"}}}, 0, "rejected", "The submission was refused before anything was graded.\n<b>\\u001b[2J: bad"},
		"read":          {read, result.Report{Status: result.Graded, Score: 5, MaxScore: 5}, 5, "read", "Nothing was run, and this is not the grade"},
		"read, refused": {read, result.Report{Status: result.Rejected}, 0, "rejected", "Nothing was run, and this is not the grade"},
		"no config":     {Config{}, result.Report{Status: result.Errored}, -1, "error", "Not graded"},
	} {
		root := Root(t.TempDir())
		if err := root.Write(tt.config, tt.report); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		data, err := os.ReadFile(root.Results())
		if err != nil {
			t.Fatal(err)
		}
		r, err := facts.Read(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		extra, _ := r.ExtraData["labctl"].(map[string]any)
		if (r.Score == nil) != (tt.score < 0) || r.Score != nil && *r.Score != tt.score || extra["status"] != tt.status || !strings.HasPrefix(r.Output, tt.begins) {
			t.Errorf("%s: %s", name, data)
		}
	}
}

// What run_autograder leaves where labctl cannot start is what Gradescope knows, and no score.
func TestScriptLeavesResults(t *testing.T) {
	text, err := scripts.ReadFile("scripts/" + runName)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "<<'EOF'\n")
	json, _, found := strings.Cut(after, "\nEOF\n")
	r, err := facts.Read([]byte(json))
	if !found || err != nil || r.Graded() || !strings.HasPrefix(r.Output, "Not graded, through a fault that is ours") {
		t.Errorf("%+v, %v", r, err)
	}
}
