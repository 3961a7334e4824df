package submission_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/submission"
)

func questions() []string { return []string{"which-type", "hops", "prophecy"} }

func TestReadAnswers(t *testing.T) {
	long := strings.Repeat("x", 501)
	for name, tc := range map[string]struct {
		file string // "" means that there is none
		want map[string][]string
		says []string // findings; none means that the answers are read
	}{
		"no file":       {"", nil, nil},
		"comments":      {"# nothing yet\n", map[string][]string{}, nil},
		"answered":      {"which-type: NodePort\nhops: [a, b]\n", map[string][]string{"which-type": {"NodePort"}, "hops": {"a", "b"}}, nil},
		"left empty":    {"which-type:\nhops: []\nprophecy: '  '\n", map[string][]string{}, nil},
		"bare words":    {"which-type: no\nprophecy: 80\n", map[string][]string{"which-type": {"no"}, "prophecy": {"80"}}, nil},
		"unknown id":    {"which-typ: NodePort\n", nil, []string{`answers.yaml, which-typ: is no question of this lab; did you mean "which-type"?`}},
		"not a mapping": {"NodePort\n", nil, []string{`answers.yaml: must be a list of lines such as "question: answer", not "NodePort"`}},
		"not YAML":      {"hops: [a\n", nil, []string{"answers.yaml: is not YAML"}},
		"two documents": {"hops: a\n---\nhops: b\n", nil, []string{"more than one YAML document"}},
		"every problem": {
			"hops: {a: b}\nprophecy: " + long + "\nother: x\nhops: c\n", nil,
			[]string{"hops: must be a text or a list of texts, not a mapping", "prophecy: is longer than 500", "other: is no question", "hops: is answered twice, on lines 1 and 4"},
		},
		"too many texts": {"hops: [" + strings.Repeat("a,", 51) + "]\n", nil, []string{"more than 50 texts"}},
		"too large":      {"#" + strings.Repeat("x", 64<<10) + "\n", nil, []string{"larger than 65536 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.file != "" {
				if err := os.WriteFile(filepath.Join(dir, "answers.yaml"), []byte(tc.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := submission.ReadAnswers(dir, questions())
			if len(tc.says) == 0 {
				if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
					t.Errorf("error %v (-want +got):\n%s", err, diff)
				}
				return
			}
			if fault.KindOf(err) != fault.Input || len(findings(err)) != len(tc.says) {
				t.Fatalf("want %d findings of kind Input, got %v", len(tc.says), err)
			}
			for _, want := range tc.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %s", err, want)
				}
			}
		})
	}
}

func TestAnswersAlone(t *testing.T) {
	files := fstest.MapFS{"solution/answers.yaml": {Data: []byte("hops: [a, b]\n")}}
	if _, err := submission.ReadFS(files, "solution", submission.Limits{}); err == nil {
		t.Error("answers alone suffice where a lab needs objects")
	}
	s, err := submission.ReadFS(files, "solution", submission.Limits{AnswersSuffice: true, Questions: questions()})
	if err != nil || len(s.Answers["hops"]) != 2 || len(s.Objects) != 0 {
		t.Errorf("got %v, %v", s, err)
	}
}

// A wrong submission of answers alone is the solution with these in the place of its own.
func TestWrongAnswersOverTheSolution(t *testing.T) {
	files := fstest.MapFS{
		"solution/answers.yaml":         {Data: []byte("hops: [a, b]\nwhich-type: NodePort\n")},
		"solution/svc.yaml":             {Data: []byte("apiVersion: v1\nkind: Service\nmetadata: {name: db}\n")},
		"wrong/which-type/answers.yaml": {Data: []byte("which-type: ClusterIP\n")},
		"wrong/hops/answers.yaml":       {Data: []byte("hop: a\n")},
	}
	s, err := submission.ReadFS(files, "wrong/which-type", submission.Limits{Questions: questions()})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"hops": {"a", "b"}, "which-type": {"ClusterIP"}}
	if diff := cmp.Diff(want, s.Answers); diff != "" || len(s.Objects) != 1 || s.Student != "which-type" {
		t.Errorf("%d objects of %s (-want +got):\n%s", len(s.Objects), s.Student, diff)
	}
	if _, err := submission.ReadFS(files, "wrong/hops", submission.Limits{Questions: questions()}); err == nil || !strings.Contains(err.Error(), `did you mean "hops"?`) {
		t.Errorf("an unknown question in a wrong submission: %v", err)
	}
}
