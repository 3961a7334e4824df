package builtin

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

// exampleService is an ordinary LoadBalancer Service, as the API server fills it in.
func exampleService() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "frontend", UID: "u-1"},
		Spec: corev1.ServiceSpec{
			Type:                  corev1.ServiceTypeLoadBalancer,
			IPFamilies:            []corev1.IPFamily{corev1.IPv4Protocol},
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster,
			SessionAffinity:       corev1.ServiceAffinityNone,
			Ports:                 []corev1.ServicePort{{Port: 80, NodePort: 30080, Protocol: corev1.ProtocolTCP}},
		},
	}
}

func node(name string, addresses ...corev1.NodeAddress) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Addresses: addresses}}
}

func internal(ip string) corev1.NodeAddress {
	return corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip}
}

func TestDesired(t *testing.T) {
	tests := map[string]struct {
		change func(*corev1.ServiceSpec)
		want   func(*haproxy.Config)
	}{
		"ordinary": {func(*corev1.ServiceSpec) {}, func(*haproxy.Config) {}},
		"protocol left out": {
			func(s *corev1.ServiceSpec) { s.Ports[0].Protocol = "" },
			func(*haproxy.Config) {},
		},
		"two ports, in the Service's order": {
			func(s *corev1.ServiceSpec) {
				s.Ports = append(s.Ports, corev1.ServicePort{Port: 22, NodePort: 30022, Protocol: corev1.ProtocolTCP})
			},
			func(c *haproxy.Config) {
				c.Ports = []haproxy.Port{{Port: 80, NodePort: 30080}, {Port: 22, NodePort: 30022}}
			},
		},
		"externalTrafficPolicy Local": {
			func(s *corev1.ServiceSpec) {
				s.ExternalTrafficPolicy, s.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 31234
			},
			func(c *haproxy.Config) { c.Check = haproxy.Check{Port: 31234, Path: "/healthz", Quick: true} },
		},
		"sticky": {
			func(s *corev1.ServiceSpec) { s.SessionAffinity = corev1.ServiceAffinityClientIP },
			func(c *haproxy.Config) { c.Sticky = true },
		},
		"both families": {
			func(s *corev1.ServiceSpec) { s.IPFamilies = append(s.IPFamilies, corev1.IPv6Protocol) },
			func(c *haproxy.Config) { c.IPv6 = true },
		},
		"IPv6 only": {
			func(s *corev1.ServiceSpec) { s.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} },
			func(c *haproxy.Config) { c.IPv4, c.IPv6 = false, true },
		},
		"source ranges lose blanks and host bits": {
			func(s *corev1.ServiceSpec) { s.LoadBalancerSourceRanges = []string{" 10.1.2.3/8 ", "fc00::/7"} },
			func(c *haproxy.Config) {
				c.Sources = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fc00::/7")}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := exampleService()
			tt.change(&s.Spec)
			want := haproxy.Config{
				Owner: haproxy.Owner{Cluster: "labctl", Namespace: "shop", Service: "frontend", UID: "u-1"},
				IPv4:  true,
				Ports: []haproxy.Port{{Port: 80, NodePort: 30080}},
				Nodes: []haproxy.Node{{Name: "w", Address: netip.MustParseAddr("172.18.0.3")}},
				Check: haproxy.Check{Port: 10256, Path: "/healthz"},
			}
			tt.want(&want)
			got, err := desired("labctl", s, []*corev1.Node{node("w", internal("172.18.0.3"))})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestDesiredRefuses(t *testing.T) {
	tests := map[string]struct {
		change      func(*corev1.ServiceSpec)
		says        string
		unsupported bool
	}{
		"UDP":              {func(s *corev1.ServiceSpec) { s.Ports[0].Protocol = corev1.ProtocolUDP }, "port 80 is UDP", true},
		"SCTP":             {func(s *corev1.ServiceSpec) { s.Ports[0].Protocol = corev1.ProtocolSCTP }, "port 80 is SCTP", true},
		"no node port":     {func(s *corev1.ServiceSpec) { s.Ports[0].NodePort = 0 }, "no node port", true},
		"bad source range": {func(s *corev1.ServiceSpec) { s.LoadBalancerSourceRanges = []string{"10.0.0.1"} }, "loadBalancerSourceRanges", false},
		"UDP beside TCP": {func(s *corev1.ServiceSpec) {
			s.Ports = append(s.Ports, corev1.ServicePort{Port: 53, NodePort: 30053, Protocol: corev1.ProtocolUDP})
		}, "port 53 is UDP", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := exampleService()
			tt.change(&s.Spec)
			_, err := desired("labctl", s, nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got error %v, want one that says %q", err, tt.says)
			}
			if got := errors.Is(err, errUnsupported); got != tt.unsupported {
				t.Errorf("unsupported: got %v, want %v (%v)", got, tt.unsupported, err)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	host := corev1.NodeAddress{Type: corev1.NodeHostName, Address: "w1"}
	outside := corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "203.0.113.9"}
	tests := map[string]struct {
		nodes []*corev1.Node
		want  string // name=address …
	}{
		"no nodes":                    {nil, ""},
		"only internal addresses":     {[]*corev1.Node{node("w1", host, outside, internal("172.18.0.3"))}, "w1=172.18.0.3"},
		"none that is internal":       {[]*corev1.Node{node("w1", host, outside)}, ""},
		"not an address":              {[]*corev1.Node{node("w1", internal("w1.example"))}, ""},
		"sorted by name":              {[]*corev1.Node{node("w2", internal("172.18.0.3")), node("w1", internal("172.18.0.4"))}, "w1=172.18.0.4 w2=172.18.0.3"},
		"then by address, IPv4 ahead": {[]*corev1.Node{node("w1", internal("fc00::3"), internal("172.18.0.3"))}, "w1=172.18.0.3 w1=fc00::3"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var all []string
			for _, n := range addresses(tt.nodes) {
				all = append(all, n.Name+"="+n.Address.String())
			}
			if got := strings.Join(all, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	v4, v6 := corev1.IPv4Protocol, corev1.IPv6Protocol
	tests := map[string]struct {
		families []corev1.IPFamily
		proxy    haproxy.Proxy
		want     string
	}{
		"IPv4":              {[]corev1.IPFamily{v4}, haproxy.Proxy{IPv4: "172.18.0.9", IPv6: "fc00::9"}, "172.18.0.9"},
		"IPv6 first":        {[]corev1.IPFamily{v6, v4}, haproxy.Proxy{IPv4: "172.18.0.9", IPv6: "fc00::9"}, "fc00::9 172.18.0.9"},
		"no IPv6 to be had": {[]corev1.IPFamily{v4, v6}, haproxy.Proxy{IPv4: "172.18.0.9"}, "172.18.0.9"},
		"no address at all": {[]corev1.IPFamily{v4}, haproxy.Proxy{}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := exampleService()
			s.Spec.IPFamilies = tt.families
			var ips []string
			for _, i := range status(s, tt.proxy).Ingress {
				ips = append(ips, i.IP)
				if *i.IPMode != corev1.LoadBalancerIPModeProxy {
					t.Errorf("%s has IPMode %s: kube-proxy would take a short cut", i.IP, *i.IPMode)
				}
				if len(i.Ports) != 1 || i.Ports[0].Port != 80 {
					t.Errorf("%s has ports %v, want port 80", i.IP, i.Ports)
				}
			}
			if got := strings.Join(ips, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
