package student

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetAnswer(t *testing.T) {
	tests := []struct {
		name, before, question string
		texts                  []string
		want                   string
	}{
		{"the first", "", "q1", []string{"ClusterIP"}, "q1: ClusterIP\n"},
		{"into comments only", "# mine", "q1", []string{"ClusterIP"}, "# mine\nq1: ClusterIP\n"},
		{"one more", "# mine\nq1: ClusterIP # sure\n", "q2", []string{"yes"}, "# mine\nq1: ClusterIP # sure\nq2: yes\n"},
		{"another", "q1: ClusterIP # sure\n# about q2\nq2: b\n", "q1", []string{"NodePort"}, "q1: NodePort # sure\n# about q2\nq2: b\n"},
		{"an order", "q1: a\n", "q1", []string{"pod", "a: b"}, "q1:\n  - pod\n  - 'a: b'\n"},
		{"what looks like a number", "", "q1", []string{"30080"}, "q1: \"30080\"\n"},
	}
	for _, tt := range tests {
		got, err := setAnswer([]byte(tt.before), tt.question, tt.texts)
		if diff := cmp.Diff(tt.want, string(got)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
	for name, text := range map[string]string{"no YAML": "a: [", "a list": "- a\n"} {
		if got, err := setAnswer([]byte(text), "q", []string{"x"}); err == nil {
			t.Errorf("%s became %q", name, got)
		}
	}
}

func TestSetAnswerInTheFolder(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	if err := f.SetAnswer("q1", []string{"a"}); err != nil || contents(t, dir, "answers.yaml") != answersHead+"q1: a\n" {
		t.Errorf("%v, %q", err, contents(t, dir, "answers.yaml"))
	}
	other := t.TempDir()
	put(t, other, "answers.yml", "q1: a\n")
	if err := open(t, other).SetAnswer("q1", []string{"b"}); err != nil || contents(t, other, "answers.yml") != "q1: b\n" {
		t.Errorf("under its other name: %v", err)
	}
	put(t, other, "answers.yml", "a: [")
	if err := open(t, other).SetAnswer("q1", []string{"b"}); err == nil || contents(t, other, "answers.yml") != "a: [" {
		t.Errorf("a broken file was touched: %v", err)
	}
}

func TestStepFiles(t *testing.T) {
	l := guestbook()
	changes, err := Solutions(l)
	if err != nil || len(changes) != 2 || changes[0].Name != "app.yaml" || changes[1].Solved != nil {
		t.Errorf("%+v, %v", changes, err)
	}
	if names, known, err := StepFiles(l, 1); known || len(names) > 0 || err != nil {
		t.Errorf("files that name no step: %v, %v, %v", names, known, err)
	}
	one := guestbook()
	one.Steps = one.Steps[:1]
	if names, known, err := StepFiles(one, 1); !known || len(names) != 2 || err != nil {
		t.Errorf("a single step: %v, %v, %v", names, known, err)
	}
	named := guestbook()
	named.Files = mapFS{"starter/a.yaml": "# Step 2: here\n", "solution/a.yaml": "done\n", "starter/b.yaml": "same\n", "solution/b.yaml": "same\n"}.fs()
	for number, want := range map[int][]string{1: nil, 2: {"a.yaml"}} {
		if names, known, err := StepFiles(named, number); !known || !cmp.Equal(names, want) || err != nil {
			t.Errorf("step %d: %v, %v, %v", number, names, known, err)
		}
	}
}
