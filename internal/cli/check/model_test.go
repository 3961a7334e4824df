package check

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/cli/course"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
)

var update = flag.Bool("update", false, "write the golden screens anew")

func office() *lab.Lab {
	return &lab.Lab{
		ID: "clusterip", Title: "ClusterIP", Version: "1",
		Steps: []lab.Step{{ID: "database", Title: "Reach the database"}, {ID: "backend", Title: "Reach the backend"}, {ID: "inside", Title: "Stay inside"}},
		Checks: []lab.Check{
			{ID: "db-is-internal", Step: "database", Points: 15},
			{ID: "backend-reaches-db", Step: "database", Points: 25, DependsOn: []string{"db-is-internal"}},
			{ID: "backend-is-internal", Step: "backend", Points: 20},
			{ID: "secret", Step: "backend", Points: 10, Visibility: "hidden"},
			{ID: "round-trip", Step: "backend", Points: 20, DependsOn: []string{"backend-reaches-db"}},
			{ID: "survives-pod-loss", Step: "inside", Points: 10, Run: &lab.Run{Name: "survives-pod-loss"}},
		},
	}
}

// atWork is the bench of somebody in the middle of the lab.
func atWork(passed ...string) *bench {
	l := office()
	mine := &student.Lab{ID: l.ID, Checks: map[string]*student.Check{}}
	for _, id := range passed {
		mine.Checks[id] = &student.Check{Status: result.Passed, FirstPassed: time.Unix(1, 0)}
	}
	return &bench{
		opts: &Options{}, lab: l, mine: mine, checks: l.Visible(),
		course: &course.Course{Catalog: &lab.Catalog{Labs: []*lab.Lab{l, {ID: "nodeport"}}}},
	}
}

func verdict(id string, status result.CheckStatus) judgedMsg {
	c, _ := office().Check(id)
	r := result.Check{ID: id, Step: c.Step, Status: status, MaxPoints: c.Points}
	switch status {
	case result.Passed:
		r.Points = c.Points
	case result.Failed:
		r.Message = "pod/backend-7c9 does not reach db: \x1b[31mHTTP 503: the database did not answer (tried db:5432: REFUSED), which is a long story that has to be wrapped"
		r.Hint = "compare the Service's selector with the labels of the pods"
		r.Evidence = []result.Evidence{{From: "pod/backend-7c9", To: "http://127.0.0.1:8080/readyz", Got: "HTTP 503"}}
	case result.Skipped:
		r.Message = "depends on backend-reaches-db, which did not pass"
	}
	return judgedMsg{r}
}

// after is the screen after the messages.
func after(t *testing.T, m model, messages ...tea.Msg) model {
	t.Helper()
	for _, msg := range messages {
		next, _ := m.Update(msg)
		m = next.(model)
	}
	return m
}

func text(m model) string {
	plain := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(m.View().Content, "")
	return plain + "\n"
}

func screens() map[string]func(*testing.T) model {
	withheld := []string{"survives-pod-loss"}
	return map[string]func(*testing.T) model{
		"failing": func(t *testing.T) model {
			return after(t, newModel(atWork(), withheld, nil), begunMsg{[]string{"db-is-internal", "backend-reaches-db", "round-trip"}},
				verdict("db-is-internal", result.Passed), verdict("backend-reaches-db", result.Failed), verdict("round-trip", result.Skipped), idleMsg{})
		},
		"regressing": func(t *testing.T) model {
			return after(t, newModel(atWork("db-is-internal", "backend-reaches-db", "backend-is-internal"), withheld, nil),
				begunMsg{[]string{"backend-reaches-db"}}, verdict("backend-reaches-db", result.Failed), idleMsg{}, fileMsg{"backend.yaml"})
		},
		"solved": func(t *testing.T) model {
			m := newModel(atWork("db-is-internal", "backend-reaches-db", "backend-is-internal", "survives-pod-loss"), nil, nil)
			return after(t, m, begunMsg{[]string{"round-trip"}}, verdict("round-trip", result.Passed), idleMsg{})
		},
		"all-steps": func(t *testing.T) model {
			m := newModel(atWork("db-is-internal"), withheld, nil)
			return after(t, m, tea.KeyPressMsg{Text: "a", Code: 'a'}, begunMsg{[]string{"backend-reaches-db", "backend-is-internal"}}, verdict("backend-reaches-db", result.Failed))
		},
		"withheld": func(t *testing.T) model {
			return after(t, newModel(atWork("db-is-internal", "backend-reaches-db", "backend-is-internal"), withheld, nil), verdict("round-trip", result.Passed), idleMsg{})
		},
	}
}

