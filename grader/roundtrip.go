package grader

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// roundTrip writes a value that this run chose at the application's outermost address and
// reads it back inside the database's own pod.
//
// Parameters: service, port, nodePort, via (name, nodePort, loadBalancer), from (the tier to ask
// from; outside where it is absent), tier (that the Service leads to; default frontend),
// database (the tier to read from; default db).
func roundTrip(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	with := c.Run.With
	r, err := serviceOf(with)
	if err != nil {
		return Verdict{}, err
	}
	databases, trouble, err := s.ready(ctx, orElse(with["database"], "db"))
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	if _, trouble, err := s.ready(ctx, r.Tier); trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	route, trouble, err := s.route(ctx, r)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	try := 0
	return s.settle(ctx, s.patience(r), func(ctx context.Context, s *Session) (Verdict, error) {
		try++
		text := fmt.Sprintf("labctl %s %s %d", s.Nonce, c.ID, try)
		return s.writeAndRead(ctx, route, text, orElse(with["database"], "db"), databases)
	})
}

// serviceOf reads the parameters that say which Service is meant and how to reach it.
func serviceOf(with map[string]string) (*lab.Reach, error) {
	port, err := strconv.Atoi(orElse(with["port"], "80"))
	if err != nil {
		return nil, fmt.Errorf("with.port: %w", err)
	}
	nodePort, err := strconv.Atoi(orElse(with["nodePort"], "0"))
	if err != nil {
		return nil, fmt.Errorf("with.nodePort: %w", err)
	}
	return &lab.Reach{
		Service: orElse(with["service"], "frontend"), Tier: orElse(with["tier"], "frontend"),
		From: with["from"], Via: []lab.Via{lab.Via(orElse(with["via"], string(lab.ViaName)))}, Port: port, NodePort: nodePort,
	}, nil
}

// writeAndRead posts the text by every way at once, and looks for it in each database pod,
// by loopback. One way suffices: whether every node answers is another check's matter.
func (s *Session) writeAndRead(ctx context.Context, route *route, text, tier string, databases []corev1.Pod) (Verdict, error) {
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return Verdict{}, fmt.Errorf("encode the message: %w", err)
	}
	var questions []question
	for _, w := range route.ways {
		to := "http://" + net.JoinHostPort(w.host, strconv.Itoa(w.port)) + "/api/messages"
		questions = append(questions, question{
			probe: probe.Probe{Kind: probe.HTTP, Method: "POST", Target: to, Body: string(body), Timeout: 3 * s.Timeouts.Attempt},
			to:    to, judge: created,
		})
	}
	answers, err := s.round(ctx, route.from, questions)
	if err != nil {
		return Verdict{}, err
	}
	stored := slices.IndexFunc(answers, func(a asked) bool { why, _, _ := a.failure(); return why == "" })
	written := answers[max(0, stored)]
	to := written.to
	written.to, written.want = "POST "+to, "HTTP 201"
	evidence := written.evidence()
	if why, class, _ := written.failure(); why != "" {
		return withClass(failed("the message could not be written at "+to+": "+why).with(evidence), class), nil
	}
	for _, db := range databases {
		read, err := s.readBack(ctx, db, tier, text)
		if err != nil {
			return Verdict{}, err
		}
		evidence = append(evidence, read)
		if read.OK {
			return passed("a message written at "+to+" was read in the database of pod/"+db.Name, evidence), nil
		}
	}
	return failed("the message written at " + to + " is in no database of this namespace").with(evidence), nil
}

// readBack looks for the text in a database, from inside its pod.
func (s *Session) readBack(ctx context.Context, db corev1.Pod, tier, text string) (result.Evidence, error) {
	ask, err := s.asker(ctx, tier, []corev1.Pod{db})
	if err != nil {
		return result.Evidence{}, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ask.tier.Port))
	found := func(at probe.Attempt) judged {
		switch {
		case at.Class != "":
			return judged{why: fmt.Sprintf("%s: %s", at.Class, bounded(at.Error))}
		case at.Body != text:
			return judged{why: "no such message"}
		}
		return judged{pod: db.Name}
	}
	answers, err := s.round(ctx, s.Places.Pod(db.Name), []question{{
		probe: probe.Probe{
			Kind: probe.PostgreSQL, Target: ask.database(address),
			Statement: "SELECT coalesce((SELECT text FROM messages WHERE text = $1 LIMIT 1), '')", Arguments: []string{text},
			Attempts: 3, Serial: true, Interval: 100 * time.Millisecond, Until: probe.UntilOK,
		},
		to: "messages in " + address, judge: found,
	}})
	if err != nil {
		return result.Evidence{}, err
	}
	lines := answers[0].evidence()
	e := lines[len(lines)-1]
	e.Want = "the message that was written"
	return e, nil
}

// created accepts the answer of a backend that stored a message.
func created(at probe.Attempt) judged {
	switch {
	case at.Class != "":
		return judged{why: fmt.Sprintf("%s after %s", at.Class, millis(at.Duration))}
	case at.Status != 201:
		return judged{why: refusal(at)}
	}
	return judged{}
}
