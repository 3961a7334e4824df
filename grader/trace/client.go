package trace

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
)

// maxClients is how many pods are tried to ask from, where one after the other goes away.
const maxClients = 3

// clients returns the pods to ask from, the best first: one that is no endpoint of the
// Service, of the tier that calls this one, and ready.
func (t *Tracer) clients(svc *corev1.Service) []corev1.Pod {
	asked := t.tierBehind(svc)
	rank := func(p corev1.Pod) int {
		n := 0
		if grader.Selects(svc, p) {
			n += 8
		}
		switch i := t.tierOf(p); {
		case i < 0:
			n += 4
		case asked >= 0 && i != asked-1: // tiers are listed from the outermost in
			n += 2
		}
		if !ready(p) {
			n++
		}
		return n
	}
	var pods []corev1.Pod
	for _, p := range t.State.Pods {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil && !p.Spec.HostNetwork {
			pods = append(pods, p)
		}
	}
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return rank(a) - rank(b) })
	return pods[:min(len(pods), maxClients)]
}

// tierOf returns the index of the tier that the pod belongs to, or -1.
func (t *Tracer) tierOf(p corev1.Pod) int {
	return slices.IndexFunc(t.Tiers, func(tier lab.Tier) bool { return containerOf(p, tier.Image) != nil })
}

// tierBehind returns the index of the tier that the Service leads to, or means to by its
// name, or -1.
func (t *Tracer) tierBehind(svc *corev1.Service) int {
	for _, p := range t.State.Pods {
		if i := t.tierOf(p); i >= 0 && grader.Selects(svc, p) {
			return i
		}
	}
	return slices.IndexFunc(t.Tiers, func(tier lab.Tier) bool { return tier.Name == svc.Name })
}

// clientHop is where a request from inside starts.
func (t *Tracer) clientHop(clients []corev1.Pod) Hop {
	if len(clients) == 0 {
		return Hop{Kind: KindClient, Name: "a pod"}
	}
	c := clients[0]
	return Hop{Kind: KindClient, Name: "pod/" + c.Name, Address: c.Status.PodIP, Node: c.Spec.NodeName}
}

// configured finds applications whose environment names the Service with a port that it
// does not have: to them the Service is dead, however well it works.
func (t *Tracer) configured(ctx context.Context, svc *corev1.Service) ([]Path, error) {
	var paths []Path
	if svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil, nil // no port is mapped there
	}
	seen := map[string]bool{}
	for _, p := range t.State.Pods {
		workload := p.Name
		if len(p.OwnerReferences) > 0 {
			workload = string(p.OwnerReferences[0].UID) // its pods are configured alike
		}
		if p.DeletionTimestamp != nil || seen[workload] {
			continue
		}
		seen[workload] = true
		for _, c := range p.Spec.Containers {
			env, err := t.Cluster.Env(ctx, t.Namespace, &p, c.Name)
			if err != nil && fault.KindOf(err) != fault.Input { // what could be resolved is there
				return nil, fmt.Errorf("read the environment of pod/%s: %w", p.Name, err)
			}
			for name, value := range env {
				port, ok := t.mentions(value, svc.Name)
				key := fmt.Sprint(c.Image, name, port)
				if !ok || seen[key] || portNumbered(svc, port) != nil {
					continue
				}
				seen[key] = true
				paths = append(paths, mismatch(svc, p, name, port))
			}
		}
	}
	slices.SortFunc(paths, func(a, b Path) int { return strings.Compare(a.Break.Why, b.Break.Why) })
	return paths, nil
}

func mismatch(svc *corev1.Service, p corev1.Pod, variable string, port int) Path {
	return Path{
		Via: ViaConfigured, Port: int32(port),
		Hops: []Hop{
			{Kind: KindClient, Name: "pod/" + p.Name, Address: p.Status.PodIP, Node: p.Spec.NodeName},
			{Kind: KindService, Name: "service/" + svc.Name, Address: join(svc.Spec.ClusterIP, int32(port))},
		},
		Break: &Break{
			Hop:   1,
			Why:   fmt.Sprintf("%s of pod/%s calls %s at port %d, and the Service has no such port", variable, p.Name, svc.Name, port),
			Facts: []string{"its ports: " + portsOf(svc)},
			Hint:  fmt.Sprintf("set spec.ports[].port of the Service to %d, or the port in %s to one that the Service has", port, variable),
		},
	}
}

// mentions returns the port at which a URL in an environment calls the Service.
func (t *Tracer) mentions(value, service string) (port int, ok bool) {
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil || u.Host == "" {
		return 0, false
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	in := service + "." + t.Namespace
	if host != service && host != in && host != in+".svc" && host != in+".svc.cluster.local" {
		return 0, false
	}
	if u.Port() != "" {
		port, err = strconv.Atoi(u.Port())
		return port, err == nil
	}
	port = map[string]int{"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432}[u.Scheme]
	return port, port != 0
}

func containerOf(p corev1.Pod, image string) *corev1.Container {
	for i := range p.Spec.Containers {
		if grader.SameImage(p.Spec.Containers[i].Image, image) {
			return &p.Spec.Containers[i]
		}
	}
	return nil
}

func ready(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func join(host string, port int32) string {
	if host == "" || port == 0 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// pairs writes labels as a selector is written.
func pairs(m map[string]string) string {
	var all []string
	for k, v := range m {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func portsOf(svc *corev1.Service) string {
	var all []string
	for _, p := range svc.Spec.Ports {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%d %s", p.Port, p.Name)))
	}
	return list(all)
}

func list(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return strings.Join(items, ", ")
}