func TestScreens(t *testing.T) {
	for name, make := range screens() {
		for _, width := range []int{80, 120} {
			t.Run(fmt.Sprintf("%s-%d", name, width), func(t *testing.T) {
				got := text(after(t, make(t), tea.WindowSizeMsg{Width: width, Height: 24}))
				for _, line := range strings.Split(got, "\n") {
					if lipgloss.Width(line) > width {
						t.Errorf("wider than %d: %q", width, line)
					}
				}
				golden := filepath.Join("testdata", fmt.Sprintf("%s-%d.golden", name, width))
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("the screen is another (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What a pod says cannot steer the terminal.
func TestScreenIsCleaned(t *testing.T) {
	m := screens()["failing"](t)
	if strings.Contains(m.View().Content, "\x1b[31mHTTP") {
		t.Error("an escape of the evidence reaches the terminal")
	}
}

func TestLowScreenKeepsChecksAndKeys(t *testing.T) {
	got := text(after(t, screens()["failing"](t), tea.WindowSizeMsg{Width: 80, Height: 12}))
	if n := strings.Count(got, "\n"); n > 12 {
		t.Errorf("%d lines on a screen of 12:\n%s", n, got)
	}
	for _, want := range []string{"backend-reaches-db", "Next: labctl hint backend-reaches-db", "q quit"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q on:\n%s", want, got)
		}
	}
}

func TestKeys(t *testing.T) {
	asks := make(chan ask, 4)
	m := after(t, newModel(atWork(), nil, asks), verdict("db-is-internal", result.Failed))
	after(t, m, tea.KeyPressMsg{Text: "h", Code: 'h'}, tea.KeyPressMsg{Text: "r", Code: 'r'})
	if got := <-asks; got.hint != "db-is-internal" || !strings.HasPrefix(got.shown, "compare") {
		t.Errorf("h asks for %+v", got)
	}
	if got := <-asks; !got.again {
		t.Errorf("r asks for %+v", got)
	}
	for key, want := range map[string]tea.Msg{"q": tea.QuitMsg{}, "ctrl+c": tea.InterruptMsg{}} {
		press := tea.KeyPressMsg{Text: "q", Code: 'q'}
		if key == "ctrl+c" {
			press = tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
		}
		_, cmd := m.Update(press)
		if cmd == nil || cmd() != want {
			t.Errorf("%s does not end with %T", key, want)
		}
	}
}

func TestHintTakesThePlaceOfTheObserved(t *testing.T) {
	m := after(t, screens()["failing"](t), hintMsg{check: "backend-reaches-db", hint: student.Hint{Text: "Who is db?", Number: 1, Left: 1}})
	if got := text(m); !strings.Contains(got, "Who is db?") || strings.Contains(got, "compare the Service") {
		t.Errorf("the screen:\n%s", got)
	}
	m = after(t, m, verdict("backend-reaches-db", result.Passed), verdict("backend-reaches-db", result.Failed))
	if strings.Contains(text(m), "Who is db?") {
		t.Error("a hint outlives what it was for")
	}
}

func TestLostClusterEndsTheWatch(t *testing.T) {
	lost := errors.New("the API server is gone")
	next, cmd := newModel(atWork(), nil, nil).Update(endedMsg{lost})
	if cmd == nil || !errors.Is(next.(model).ended, lost) {
		t.Errorf("the watch goes on after %v", lost)
	}
}

func TestPlainLines(t *testing.T) {
	b := atWork("backend-is-internal")
	var out, errs strings.Builder
	b.opts.Streams.Out, b.opts.Streams.Err = &out, &errs
	p := newPlain(b, nil)
	for _, msg := range []any{
		verdict("db-is-internal", result.Passed), verdict("backend-is-internal", result.Failed), idleMsg{},
		verdict("db-is-internal", result.Passed), fileMsg{"db.yaml"}, idleMsg{},
	} {
		p.tell(msg)
	}
	want := []string{"watching\tclusterip", "passed\tdb-is-internal\t15/15", "regression\tbackend-is-internal", "failed\tbackend-is-internal\t0/20", "changed\tdb.yaml\t"}
	at := 0
	for _, w := range want {
		i := strings.Index(out.String()[at:], w)
		if i < 0 {
			t.Fatalf("no %q in its place:\n%s", w, out.String())
		}
		at += i + len(w)
	}
	if strings.Count(out.String(), "db-is-internal\t15/15") != 1 || strings.Count(errs.String(), "Next: ") != 1 {
		t.Errorf("told twice:\n%s%s", out.String(), errs.String())
	}
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("colour or an escape in a pipe: %q", out.String())
	}
}

// Who has completed a step is led to the next; who works on that one already gets its hint.
func TestOutlook(t *testing.T) {
	status := map[string]result.CheckStatus{
		"db-is-internal": result.Passed, "backend-reaches-db": result.Passed, "backend-is-internal": result.Failed, "round-trip": result.Skipped,
	}
	onwards := []string{"Step 1 of 3 is complete.", "Next: labctl show backend"}
	hint := []string{"Next: labctl hint backend-is-internal"}
	b := atWork()
	for name, c := range map[string]struct {
		green []string
		want  []string
	}{
		"just completed":           {[]string{"backend-reaches-db"}, onwards},
		"completed before":         {nil, hint},
		"a check of a later step":  {[]string{"round-trip"}, hint},
		"a check of the same step": {[]string{"backend-is-internal"}, hint},
	} {
		if diff := cmp.Diff(c.want, b.outlook(status, nil, c.green)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	status["db-is-internal"] = result.Failed
	if diff := cmp.Diff([]string{"Next: labctl hint db-is-internal"}, b.outlook(status, nil, []string{"backend-reaches-db"})); diff != "" {
		t.Errorf("an earlier check fails: %s", diff)
	}
	slices.Reverse(b.lab.Checks)
	if diff := cmp.Diff([]string{"Next: labctl hint db-is-internal"}, b.outlook(status, nil, nil)); diff != "" {
		t.Errorf("a check of the first step that is not complete is listed last: %s", diff)
	}
}
