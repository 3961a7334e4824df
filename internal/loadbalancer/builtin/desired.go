// Package builtin is labctl's own load balancer, for where cloud-provider-kind cannot be
// had: Kubernetes' upstream service controller, with an HAProxy container for each
// Service of type LoadBalancer.
package builtin

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

// kubeProxyHealth is kube-proxy's own health port: it answers 503 while the node is
// going away, before its connections break.
const kubeProxyHealth = 10256

// errUnsupported marks what a Service asks for and this load balancer does not do. It is
// the Service's affair and not a failure of the load balancer.
var errUnsupported = errors.New("not supported by labctl's built-in load balancer")

// ownerOf names the Service that a load balancer belongs to.
func ownerOf(cluster string, s *corev1.Service) haproxy.Owner {
	return haproxy.Owner{Cluster: cluster, Namespace: s.Namespace, Service: s.Name, UID: string(s.UID)}
}

// desired turns a Service and the nodes that may carry its traffic into a configuration.
func desired(cluster string, s *corev1.Service, nodes []*corev1.Node) (haproxy.Config, error) {
	c := haproxy.Config{
		Owner:  ownerOf(cluster, s),
		IPv4:   slices.Contains(s.Spec.IPFamilies, corev1.IPv4Protocol),
		IPv6:   slices.Contains(s.Spec.IPFamilies, corev1.IPv6Protocol),
		Nodes:  addresses(nodes),
		Check:  haproxy.Check{Port: kubeProxyHealth, Path: "/healthz"},
		Sticky: s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP,
	}
	if s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		c.Check = haproxy.Check{Port: s.Spec.HealthCheckNodePort, Path: "/healthz", Quick: true}
	}
	for _, p := range s.Spec.Ports {
		if p.Protocol != corev1.ProtocolTCP && p.Protocol != "" {
			return c, fmt.Errorf("port %d is %s, and only TCP is served: %w", p.Port, p.Protocol, errUnsupported)
		}
		if p.NodePort == 0 {
			return c, fmt.Errorf("port %d has no node port (allocateLoadBalancerNodePorts: false): %w", p.Port, errUnsupported)
		}
		c.Ports = append(c.Ports, haproxy.Port{Port: p.Port, NodePort: p.NodePort})
	}
	var err error
	c.Sources, err = prefixes(s.Spec.LoadBalancerSourceRanges)
	return c, err
}

// addresses lists the nodes' internal addresses in a fixed order, so that the same nodes
// always give the same configuration.
func addresses(nodes []*corev1.Node) []haproxy.Node {
	var all []haproxy.Node
	for _, n := range nodes {
		for _, a := range n.Status.Addresses {
			if a.Type != corev1.NodeInternalIP {
				continue
			}
			if ip, err := netip.ParseAddr(a.Address); err == nil {
				all = append(all, haproxy.Node{Name: n.Name, Address: ip})
			}
		}
	}
	slices.SortFunc(all, func(a, b haproxy.Node) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.Address.Compare(b.Address)
	})
	return all
}

func prefixes(ranges []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, r := range ranges {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(r))
		if err != nil {
			return nil, fmt.Errorf("loadBalancerSourceRanges: %w", err)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

// status is what the Service gets to show. IPMode Proxy keeps kube-proxy from taking a
// short cut past HAProxy for traffic from inside the cluster.
func status(s *corev1.Service, p haproxy.Proxy) *corev1.LoadBalancerStatus {
	mode := corev1.LoadBalancerIPModeProxy
	var ports []corev1.PortStatus
	for _, port := range s.Spec.Ports {
		ports = append(ports, corev1.PortStatus{Port: port.Port, Protocol: corev1.ProtocolTCP})
	}
	var out corev1.LoadBalancerStatus
	for _, family := range s.Spec.IPFamilies {
		ip := p.IPv4
		if family == corev1.IPv6Protocol {
			ip = p.IPv6
		}
		if ip != "" {
			out.Ingress = append(out.Ingress, corev1.LoadBalancerIngress{IP: ip, IPMode: &mode, Ports: ports})
		}
	}
	return &out
}
