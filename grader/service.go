package grader

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// service returns the Service, or the verdict that it is missing or not as demanded.
func (s *Session) service(r *lab.Reach) (*corev1.Service, *Verdict) {
	st := s.Watcher.State()
	svc := find(st, r.Service)
	name := "service/" + r.Service
	if svc == nil {
		v := noService(st, r.Service)
		return nil, &v
	}
	if r.Type != "" && string(svc.Spec.Type) != r.Type {
		v := refuted(fmt.Sprintf("Service %s is of type %s, not %s", r.Service, svc.Spec.Type, r.Type),
			observed(name+" spec.type", r.Type, string(svc.Spec.Type)))
		return nil, &v
	}
	switch port := portFor(svc, r); {
	case port == nil && r.NodePort != 0:
		v := refuted(fmt.Sprintf("Service %s has no node port %d", r.Service, r.NodePort),
			observed(name+" spec.ports[].nodePort", fmt.Sprint(r.NodePort), portList(svc, func(p corev1.ServicePort) int32 { return p.NodePort })))
		return nil, &v
	case port == nil:
		v := refuted(fmt.Sprintf("Service %s has no port %d", r.Service, r.Port),
			observed(name+" spec.ports[].port", fmt.Sprint(r.Port), portList(svc, func(p corev1.ServicePort) int32 { return p.Port })))
		v.Hint = fmt.Sprintf("clients of %s use port %d: set spec.ports[].port", r.Service, r.Port)
		return nil, &v
	}
	if svc.Spec.ClusterIP == corev1.ClusterIPNone && slices.Contains(r.Via, lab.ViaClusterIP) {
		v := refuted(fmt.Sprintf("Service %s is headless: it has no ClusterIP", r.Service),
			observed(name+" spec.clusterIP", "an address", "None"))
		return nil, &v
	}
	return svc, nil
}

// noService is the verdict that a Service is missing.
func noService(st *kube.State, name string) Verdict {
	got := "the namespace has no Service"
	if len(st.Services) > 0 {
		got = "none of that name; there are: " + serviceNames(st)
	}
	v := refuted(fmt.Sprintf("there is no Service called %s", name), observed("service/"+name, "a Service", got))
	v.Hint = fmt.Sprintf("create a Service with metadata.name: %s", name)
	return v
}

// endpoints explains where the Service leads, as evidence and as a hint where it leads nowhere.
func (s *Session) endpoints(svc *corev1.Service, pods []corev1.Pod) (result.Evidence, string) {
	st := s.Watcher.State()
	ready, notReady := addresses(st, svc.Name)
	e := result.Evidence{From: "cluster", To: "endpoints of service/" + svc.Name, Want: plural(len(pods), "ready pod"), Got: list(ready), OK: len(ready) > 0}
	switch {
	case len(ready) > 0:
		return e, ""
	case len(notReady) > 0:
		e.Got = "none ready; not ready: " + list(notReady)
		return e, fmt.Sprintf("the pods behind %s are not ready: look at their readiness probes", svc.Name)
	case len(svc.Spec.Selector) == 0:
		return e, fmt.Sprintf("Service %s has no selector, so it has no endpoints", svc.Name)
	}
	return e, fmt.Sprintf("the selector of Service %s (%s) matches no pod; the pods carry %s",
		svc.Name, labels(svc.Spec.Selector), podLabels(pods))
}

// awaitEndpoints waits briefly until the Service leads to all pods that its selector means,
// as far as they have started: dialling earlier would only show how fast controllers are.
func (s *Session) awaitEndpoints(ctx context.Context, service string) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Settle)
	defer cancel()
	_, err := s.Watcher.Await(ctx, func(st *kube.State) (bool, string) { return leadsToAll(st, service) })
	if overdue(err) {
		return nil // the probes will show it
	}
	return err
}

// leadsToAll tells whether a Service leads to all pods that it will lead to soon, or why not.
func leadsToAll(st *kube.State, service string) (bool, string) {
	ready, _ := addresses(st, service)
	if len(ready) == 0 {
		return false, "service/" + service + " has no endpoints"
	}
	svc := find(st, service)
	for _, p := range st.Pods {
		if svc == nil || p.DeletionTimestamp != nil || !Selects(svc, p) {
			continue
		}
		if isReady(p) && !slices.Contains(ready, p.Status.PodIP) || isStarting(p) {
			return false, "service/" + service + " does not lead to pod/" + p.Name + " yet"
		}
	}
	return true, ""
}

// Selects tells whether the Service's selector means the pod. One without a selector means none.
func Selects(svc *corev1.Service, p corev1.Pod) bool {
	if len(svc.Spec.Selector) == 0 {
		return false
	}
	for k, v := range svc.Spec.Selector {
		if has, ok := p.Labels[k]; !ok || has != v {
			return false
		}
	}
	return true
}

