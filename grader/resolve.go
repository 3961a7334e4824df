package grader

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader/probe"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// clusterDomain is what names of a cluster of kind end in.
const clusterDomain = "cluster.local"

// sureLookups is how many equal answers a name must give in a row to count.
const sureLookups = 3

// fqdn is the whole name of a Service.
func fqdn(service, namespace string) string {
	return service + "." + namespace + ".svc." + clusterDomain
}

// resolve asks the cluster's DNS, from a pod of the tier, what a Service's name stands for.
func resolve(ctx context.Context, s *Session, c lab.Check) (Verdict, error) {
	r := c.Resolve
	var pods []corev1.Pod
	if r.To == "pods" {
		ready, trouble, err := s.ready(ctx, r.Tier)
		if trouble != nil || err != nil {
			return valueOr(trouble, Verdict{}), err
		}
		pods = ready
	}
	from, trouble, err := s.from(ctx, r.From)
	if trouble != nil || err != nil {
		return valueOr(trouble, Verdict{}), err
	}
	return s.settle(ctx, s.Timeouts.Settle, func(ctx context.Context, s *Session) (Verdict, error) {
		n, trouble := s.meaning(s.Watcher.State(), r, pods)
		if trouble != nil {
			return *trouble, nil
		}
		return s.lookUp(ctx, from, r.Service, n)
	})
}

// meaning is what a name has to stand for.
type meaning struct {
	addresses []string // sorted
	what      string   // for messages: "the ClusterIP of service/db"
	seen      []result.Evidence
	hint      string // where DNS gives something else
}

// meaning reads from the cluster what the name should stand for, or says why it cannot.
func (s *Session) meaning(st *kube.State, r *lab.Resolve, pods []corev1.Pod) (*meaning, *Verdict) {
	svc := find(st, r.Service)
	if svc == nil {
		v := noService(st, r.Service)
		return nil, &v
	}
	switch r.To {
	case "pods":
		return s.meansPods(st, svc, r, pods)
	case "alias":
		return s.meansAlias(st, svc, r)
	}
	return meansService(svc)
}

// meansService wants a virtual address behind the name.
func meansService(svc *corev1.Service) (*meaning, *Verdict) {
	name := "service/" + svc.Name
	if !hasClusterIP(svc) {
		v := refuted(fmt.Sprintf("Service %s has no ClusterIP, so its name cannot stand for one", svc.Name),
			observed(name+" spec.clusterIP", "an address", orElse(svc.Spec.ClusterIP, "none (type "+string(svc.Spec.Type)+")")))
		v.Hint = "leave out clusterIP: None and externalName, and the Service gets an address of its own"
		return nil, &v
	}
	return &meaning{addresses: clusterIPs(svc), what: "the ClusterIP of " + name}, nil
}

// meansPods wants a headless Service whose name gives every ready pod.
func (s *Session) meansPods(st *kube.State, svc *corev1.Service, r *lab.Resolve, pods []corev1.Pod) (*meaning, *Verdict) {
	name := "service/" + svc.Name
	seen := observed(name+" spec.clusterIP", corev1.ClusterIPNone, orElse(svc.Spec.ClusterIP, "none (type "+string(svc.Spec.Type)+")"))
	if !seen.OK {
		v := refuted(fmt.Sprintf("Service %s is not headless: its name stands for %s and not for the pods", svc.Name, seen.Got), seen)
		v.Hint = "clusterIP: None makes a Service headless; the field cannot be changed afterwards, so delete the Service first: kubectl delete service " + svc.Name
		return nil, &v
	}
	m := &meaning{what: "the addresses of " + plural(len(pods), "ready pod") + " of " + r.Tier, seen: []result.Evidence{seen}}
	for _, p := range pods {
		m.addresses = append(m.addresses, p.Status.PodIP)
	}
	slices.Sort(m.addresses)
	ready, _ := addresses(st, svc.Name)
	if len(ready) == 0 {
		_, m.hint = s.endpoints(svc, pods)
	} else {
		m.hint = "a headless Service gives the pods that its selector matches: compare it with the labels of the pods of " + r.Tier
	}
	return m, nil
}

