package grader

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// entrance is one way from outside that could lead into a tier's pods.
type entrance struct {
	host string
	port int
	why  string // "node port of service/backdoor on node worker"
}

// internal shows that the tiers' pods answer inside, and that no way from outside leads to
// them. Each way is really tried; a declaration alone proves nothing.
func internal(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	var all []corev1.Pod
	var evidence []result.Evidence
	for _, tier := range c.Internal.Tiers {
		pods, trouble, err := s.ready(ctx, tier)
		if trouble != nil || err != nil {
			return valueOr(trouble, Verdict{}), err
		}
		v, err := s.alive(ctx, tier, pods)
		if err != nil || v.Status != result.Passed {
			return v, err
		}
		evidence = append(evidence, v.Evidence...)
		all = append(all, pods...)
	}
	v, err := s.locked(ctx, all)
	return v.with(evidence), err
}

// alive is the positive control: what does not answer inside proves nothing by being
// silent outside.
func (s *Session) alive(ctx context.Context, tier string, pods []corev1.Pod) (Verdict, error) {
	ask, err := s.asker(ctx, tier, pods)
	if err != nil {
		return Verdict{}, err
	}
	from := s.Places.Pod(pods[0].Name)
	return s.settle(ctx, s.Timeouts.Settle, func(ctx context.Context, s *Session) (Verdict, error) {
		answers, err := s.round(ctx, from, ask.each(pods))
		if err != nil {
			return Verdict{}, err
		}
		var evidence []result.Evidence
		for _, a := range answers {
			a.want = "an answer inside the cluster"
			evidence = append(evidence, a.evidence()...)
			if why, class, _ := a.failure(); why != "" {
				return withClass(failed(fmt.Sprintf("%s does not even answer inside the cluster at %s: %s", tier, a.to, why)).with(evidence), class), nil
			}
		}
		return passed("", evidence), nil
	})
}

// locked tries every entrance to the pods. Silence is asked for twice, so that a way that
// opens late is not missed.
func (s *Session) locked(ctx context.Context, pods []corev1.Pod) (Verdict, error) {
	var evidence []result.Evidence
	for range 2 {
		ways, declared := entrances(s.Watcher.State(), pods)
		if declared != nil {
			return *declared, nil
		}
		v, err := s.knock(ctx, ways)
		if err != nil || v.Status != result.Passed {
			return v, err
		}
		evidence = v.Evidence
		if err := pause(ctx, s.Timeouts.Pause); err != nil {
			return Verdict{}, err
		}
	}
	return passed(fmt.Sprintf("no answer at %s tried from outside", plural(len(evidence), "way")), evidence), nil
}

// knock tries all entrances at the same time; an answer at any refutes.
func (s *Session) knock(ctx context.Context, ways []entrance) (Verdict, error) {
	var questions []question
	for _, w := range ways {
		address := net.JoinHostPort(w.host, strconv.Itoa(w.port))
		questions = append(questions, question{probe: probe.Probe{Kind: probe.TCP, Target: address}, to: address, judge: connected})
	}
	answers, err := s.round(ctx, s.Places.Outside, questions)
	if err != nil {
		return Verdict{}, err
	}
	var evidence []result.Evidence
	var open []string
	for i, a := range answers {
		e := result.Evidence{From: a.from, To: a.to, Want: "no answer", Got: a.judged[0].why, Class: string(a.attempts[0].Class), OK: a.judged[0].why != ""}
		if !e.OK {
			e.Got = "connected: " + ways[i].why
			open = append(open, fmt.Sprintf("%s (%s)", a.to, ways[i].why))
		}
		evidence = append(evidence, e)
	}
	if len(open) > 0 {
		v := refuted(fmt.Sprintf("reachable from outside at %s", list(open))).with(evidence)
		v.Hint = "what only the application needs stays behind a ClusterIP: look for Services of type NodePort or LoadBalancer, externalIPs and hostPorts"
		return v, nil
	}
	return passed("", evidence), nil
}

// entrances lists every way from outside that could lead to the pods: node ports and load
// balancer addresses of any Service that leads to them, ports of the hosts, and the pods'
// own ports on each node. External IPs are a verdict by themselves: they may belong to
// anybody, so they are never dialled.
func entrances(st *kube.State, pods []corev1.Pod) ([]entrance, *Verdict) {
	names, ips := Nodes(st)
	var ways []entrance
	everyNode := func(port int, why string) {
		for i, ip := range ips {
			ways = append(ways, entrance{host: ip, port: port, why: why + " on node " + names[i]})
		}
	}
	for i := range st.Services {
		svc := &st.Services[i]
		if !leadsTo(st, svc.Name, pods) {
			continue
		}
		if len(svc.Spec.ExternalIPs) > 0 {
			v := refuted(fmt.Sprintf("Service %s opens the external addresses %s", svc.Name, list(svc.Spec.ExternalIPs)),
				observed("service/"+svc.Name+" spec.externalIPs", "none", list(svc.Spec.ExternalIPs)))
			return nil, &v
		}
		for _, p := range svc.Spec.Ports {
			if p.NodePort != 0 {
				everyNode(int(p.NodePort), "node port of service/"+svc.Name)
			}
			if address := Ingress(svc); address != "" {
				ways = append(ways, entrance{host: address, port: int(p.Port), why: "load balancer of service/" + svc.Name})
			}
		}
	}
	for port, why := range hostPorts(pods) {
		everyNode(port, why)
	}
	return ways, nil
}

// hostPorts are the ports at which a node itself would lead to the pods: declared ones,
// and the containers' own, which no node should answer.
func hostPorts(pods []corev1.Pod) map[int]string {
	ports := map[int]string{}
	for _, p := range pods {
		for _, c := range p.Spec.Containers {
			for _, cp := range c.Ports {
				if cp.HostPort != 0 {
					ports[int(cp.HostPort)] = "host port of pod/" + p.Name
				} else if _, ok := ports[int(cp.ContainerPort)]; !ok {
					ports[int(cp.ContainerPort)] = "the port of pod/" + p.Name
				}
			}
		}
	}
	return ports
}

// leadsTo tells whether a Service has one of the pods among its endpoints, ready or not.
func leadsTo(st *kube.State, service string, pods []corev1.Pod) bool {
	for _, sl := range st.Slices {
		if sl.Labels[discoveryv1.LabelServiceName] != service {
			continue
		}
		for _, e := range sl.Endpoints {
			for _, p := range pods {
				if slices.Contains(e.Addresses, p.Status.PodIP) {
					return true
				}
			}
		}
	}
	return false
}
