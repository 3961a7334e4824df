package similar_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/internal/similar"
)

// objects decodes YAML documents.
func objects(t testing.TB, text string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for doc := range strings.SplitSeq(text, "\n---\n") {
		data, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

// solution is a correct one, with what differs from student to student.
type solution struct {
	name, db, url string // the names of the objects, and a variable of the environment
	replicas      int
	delay, cpu    string
	extra         string // lines of the pod's spec
}

func (s solution) yaml() string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {selector: {app: %[1]s-pod}, ports: [{port: 80, targetPort: %[1]s-port}]}
---
apiVersion: v1
kind: Service
metadata: {name: %[2]s}
spec: {selector: {app: %[2]s}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[4]d
  selector: {matchLabels: {app: %[1]s-pod}}
  template:
    metadata: {labels: {app: %[1]s-pod}}
    spec:
%[7]s
      containers:
        - name: %[1]s-main
          image: labctl/backend:v1
          ports: [{containerPort: 8080, name: %[1]s-port}]
          env: [{name: DATABASE_URL, value: "postgres://u:p@%[2]s:5432/%[3]s"}]
          readinessProbe: {httpGet: {path: /healthz, port: 8080}, initialDelaySeconds: %[5]s}
          resources: {requests: {cpu: %[6]s}}`, s.name, s.db, s.url, s.replicas, s.delay, s.cpu, s.extra)
}

// common is what everybody writes.
func common() solution {
	return solution{name: "backend", db: "db", url: "shop", replicas: 2, delay: "1", cpu: "10m"}
}

// odd is what one student came up with.
func odd(n int) solution {
	s := common()
	s.url = fmt.Sprintf("shop?application_name=app%d", n)
	s.delay, s.cpu = fmt.Sprint(100+n), fmt.Sprintf("%dm", 200+n)
	s.extra = fmt.Sprintf("      terminationGracePeriodSeconds: %d\n      priorityClassName: class%d", 300+n, n)
	return s
}

// class makes a class of solutions.
func class(t testing.TB, solutions ...solution) []similar.Submission {
	t.Helper()
	all := make([]similar.Submission, len(solutions))
	for i, s := range solutions {
		all[i] = similar.Submission{Student: fmt.Sprintf("s%03d", i), Objects: objects(t, s.yaml())}
	}
	return all
}

// others are n students who each do something of their own.
func others(n int) []solution {
	all := make([]solution, n)
	for i := range all {
		all[i] = odd(i)
	}
	return all
}

func TestCompare(t *testing.T) {
	renamed := odd(0)
	renamed.name, renamed.db = "api", "storage"
	changed := odd(0)
	changed.replicas, changed.cpu = 3, "77m"
	half := odd(0)
	half.delay, half.cpu, half.url = "55", "56m", "other"
	half.extra = "      terminationGracePeriodSeconds: 300\n      priorityClassName: mine"
	same := make([]solution, 30)
	for i := range same {
		same[i] = common()
	}
	// Two ways of doing it, half of the class each.
	ways := others(30)
	for i := range ways {
		ways[i] = common()
		if i%2 == 0 {
			ways[i] = odd(0)
		}
	}
	ring := others(30)
	for i := range 4 {
		ring[i] = odd(0)
	}
	tests := map[string]struct {
		class []solution
		want  []string // "A B"
	}{
		"nobody":                        {nil, nil},
		"a copy":                        {append(others(20), odd(0)), []string{"s000 s020"}},
		"a copy with other names":       {append(others(20), renamed), []string{"s000 s020"}},
		"a copy with a few changes":     {append(others(20), changed), []string{"s000 s020"}},
		"one thing in common":           {append(others(20), half), nil},
		"everybody on their own":        {others(30), nil},
		"everybody alike":               {same, nil},
		"half of the class alike":       {ways, nil},
		"four alike":                    {ring, []string{"s000 s001", "s000 s002", "s000 s003", "s001 s002", "s001 s003", "s002 s003"}},
		"a copy in a class of nine":     {append(others(8), odd(0)), nil},
		"a copy in a class of eighteen": {append(others(17), odd(0)), []string{"s000 s017"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range similar.Compare(class(t, test.class...), similar.Options{}) {
				got = append(got, p.A+" "+p.B)
				if p.Similarity <= 0 || p.Similarity > 1 || len(p.Shared) < 3 {
					t.Errorf("%+v", p)
				}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestRenamedIsTheSame sees that names do not count at all, and order does not.
func TestRenamedIsTheSame(t *testing.T) {
	renamed := odd(0)
	renamed.name, renamed.db = "api", "storage"
	all := class(t, append(others(20), renamed)...)
	last := all[20].Objects
	last[0], last[2] = last[2], last[0]
	pairs := similar.Compare(all, similar.Options{})
	if len(pairs) != 1 || pairs[0].Similarity != 1 {
		t.Errorf("got %+v", pairs)
	}
	for _, line := range pairs[0].Shared {
		if strings.Contains(line, "storage") || strings.Contains(line, "api") && !strings.Contains(line, "application") {
			t.Errorf("a name counts: %s", line)
		}
	}
}

// TestStarter sees that what the lab gives does not count.
func TestStarter(t *testing.T) {
	all := class(t, append(others(20), odd(0))...)
	starter := similar.Submission{Objects: objects(t, odd(0).yaml()), Comments: []string{"# a comment of the starter's"}}
	if pairs := similar.Compare(all, similar.Options{Starter: starter}); len(pairs) != 0 {
		t.Errorf("got %+v", pairs)
	}
}

// TestComments sees that comments which hardly anybody has count, and short ones do not.
func TestComments(t *testing.T) {
	same := make([]solution, 30)
	for i := range same {
		same[i] = common()
	}
	all := class(t, same...)
	for i := range all {
		all[i].Comments = []string{"# the backend of the shop", "#", "# ok"}
	}
	for _, i := range []int{3, 7} {
		all[i].Comments = append(all[i].Comments, "# Dont know why  this works?!", "## copied from week three", "# PORTS MUST BE THE SAME")
	}
	all[9].Comments = append(all[9].Comments, "# ports must be the same")
	pairs := similar.Compare(all, similar.Options{})
	if len(pairs) != 1 || pairs[0].A != "s003" || pairs[0].B != "s007" {
		t.Fatalf("got %+v", pairs)
	}
	want := []string{"comment: copied from week three (2 of 30 have it)", "comment: dont know why this works?! (2 of 30 have it)",
		"comment: ports must be the same (3 of 30 have it)"}
	if !reflect.DeepEqual(pairs[0].Shared, want) {
		t.Errorf("got %q", pairs[0].Shared)
	}
}

// commented makes a class of so many who hand in the same objects. Each student has the comments
// that say so: a number of students, and the text.
func commented(t *testing.T, n int, comments map[string]int) []similar.Submission {
	t.Helper()
	all := class(t, slices.Repeat([]solution{common()}, n)...)
	for text, students := range comments {
		for i := range students {
			all[i].Comments = append(all[i].Comments, text)
		}
	}
	return all
}

// TestLittle sees that what six of thirty have in three places may be chance.
func TestLittle(t *testing.T) {
	little := map[string]int{"# the first of them": 6, "# the second of them": 6, "# the third of them": 6}
	if pairs := similar.Compare(commented(t, 30, little), similar.Options{Threshold: 0.1}); len(pairs) != 0 {
		t.Errorf("got %+v", pairs)
	}
	little["# the fourth of them"], little["# the fifth of them"] = 6, 6
	if pairs := similar.Compare(commented(t, 30, little), similar.Options{Threshold: 0.1}); len(pairs) != 15 {
		t.Errorf("got %+v", pairs)
	}
}

// TestSimilarity holds the number against one worked out by hand: two of twenty share four
// comments of log2(20/2) bits each, and one has a value of log2(20) bits of its own.
func TestSimilarity(t *testing.T) {
	comments := map[string]int{"# the first of them": 2, "# the second of them": 2, "# the third of them": 2, "# the fourth of them": 2}
	all := commented(t, 20, comments)
	own := common()
	own.url = "mine" // beside the name of the variable, which everybody has
	all[0].Objects = objects(t, own.yaml())
	want := 0.86                              // 2*13.288 of 2*13.288+4.322
	for _, others := range []int{1, 12, 20} { // what most have changes nothing
		for i := range others {
			if others > 10 && i != 1 {
				all[i].Comments = append(all[i].Comments, fmt.Sprintf("# what %d students have", others))
			}
		}
		if pairs := similar.Compare(all, similar.Options{}); len(pairs) != 1 || pairs[0].Similarity != want {
			t.Errorf("with %d others: got %+v, want %v", others, pairs, want)
		}
	}
}

// TestTexts sees that a text of several lines is compared line by line.
func TestTexts(t *testing.T) {
	config := func(lines ...string) string {
		o := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c"},
			"data": map[string]any{"run.sh": strings.Join(lines, "\n")}}
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	var all []similar.Submission
	for i := range 20 {
		all = append(all, similar.Submission{Student: fmt.Sprintf("s%03d", i), Objects: objects(t, config("set -e", fmt.Sprintf("echo %d", i)))})
	}
	for _, who := range []string{"x", "y"} {
		all = append(all, similar.Submission{Student: who, Objects: objects(t, config("set -e", "  sleep 17", "curl   -s c/ping", "test $? = 0", "echo of "+who))})
	}
	pairs := similar.Compare(all, similar.Options{})
	if len(pairs) != 1 || pairs[0].A != "x" || !strings.Contains(strings.Join(pairs[0].Shared, "\n"), "has the line curl -s ‹name›/ping") {
		t.Errorf("got %+v", pairs)
	}
}

// TestShared sees that what is said of a pair is bounded, clean, and no reproach.
func TestShared(t *testing.T) {
	all := class(t, others(20)...)
	for i := range 2 {
		for n := range 30 {
			all[i].Comments = append(all[i].Comments, fmt.Sprintf("# number %d \x1b[31m\u202e\r %s", n, strings.Repeat("very long\t", 100)), "\xff\xfe odd bytes odd bytes")
		}
	}
	pairs := similar.Compare(all, similar.Options{Threshold: 0.1})
	if len(pairs) != 1 || len(pairs[0].Shared) != 12 || !strings.HasPrefix(pairs[0].Shared[11], "and ") {
		t.Fatalf("got %+v", pairs)
	}
	for _, line := range pairs[0].Shared {
		bad := func(r rune) bool { return !unicode.IsPrint(r) }
		if utf8.RuneCountInString(line) > 200 || strings.ContainsFunc(line, bad) || !utf8.ValidString(line) {
			t.Errorf("%q", line)
		}
		for _, word := range []string{"copied", "cheat", "plagiar", "suspect", "suspic", "fraud", "stolen"} {
			if strings.Contains(strings.ToLower(line), word) {
				t.Errorf("%q says %q", line, word)
			}
		}
	}
}

// TestSameTwice sees that the same class gives the same pairs, whatever its order.
func TestSameTwice(t *testing.T) {
	all := class(t, append(others(25), odd(0), odd(3), odd(3))...)
	want := similar.Compare(all, similar.Options{})
	if len(want) == 0 {
		t.Fatal("no pair")
	}
	for range 5 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if got := similar.Compare(all, similar.Options{}); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	if got := similar.Compare(all, similar.Options{Pairs: 1}); len(got) != 1 {
		t.Errorf("got %d pairs of one", len(got))
	}
}

// TestOddObjects is about objects that no schema would let pass.
func TestOddObjects(t *testing.T) {
	all := class(t, others(20)...)
	deep := any("end")
	for range 5000 {
		deep = map[string]any{"a": []any{deep, nil, 1.5, true}}
	}
	all[0].Objects = append(all[0].Objects, nil, &unstructured.Unstructured{}, &unstructured.Unstructured{Object: map[string]any{"kind": 7, "metadata": "x", "spec": deep}})
	if pairs := similar.Compare(all, similar.Options{}); len(pairs) != 0 {
		t.Errorf("got %+v", pairs)
	}
}

func TestCommentLines(t *testing.T) {
	got := similar.CommentLines([]byte("# one\r\na: b # two\n  #three\nc: '#no' # \"not sure\"\nd: e#f\n#\n"))
	if want := []string{"# one", "# two", "#three"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// large is a class of so many, who choose among what there is to choose from; every hundredth
// shares its solution with the one before.
func large(b testing.TB, n int) []similar.Submission {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2)) // the same each time
	all := make([]solution, n)
	for i := range all {
		all[i] = odd(r.IntN(n))
		all[i].replicas, all[i].delay, all[i].cpu = 2+r.IntN(3), fmt.Sprint(r.IntN(30)), fmt.Sprintf("%dm", r.IntN(60))
		all[i].extra = fmt.Sprintf("      terminationGracePeriodSeconds: %d\n      priorityClassName: class%d", r.IntN(40), r.IntN(n))
		if i%100 == 99 {
			all[i] = all[i-1]
		}
	}
	return class(b, all...)
}

// TestLarge sees that in a large class chance makes no pairs.
func TestLarge(t *testing.T) {
	n := 600
	pairs := similar.Compare(large(t, n), similar.Options{})
	if len(pairs) != n/100 {
		t.Errorf("got %d pairs, want %d: %+v", len(pairs), n/100, pairs)
	}
	for _, p := range pairs {
		if p.Similarity != 1 {
			t.Errorf("%+v", p)
		}
	}
}

func BenchmarkCompare2000(b *testing.B) {
	all := large(b, 2000)
	b.ReportAllocs()
	for b.Loop() {
		if pairs := similar.Compare(all, similar.Options{}); len(pairs) != 20 {
			b.Fatalf("%d pairs", len(pairs))
		}
	}
}
