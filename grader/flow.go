package grader

import (
	"context"
	"fmt"
	"sync"
	"time"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

const (
	// flowProbes requests are under way at the same time, each followed by the next one after
	// flowInterval: about a hundred a second, of which one that hangs holds up only its own.
	flowProbes   = 4
	flowInterval = 36 * time.Millisecond
	// flowChunk is how long one run of the probes takes; two overlap, so that requests never
	// cease between them.
	flowChunk = 1500 * time.Millisecond
	flowLanes = 2
	// flowShare is the share of requests, in percent, that must be answered, as Kubernetes'
	// own test of a rolling update wants it.
	flowShare = 95
	// controlPort is where kube-proxy says on every node that it is well, whatever becomes of
	// any pod; controlShare is what, in percent, must come back from there at the least. When
	// less does, the machine is too busy for a verdict on pods.
	controlPort     = 10256
	controlShare    = 98
	controlInterval = 3 * flowLanes * flowInterval
)

// flow is what clients saw while requests kept coming.
type flow struct {
	to       string
	sent, ok int
	// missed are requests that failed, and those that a failed one kept from being sent: it
	// would be too kind to count one that hung for half a second as a single loss.
	missed int
	class  map[probe.Class]int
	// control is what came back meanwhile from where no pod of the lab is involved.
	control *flow
}

func (f flow) enough() bool { return f.ok > 0 && f.reaches(flowShare) }

func (f flow) reaches(share int) bool { return f.ok*100 >= (f.ok+f.missed)*share }

func (f flow) share() string {
	return fmt.Sprintf("%.1f %%", float64(f.ok)*100/float64(max(1, f.ok+f.missed)))
}

func (f flow) evidence(from string) result.Evidence {
	e := result.Evidence{
		From: from, To: f.to, Want: fmt.Sprintf("at least %d %% answered", flowShare),
		Got: fmt.Sprintf("%d of %d requests answered", f.ok, f.sent), OK: f.enough(), Count: f.sent,
	}
	if f.missed > f.sent-f.ok {
		e.Got += fmt.Sprintf("; %d more could not be sent meanwhile", f.missed-(f.sent-f.ok))
	}
	most := 0
	for _, class := range sortedClasses(f.class) {
		e.Got += fmt.Sprintf("; %s %d", class, f.class[class])
		if f.class[class] > most {
			most, e.Class = f.class[class], string(class)
		}
	}
	return e
}

func sortedClasses(m map[probe.Class]int) []probe.Class {
	names := map[string]int{}
	for c, n := range m {
		names[string(c)] = n
	}
	var all []probe.Class
	for _, name := range sortedKeys(names) {
		all = append(all, probe.Class(name))
	}
	return all
}

// flowing is a stream of requests that goes on until it is ended.
type flowing struct {
	stop  chan struct{}
	lanes sync.WaitGroup
	mu    sync.Mutex
	sum   flow
	err   error
}

// flow begins to send requests by the first way and does not stop until end.
func (s *Session) flow(ctx context.Context, r *lab.Reach, to *route) *flowing {
	f := &flowing{stop: make(chan struct{}), sum: newFlow()}
	control := newFlow()
	f.sum.control = &control
	w := to.ways[0]
	ask := &asker{tier: lab.Tier{Name: r.Tier}, nonce: s.Nonce}
	f.sum.to = ask.label(w.host, w.port)
	p := ask.probe("", w.host, w.port)
	p.Serial, p.Timeout, p.Interval = true, s.Timeouts.Attempt/2, flowLanes*flowInterval
	p.Attempts = int(flowChunk / p.Interval)
	var questions []question
	for range flowProbes {
		questions = append(questions, question{probe: p, to: f.sum.to, judge: s.someone})
	}
	questions = append(questions, s.controls(p.Timeout)...)
	for lane := range flowLanes {
		f.lanes.Go(func() {
			// The lanes begin half a chunk apart, and so never pause at the same time.
			if pause(ctx, time.Duration(lane)*flowChunk/flowLanes) == nil {
				f.run(ctx, s, to.from, questions)
			}
		})
	}
	return f
}

func newFlow() flow { return flow{class: map[probe.Class]int{}} }

// controls ask every node how it is, as often as a chunk allows.
func (s *Session) controls(timeout time.Duration) []question {
	var questions []question
	_, ips := nodes(s.Watcher.State())
	for _, ip := range ips {
		to := fmt.Sprintf("http://%s:%d/healthz", ip, controlPort)
		questions = append(questions, question{
			probe: probe.Probe{
				Kind: probe.HTTP, Target: to, Timeout: timeout, Serial: true,
				Attempts: int(flowChunk / controlInterval), Interval: controlInterval,
			},
			to: to, judge: inTime,
		})
	}
	return questions
}

// inTime accepts whatever comes back at all, a refusal as well: a cluster need not have a
// kube-proxy.
func inTime(at probe.Attempt) judged {
	if at.Class == probe.Timeout {
		return judged{why: string(at.Class)}
	}
	return judged{}
}

// someone accepts an answer that names a pod and repeats this run's value; which pods there
// are changes while they are asked.
func (s *Session) someone(at probe.Attempt) judged {
	if !at.OK() || at.Who == nil || at.Who.Nonce != s.Nonce {
		return judged{why: orElse(string(at.Class), "no identity")}
	}
	return judged{pod: at.Who.Pod}
}

// run sends chunk after chunk until the flow is stopped.
func (f *flowing) run(ctx context.Context, s *Session, from probe.Vantage, questions []question) {
	for {
		answers, err := s.round(ctx, from, questions)
		f.mu.Lock()
		if err != nil {
			f.err = err
		}
		for i, a := range answers {
			if i < flowProbes {
				f.sum.add(a, questions[i].probe.Interval)
			} else {
				f.sum.control.add(a, questions[i].probe.Interval)
			}
		}
		f.mu.Unlock()
		select {
		case <-f.stop:
			return
		default:
		}
		if err != nil || ctx.Err() != nil {
			return
		}
	}
}

func (f *flow) add(a asked, interval time.Duration) {
	for i, at := range a.attempts {
		f.sent++
		if a.judged[i].why == "" {
			f.ok++
			continue
		}
		f.missed += 1 + int(at.Duration/interval)
		f.class[probe.Class(orElse(string(at.Class), string(probe.Other)))]++
	}
}

// end lets the chunks that are under way end, and returns what was seen.
func (f *flowing) end() (flow, error) {
	close(f.stop)
	f.lanes.Wait()
	return f.sum, f.err
}