// meansAlias wants an ExternalName that names the other Service of this namespace.
func (s *Session) meansAlias(st *kube.State, svc *corev1.Service, r *lab.Resolve) (*meaning, *Verdict) {
	name := "service/" + svc.Name
	kind := observed(name+" spec.type", string(corev1.ServiceTypeExternalName), string(svc.Spec.Type))
	if !kind.OK {
		v := refuted(fmt.Sprintf("Service %s is of type %s, so its name is no alias", svc.Name, svc.Spec.Type), kind)
		v.Hint = "an alias is a Service with type: ExternalName and externalName, and without selector and ports"
		return nil, &v
	}
	want := fqdn(r.Target, s.Namespace)
	alias := observed(name+" spec.externalName", want, strings.TrimSuffix(svc.Spec.ExternalName, "."))
	target := find(st, r.Target)
	switch {
	case !alias.OK:
		v := refuted(fmt.Sprintf("Service %s is an alias of %s", svc.Name, bounded(svc.Spec.ExternalName)), kind, alias)
		v.Hint = fmt.Sprintf("externalName is a whole name: SERVICE.NAMESPACE.svc.%s; which Service is meant, and in which namespace?", clusterDomain)
		return nil, &v
	case target == nil:
		v := noService(st, r.Target)
		return nil, &v
	case !hasClusterIP(target):
		v := refuted(fmt.Sprintf("Service %s, which %s is an alias of, has no ClusterIP", r.Target, svc.Name),
			kind, alias, observed("service/"+r.Target+" spec.clusterIP", "an address", orElse(target.Spec.ClusterIP, "none")))
		return nil, &v
	}
	return &meaning{
		addresses: clusterIPs(target), what: "the ClusterIP of service/" + r.Target, seen: []result.Evidence{kind, alias},
	}, nil
}

// lookUp asks for the name several times and compares what comes back.
func (s *Session) lookUp(ctx context.Context, from probe.Vantage, name string, m *meaning) (Verdict, error) {
	judge := func(at probe.Attempt) judged {
		switch {
		case at.Class != "":
			return judged{why: fmt.Sprintf("%s: %s", at.Class, bounded(at.Error))}
		case !slices.Equal(at.Records, m.addresses):
			return judged{why: list(at.Records)}
		}
		return judged{}
	}
	answers, err := s.round(ctx, from, []question{{
		probe: probe.Probe{Kind: probe.Lookup, Target: name, Attempts: sureLookups, Serial: true}, to: "DNS " + name, judge: judge,
	}})
	if err != nil {
		return Verdict{}, err
	}
	a := answers[0]
	e := result.Evidence{From: a.from, To: a.to, Want: list(m.addresses), Got: list(m.addresses), Count: len(a.attempts), OK: true}
	evidence := append(slices.Clone(m.seen), e)
	last := &evidence[len(evidence)-1]
	for i, j := range a.judged {
		last.Seconds = a.attempts[i].Duration.Seconds()
		if j.why == "" {
			continue
		}
		last.OK, last.Got, last.Class = false, j.why, string(a.attempts[i].Class)
		if last.Class != "" {
			return withClass(failed(fmt.Sprintf("the name %s does not resolve: %s", name, j.why)).with(evidence), a.attempts[i].Class).orHint(m.hint), nil
		}
		return failed(fmt.Sprintf("the name %s stands for %s, not for %s (%s)", name, j.why, m.what, list(m.addresses))).with(evidence).orHint(m.hint), nil
	}
	return passed(fmt.Sprintf("the name %s stands for %s (%s)", name, m.what, list(m.addresses)), evidence), nil
}

func hasClusterIP(svc *corev1.Service) bool {
	return svc.Spec.ClusterIP != "" && svc.Spec.ClusterIP != corev1.ClusterIPNone
}

// clusterIPs are a Service's virtual addresses, of one or both families, sorted.
func clusterIPs(svc *corev1.Service) []string {
	all := slices.Clone(svc.Spec.ClusterIPs)
	if len(all) == 0 {
		all = []string{svc.Spec.ClusterIP}
	}
	slices.Sort(all)
	return all
}
