package student

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
)

func mustUpdate(t *testing.T, s *Store, change func(*Progress)) {
	t.Helper()
	if _, err := s.Update(t.Context(), func(p *Progress) error { change(p); return nil }); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s *Store) *Progress {
	t.Helper()
	p, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStoreRoundTrip(t *testing.T) {
	s := testStore(t)
	if p := load(t, s); len(p.Labs) != 0 || p.Version != Version || p.Note != "" {
		t.Errorf("without a file: %+v", p)
	}
	mustUpdate(t, s, func(p *Progress) {
		p.Record(guestbook(), report("a", "passed"), clock(1))
		p.Current = "guestbook"
		p.Labs["guestbook"].GaveUp = map[string]time.Time{"one": clock(2)}
	})
	p := load(t, s)
	mine := p.Labs["guestbook"]
	if p.Current != "guestbook" || !mine.Passed("a") || !mine.Gave("one") || mine.Checks["a"].FirstPassed != clock(1) {
		t.Errorf("read back: %+v", mine)
	}
	data, err := os.ReadFile(s.path())
	if err != nil || strings.Contains(string(data), "0001-01-01") {
		t.Errorf("times that are not known are written: %s, %v", data, err)
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	s := testStore(t)
	mustUpdate(t, s, func(p *Progress) { p.Current = "guestbook" })
	cause := errors.New("no")
	_, err := s.Update(t.Context(), func(p *Progress) error { p.Current = "other"; return cause })
	if !errors.Is(err, cause) || load(t, s).Current != "guestbook" {
		t.Errorf("%v, %q", err, load(t, s).Current)
	}
}

// Two terminals that write at the same time overwrite nothing of each other.
func TestUpdatesAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	const each = 20
	for terminal := range 4 {
		group.Go(func() {
			s := &Store{dir: dir, now: time.Now}
			for range each {
				_, err := s.Update(context.Background(), func(p *Progress) error {
					p.Begin(guestbook(), clock(0)).Check("a").Hints++
					p.Labs["guestbook"].Check(string(rune('p'+terminal))).Hints++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	mine := load(t, &Store{dir: dir, now: time.Now}).Labs["guestbook"]
	if mine.Checks["a"].Hints != 4*each || mine.Checks["s"].Hints != each {
		t.Errorf("%d and %d of %d and %d updates were kept", mine.Checks["a"].Hints, mine.Checks["s"].Hints, 4*each, each)
	}
}

func TestDamagedFileIsRepaired(t *testing.T) {
	s := testStore(t)
	mustUpdate(t, s, func(p *Progress) { p.Begin(guestbook(), clock(1)) })
	mustUpdate(t, s, func(p *Progress) { p.Current = "guestbook" })
	const torn = `{"version": 1, "labs": {"guestb`
	if err := os.WriteFile(s.path(), []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	p := load(t, s)
	aside := s.path() + ".damaged-20260301T120000Z"
	if !strings.Contains(p.Note, "damaged") || !strings.Contains(p.Note, aside) || !strings.Contains(p.Note, "before the last change") || p.Labs["guestbook"] == nil {
		t.Errorf("note %q, labs %v", p.Note, p.Labs)
	}
	if kept, err := os.ReadFile(aside); err != nil || string(kept) != torn {
		t.Errorf("the damaged file was not kept: %q, %v", kept, err)
	}
	if p := load(t, s); p.Note != "" || p.Labs["guestbook"] == nil {
		t.Errorf("the repair was not kept: %+v", p)
	}
}

func TestDamagedFileWithoutAnEarlierOne(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "no version": "{}", "a list": "[]", "torn": `{"version":1,`, "other types": `{"version":1,"labs":[]}`} {
		s := testStore(t)
		if err := os.WriteFile(s.path(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := load(t, s)
		if !strings.Contains(p.Note, "begins anew") || len(p.Labs) != 0 || p.Version != Version {
			t.Errorf("%s: %+v", name, p)
		}
		mustUpdate(t, s, func(p *Progress) { p.Current = "guestbook" })
		if p := load(t, s); p.Current != "guestbook" || p.Note != "" {
			t.Errorf("%s: afterwards %+v", name, p)
		}
	}
}

func TestLaterVersionIsRefused(t *testing.T) {
	s := testStore(t)
	const later = `{"version": 2, "labs": [{"guestbook": "in another form"}]}`
	if err := os.WriteFile(s.path(), []byte(later), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errLoad := s.Load(t.Context())
	_, errUpdate := s.Update(t.Context(), func(*Progress) error { return nil })
	for _, err := range []error{errLoad, errUpdate} {
		if fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "later labctl") || fault.RemedyOf(err) == "" {
			t.Errorf("%v, remedy %q", err, fault.RemedyOf(err))
		}
	}
	entries, _ := filepath.Glob(filepath.Join(s.dir, "progress.json*"))
	if data, err := os.ReadFile(s.path()); err != nil || string(data) != later || len(entries) != 1 {
		t.Errorf("the file was touched: %s, %v, %v", data, err, entries)
	}
}

func TestHandEditedFile(t *testing.T) {
	s := testStore(t)
	if err := os.WriteFile(s.path(), []byte(`{"version":1,"labs":{"guestbook":{"checks":{"a":null}},"x":null}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := load(t, s)
	if p.Labs["x"] != nil || p.Labs["guestbook"].ID != "guestbook" || p.Labs["guestbook"].Check("a") == nil {
		t.Errorf("%+v", p)
	}
}

func TestUpdateWaitsNoLongerThanAsked(t *testing.T) {
	s := testStore(t)
	unlock, err := s.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Update(ctx, func(*Progress) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestReports(t *testing.T) {
	s := testStore(t)
	if _, ok, err := s.LoadReport("guestbook"); ok || err != nil {
		t.Errorf("without a file: %v, %v", ok, err)
	}
	want := report("a", "failed")
	want.Checks[0].Evidence = []result.Evidence{{From: "pod/x", To: "db:5432", Got: "REFUSED", Class: "REFUSED"}}
	if err := s.SaveReport("guestbook", want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := s.LoadReport("guestbook")
	if diff := cmp.Diff(want, got); !ok || err != nil || diff != "" {
		t.Errorf("%v, %v:\n%s", ok, err, diff)
	}
	path, _ := s.reportPath("guestbook")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.LoadReport("guestbook"); ok || err != nil {
		t.Errorf("a damaged report: %v, %v", ok, err)
	}
	for _, id := range []string{"", "..", "../progress", "a/b"} {
		if err := s.SaveReport(id, want); err == nil {
			t.Errorf("a report was kept for %q", id)
		}
	}
	for range 2 {
		if err := s.ForgetReport("guestbook"); err != nil {
			t.Error(err)
		}
	}
}
