package grader

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// Silence is doubted for longer, and gets more time, where the machine has too much to do.
func TestSettleDoubtsSilenceOnABusyMachine(t *testing.T) {
	silent := probe.Attempt{Class: probe.Timeout}
	inVain := probe.Attempt{Status: 503, Body: `{"class":"TIMEOUT"}`}
	refused := probe.Attempt{Class: probe.Refused}
	turnedAway := probe.Attempt{Status: 503, Body: `{"class":"REFUSED"}`}
	const second = time.Second
	tests := map[string]struct {
		at     probe.Attempt
		lag    time.Duration
		busy   float64
		after  time.Duration // when it answers at last
		passes bool
		until  time.Duration // at the earliest
	}{
		"silence on a calm machine":           {silent, 5 * time.Millisecond, 0, 20 * second, false, 8 * second},
		"silence on a busy machine":           {silent, 300 * time.Millisecond, 0, 20 * second, true, 20 * second},
		"an application's silence there":      {inVain, 300 * time.Millisecond, 0, 20 * second, true, 20 * second},
		"a refusal on a calm machine":         {refused, 5 * time.Millisecond, 0, 20 * second, false, 8 * second},
		"a refusal there":                     {refused, 300 * time.Millisecond, 0, 20 * second, true, 20 * second},
		"an application that is refused":      {turnedAway, 5 * time.Millisecond, 90, 20 * second, true, 20 * second},
		"a refusal that outlasts even that":   {refused, 300 * time.Millisecond, 0, 500 * second, false, 23 * second},
		"silence that outlasts even that":     {silent, 300 * time.Millisecond, 0, 500 * second, false, 68 * second},
		"silence where processors are wanted": {silent, 5 * time.Millisecond, 90, 20 * second, true, 20 * second},
		"what settles in time, whatever else": {silent, 5 * time.Millisecond, 0, 2 * second, true, 2 * second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Session{Timeouts: DefaultTimeouts()}
				began, longest := time.Now(), time.Duration(0)
				v, err := s.settle(t.Context(), s.Timeouts.Settle, func(_ context.Context, s *Session) (Verdict, error) {
					longest = max(longest, s.Timeouts.Attempt)
					if time.Since(began) > tt.after {
						return passed("", nil), nil
					}
					s.strain.note(probe.Results{Results: []probe.Result{{Attempts: []probe.Attempt{tt.at}}}, Lag: tt.lag, Pressure: tt.busy})
					return failed("nothing"), nil
				})
				took := time.Since(began)
				if err != nil || (v.Status == result.Passed) != tt.passes || took < tt.until || took > tt.until+second {
					t.Errorf("%s, %v after %s", v.Status, err, took)
				}
				if more := took > 10*second; more != (longest > s.Timeouts.Attempt) {
					t.Errorf("an attempt got up to %s", longest)
				}
			})
		})
	}
}

// Somebody who waits at a screen is told after a quarter of that time, busy or not.
func TestSettleDoubtsLessAtAScreen(t *testing.T) {
	const second = time.Second
	for name, tt := range map[string]struct {
		busy   float64
		until  time.Duration
		passes bool
		after  time.Duration
	}{
		"a calm machine":           {5, 8 * second, false, 12 * second},
		"a busy one":               {95, 12 * second, true, 12 * second},
		"a busy one, but too late": {95, 23 * second, false, 500 * second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Session{Timeouts: DefaultTimeouts(), Patience: 10 * second}
				began := time.Now()
				v, err := s.settle(t.Context(), s.Timeouts.Settle, func(_ context.Context, s *Session) (Verdict, error) {
					if time.Since(began) > tt.after {
						return passed("", nil), nil
					}
					s.strain.note(probe.Results{Results: []probe.Result{{Attempts: []probe.Attempt{{Class: probe.Timeout}}}}, Pressure: tt.busy})
					return failed("nothing"), nil
				})
				if took := time.Since(began); err != nil || (v.Status == result.Passed) != tt.passes || took < tt.until || took > tt.until+second {
					t.Errorf("%s, %v after %s", v.Status, err, took)
				}
			})
		})
	}
}

// What rests on something that did not come is told from what was seen to be wrong.
func TestSettleTellsWhatIsUntimely(t *testing.T) {
	const second = time.Second
	silent := probe.Attempt{Class: probe.Timeout}
	incomplete := Verdict{Status: result.Failed, incomplete: true}
	for name, tt := range map[string]struct {
		at       probe.Attempt
		verdict  Verdict
		busy     float64
		untimely bool
		until    time.Duration
	}{
		"silence":                      {silent, failed("nothing"), 99, true, 68 * second},
		"silence on a calm machine":    {silent, failed("nothing"), 0, true, 8 * second},
		"a refusal":                    {probe.Attempt{Class: probe.Refused}, failed("nothing"), 99, true, 23 * second},
		"some of the pods":             {probe.Attempt{Status: 200}, incomplete, 99, true, 23 * second},
		"some of the pods, at leisure": {probe.Attempt{Status: 200}, incomplete, 5, true, 8 * second},
		"a wrong answer":               {probe.Attempt{Status: 200}, failed("somebody else"), 99, false, 8 * second},
		"a wrong answer that stays":    {silent, refuted("somebody else"), 99, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Session{Timeouts: DefaultTimeouts()}
				began := time.Now()
				v, err := s.settle(t.Context(), s.Timeouts.Settle, func(_ context.Context, s *Session) (Verdict, error) {
					s.strain.note(probe.Results{Results: []probe.Result{{Attempts: []probe.Attempt{tt.at}}}, Pressure: tt.busy})
					return tt.verdict, nil
				})
				if took := time.Since(began); err != nil || took < tt.until || took > tt.until+second || v.untimely != tt.untimely {
					t.Errorf("%s, untimely %t, %v after %s", v.Status, v.untimely, err, took)
				}
			})
		})
	}
}