// awaitAddress waits for the load balancer's address. A Service that stays pending is
// ours, unless its own fields keep it so.
func (s *Session) awaitAddress(ctx context.Context, service string) (string, *Verdict, error) {
	name := "service/" + service
	start := time.Now()
	wait, cancel := context.WithTimeout(ctx, s.Timeouts.Address)
	defer cancel()
	var address string
	st, err := s.Watcher.Await(wait, func(st *kube.State) (bool, string) {
		svc := find(st, service)
		if svc == nil {
			return true, ""
		}
		address = Ingress(svc)
		return address != "" || OptsOut(svc) != "", name + " has no external address yet"
	})
	switch {
	case address != "":
		return address, nil, nil
	case err == nil:
		why := "the Service is gone"
		if svc := find(st, service); svc != nil {
			why = OptsOut(svc)
		}
		v := refuted("no load balancer serves Service "+service+": "+why, observed(name+" status.loadBalancer", "an address", "none"))
		return "", &v, nil
	case ctx.Err() != nil || !overdue(err):
		return "", nil, fmt.Errorf("wait for the address of %s: %w", name, err)
	}
	if err := s.Places.Balanced(ctx); err != nil {
		return "", nil, err
	}
	got := fmt.Sprintf("pending after %s", time.Since(start).Round(time.Second))
	for _, e := range Warnings(s.Watcher.State().Events, service) {
		got += "; " + e.Got
	}
	return "", nil, fmt.Errorf("the load balancer gave %s no address: %s", name, got)
}

// OptsOut says which field of a Service keeps this cluster's load balancer from serving it.
func OptsOut(svc *corev1.Service) string {
	switch {
	case svc.Spec.Type != corev1.ServiceTypeLoadBalancer:
		return fmt.Sprintf("its type is %s", svc.Spec.Type)
	case svc.Spec.LoadBalancerClass != nil:
		return fmt.Sprintf("spec.loadBalancerClass %q asks for another one", bounded(*svc.Spec.LoadBalancerClass))
	case svc.Spec.AllocateLoadBalancerNodePorts != nil && !*svc.Spec.AllocateLoadBalancerNodePorts:
		return "spec.allocateLoadBalancerNodePorts is false, and this load balancer forwards to node ports"
	}
	return ""
}

// Ingress returns a Service's external address, or "" where it has none yet.
func Ingress(svc *corev1.Service) string {
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if a := orElse(in.IP, in.Hostname); a != "" {
			return a
		}
	}
	return ""
}

func find(st *kube.State, service string) *corev1.Service {
	for i := range st.Services {
		if st.Services[i].Name == service {
			return &st.Services[i]
		}
	}
	return nil
}

// portFor returns the Service's port that is meant: by its node port where the check names
// one, whatever the Service's own port is.
func portFor(svc *corev1.Service, r *lab.Reach) *corev1.ServicePort {
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if r.NodePort != 0 && int(p.NodePort) == r.NodePort || r.NodePort == 0 && int(p.Port) == r.Port {
			return p
		}
	}
	return nil
}

// addresses returns a Service's endpoint addresses, ready and not, sorted.
func addresses(st *kube.State, service string) (ready, notReady []string) {
	for _, sl := range st.Slices {
		if sl.Labels[discoveryv1.LabelServiceName] != service {
			continue
		}
		for _, e := range sl.Endpoints {
			if valueOr(e.Conditions.Ready, true) {
				ready = append(ready, e.Addresses...)
			} else {
				notReady = append(notReady, e.Addresses...)
			}
		}
	}
	slices.Sort(ready)
	slices.Sort(notReady)
	return ready, notReady
}

// Nodes returns the cluster's node addresses in the order of the nodes' names.
func Nodes(st *kube.State) (names, ips []string) {
	sorted := slices.Clone(st.Nodes)
	slices.SortFunc(sorted, func(a, b corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	for _, n := range sorted {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP && !strings.Contains(a.Address, ":") {
				names, ips = append(names, n.Name), append(ips, a.Address)
			}
		}
	}
	return names, ips
}

func serviceNames(st *kube.State) string {
	var names []string
	for _, svc := range st.Services {
		names = append(names, svc.Name)
	}
	slices.Sort(names)
	return list(names)
}

func portList(svc *corev1.Service, which func(corev1.ServicePort) int32) string {
	var ports []string
	for _, p := range svc.Spec.Ports {
		ports = append(ports, fmt.Sprint(which(p)))
	}
	return list(ports)
}

func podLabels(pods []corev1.Pod) string {
	if len(pods) == 0 {
		return "none"
	}
	own := map[string]string{}
	for k, v := range pods[0].Labels {
		if k != "pod-template-hash" && !strings.Contains(k, "kubernetes.io/") {
			own[k] = v
		}
	}
	return labels(own)
}

func labels(m map[string]string) string {
	var pairs []string
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return list(pairs)
}

func list(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return bounded(strings.Join(items, ", "))
}
