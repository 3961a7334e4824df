package grader

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/lab"
)

// postgresql is the protocol of the database tier; any other tier speaks HTTP.
const postgresql = "postgresql"

// whoStatement makes the database say which address answered, and repeat this run's value.
const whoStatement = "SELECT host(inet_server_addr()) || ' ' || $1"

// asker makes the probes that ask a tier who it is, and judges the answers.
type asker struct {
	tier  lab.Tier
	nonce string
	pods  []corev1.Pod // that may answer
	login *url.Userinfo
	base  string // the database's name
}

// asker prepares to ask the tier, whose ready pods are given.
func (s *Session) asker(ctx context.Context, tier string, pods []corev1.Pod) (*asker, error) {
	t, _ := s.Lab.Tier(tier)
	a := &asker{tier: t, nonce: s.Nonce, pods: pods}
	if t.Protocol != postgresql || len(pods) == 0 {
		return a, nil
	}
	env, err := s.tierEnv(ctx, t, &pods[0])
	if err != nil {
		return nil, err
	}
	user := orElse(env["POSTGRES_USER"], "postgres")
	a.login = url.UserPassword(user, env["POSTGRES_PASSWORD"])
	a.base = orElse(env["POSTGRES_DB"], user)
	return a, nil
}

// tierEnv is the environment of the pod's container that runs the tier.
func (s *Session) tierEnv(ctx context.Context, t lab.Tier, pod *corev1.Pod) (map[string]string, error) {
	for _, c := range pod.Spec.Containers {
		if SameImage(c.Image, t.Image) {
			env, err := s.Cluster.Env(ctx, s.Namespace, pod, c.Name)
			if err != nil {
				return nil, fmt.Errorf("read the environment of pod/%s: %w", pod.Name, err)
			}
			return env, nil
		}
	}
	return nil, fmt.Errorf("pod/%s has no container of %s", pod.Name, t.Image)
}

// probe asks host:port who answers there.
func (a *asker) probe(id, host string, port int) probe.Probe {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	if a.tier.Protocol == postgresql {
		return probe.Probe{ID: id, Kind: probe.PostgreSQL, Target: a.database(address), Statement: whoStatement, Arguments: []string{a.nonce}}
	}
	return probe.Probe{ID: id, Kind: probe.HTTP, Target: "http://" + address + "/whoami?nonce=" + url.QueryEscape(a.nonce)}
}

// each asks every pod of the tier at its own address.
func (a *asker) each(pods []corev1.Pod) []question {
	questions := make([]question, len(pods))
	for i, p := range pods {
		questions[i] = question{probe: a.probe("", p.Status.PodIP, a.tier.Port), to: a.label(p.Status.PodIP, a.tier.Port), judge: a.judge}
	}
	return questions
}

func (a *asker) database(address string) string {
	u := url.URL{Scheme: "postgres", User: a.login, Host: address, Path: "/" + a.base, RawQuery: "sslmode=disable"}
	return u.String()
}

// label is how evidence names what was asked, without passwords and this run's value.
func (a *asker) label(host string, port int) string {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	if a.tier.Protocol == postgresql {
		return address
	}
	return "http://" + strings.TrimSuffix(address, ":80") + "/whoami"
}

// judged is one attempt, seen by the asker.
type judged struct {
	pod     string // the tier's pod that answered
	foreign bool   // somebody else answered
	why     string // why it does not count; "" where it does
}

// judge tells which of the tier's pods gave the answer, if one did.
func (a *asker) judge(at probe.Attempt) judged {
	if at.Class != "" {
		return judged{why: fmt.Sprintf("%s after %s", at.Class, millis(at.Duration))}
	}
	if a.tier.Protocol == postgresql {
		address, nonce, _ := strings.Cut(at.Body, " ")
		return a.match(nonce, func(p corev1.Pod) bool { return p.Status.PodIP == address }, "the database at "+bounded(address))
	}
	if at.Status/100 != 2 {
		return judged{foreign: true, why: refusal(at)}
	}
	if at.Who == nil {
		return judged{foreign: true, why: "an answer without an identity: " + bounded(at.Body)}
	}
	return a.matchIdentity(*at.Who)
}

func (a *asker) matchIdentity(who probe.Identity) judged {
	return a.match(who.Nonce, func(p corev1.Pod) bool {
		return p.Name == who.Pod && (who.Address == "" || who.Address == p.Status.PodIP)
	}, "pod/"+bounded(who.Pod))
}

func (a *asker) match(nonce string, is func(corev1.Pod) bool, name string) judged {
	for _, p := range a.pods {
		if is(p) {
			if nonce != a.nonce {
				return judged{foreign: true, why: name + " answered without this run's value"}
			}
			return judged{pod: p.Name}
		}
	}
	return judged{foreign: true, why: name + " answered, which is no ready pod of " + a.tier.Name}
}

// behind is who a pod's application reached behind it: the body of /readyz names the
// database, that of /api/whoami is the next tier's own.
func (a *asker) behind(at probe.Attempt) judged {
	if a.tier.Protocol != postgresql {
		return a.judge(at)
	}
	if at.Class != "" || at.Status/100 != 2 {
		return judged{why: orElse(string(at.Class), refusal(at))}
	}
	var body struct {
		Nonce    string         `json:"nonce"`
		Database probe.Identity `json:"database"`
	}
	if err := json.Unmarshal([]byte(at.Body), &body); err != nil {
		return judged{foreign: true, why: "an answer that is no identity: " + bounded(at.Body)}
	}
	address := body.Database.Address
	return a.match(body.Nonce, func(p corev1.Pod) bool { return p.Status.PodIP == address }, "the database at "+bounded(address))
}

// refusal says what an answer that is no success tells: a fixture application names what
// it tried and what class of failure came back.
func refusal(at probe.Attempt) string {
	var body struct {
		Error string `json:"error"`
		Tried string `json:"tried"`
		Class string `json:"class"`
	}
	if err := json.Unmarshal([]byte(at.Body), &body); err != nil || body.Error == "" {
		return fmt.Sprintf("HTTP %d: %s", at.Status, bounded(at.Body))
	}
	text := fmt.Sprintf("HTTP %d: %s", at.Status, bounded(body.Error))
	if body.Tried != "" {
		tried, _, _ := strings.Cut(body.Tried, "?")
		text += fmt.Sprintf(" (tried %s: %s)", bounded(tried), bounded(body.Class))
	}
	return text
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