// Where the processors are wanted nearly all the time, what did not come costs no marks.
func TestNothingIsMissedOnAnOverloadedMachine(t *testing.T) {
	late := failed("nothing came")
	late.untimely = true
	for name, tt := range map[string]struct {
		verdict  Verdict
		slow     bool
		patience time.Duration
		unknown  bool
		ours     error
	}{
		"late, overloaded":             {verdict: late, slow: true, ours: errOverloaded},
		"late, calm":                   {verdict: late},
		"late, overloaded, at screen":  {verdict: late, slow: true, patience: time.Second},
		"late, and nobody knows":       {verdict: late, unknown: true, ours: errNoProbe},
		"wrong, overloaded":            {verdict: failed("somebody else"), slow: true},
		"wrong, and nobody is asked":   {verdict: failed("somebody else"), unknown: true},
		"passed, and nobody is asked":  {verdict: passed("fine", nil), unknown: true},
		"skipped, and nobody is asked": {verdict: skipped("db-ready"), unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if tt.slow {
				w.slowness = time.Nanosecond
			}
			if tt.unknown {
				w.probeErr = errNoProbe
			}
			s := w.session()
			s.Patience = tt.patience
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // a check may have used up its time
			v, err := s.unlessOverloaded(ctx, tt.verdict)
			if !errors.Is(err, tt.ours) || tt.ours == nil && v.Message != tt.verdict.Message {
				t.Errorf("%+v, %v", v, err)
			}
			if errors.Is(tt.ours, errOverloaded) && (fault.KindOf(err) != fault.Environment || fault.RemedyOf(err) == "" || !strings.Contains(err.Error(), tt.verdict.Message)) {
				t.Errorf("%v: kind %v, remedy %q", err, fault.KindOf(err), fault.RemedyOf(err))
			}
		})
	}
}

// Each kind of check that waits for something says so; one that saw something wrong does not.
func TestLateChecksOnAnOverloadedMachine(t *testing.T) {
	for name, tc := range map[string]struct {
		check lab.Check
		world func(*world)
		want  result.CheckStatus
	}{
		"no pod takes the lost one's place": {lossCheck(), func(w *world) { onBalancer(w); w.unreplaced = true }, result.Error},
		"silence after the loss of a pod":   {lossCheck(), func(w *world) { onBalancer(w); w.lossSilence = true }, result.Error},
		"nothing would make pods anew":      {restartCheck("db"), func(w *world) { onNodePort(w); w.unreplaced = true }, result.Failed},
		"the data is lost":                  {restartCheck("db"), func(w *world) { onNodePort(w); w.forgetful = true }, result.Failed},
		"the rollout does not end":          {rolloutCheck(), func(w *world) { deployed(w); w.unfinished = true }, result.Error},
		"nobody answers":                    {balanced(false), func(w *world) { onBalancer(w); w.deaf = map[string]bool{"172.18.0.9:80": true} }, result.Error},
		"somebody else answers":             {balanced(false), func(w *world) { onBalancer(w); w.strangers = map[string]string{"172.18.0.9:80": "evil"} }, result.Failed},
		"both on one node":                  {apartCheck(), func(*world) {}, result.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.slowness = time.Nanosecond
			tc.world(w)
			v := w.grade(t, tc.check)[tc.check.ID]
			if v.Status != tc.want || (v.Status == result.Error) != strings.Contains(v.Message, errOverloaded.Error()) {
				t.Errorf("%s: %s", v.Status, v.Message)
			}
		})
	}
}

// What one check finds out ends the others, which could give no marks any more.
func TestAnOverloadedMachineEndsTheGrading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		onBalancer(w)
		w.deploy("db")
		w.deaf, w.slowness = map[string]bool{"172.18.0.9:80": true}, time.Nanosecond
		starting := *w.State()
		starting.Pods = slices.Clone(starting.Pods)
		unready(&starting.Pods[4]) // the database
		hasty, patient := balanced(false), dbInternal()
		s := w.session(hasty, patient)
		s.Timeouts = DefaultTimeouts()
		s.Timeouts.Ready = time.Hour
		s.Watcher = &lateWorld{world: w, starting: starting, at: time.Now().Add(2 * time.Hour)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		s.Start(ctx, []string{hasty.ID, patient.ID})
		for id, said := range map[string]string{hasty.ID: "no reliable answer", patient.ID: "another check"} {
			if v := s.Await(ctx, id); v.Status != result.Error || !strings.Contains(v.Message, said) || !strings.Contains(v.Message, errOverloaded.Error()) {
				t.Errorf("%s %s: %s", id, v.Status, v.Message)
			}
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("after %s", took)
		}
	})
}

var errNoProbe = errors.New("the probe cannot be run")

// Every kind of check that waits for answers waits longer on a machine that is too busy.
func TestChecksAskLongerOnABusyMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		onBalancer(w)
		w.slowness = 35 * time.Millisecond // more than an attempt gets, less than a patient one
		sticky := stickyCheck()
		w.svc("backend").Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		w.sticky = true
		for id, v := range w.grade(t, dbInternal(), balanced(false), sticky) {
			if v.Status != result.Passed {
				t.Errorf("%s %s: %s", id, v.Status, v.Message)
			}
		}
	})
}
