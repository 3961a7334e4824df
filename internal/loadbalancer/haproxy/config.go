// Package haproxy runs one HAProxy container for each load balancer: it writes the
// configuration, starts the container, and changes it without dropping connections.
package haproxy

import (
	_ "embed"
	"fmt"
	"net/netip"
	"strings"
	"text/template"
)

//go:embed haproxy.cfg.tmpl
var templateText string

// Owner is the Service that a load balancer belongs to.
type Owner struct {
	Cluster, Namespace, Service string
	UID                         string
}

// Config is what one load balancer does: every port is forwarded, in TCP mode, to the
// same ports' node ports on all nodes that are in good health.
type Config struct {
	Owner Owner
	IPv4  bool // listen on IPv4, and forward to the nodes' IPv4 addresses
	IPv6  bool
	Ports []Port
	Nodes []Node
	// Check is asked of every node, by HTTP, to know whether it may get traffic.
	Check Check
	// Sources are the clients that are let in; empty means everybody.
	Sources []netip.Prefix
	// Sticky sends a client's connections to the same node.
	Sticky bool
}

// Port is a port of the load balancer and the node port that it is forwarded to.
type Port struct{ Port, NodePort int32 }

// Node is a node's name and an address of it; a node with two addresses appears twice.
type Node struct {
	Name    string
	Address netip.Addr
}

// Check is an HTTP health check: 200 means healthy.
type Check struct {
	Port int32
	Path string
	// Quick marks a node down at its first failure: it says that no pod is there, which
	// is a fact, while other checks only hint at trouble.
	Quick bool
}

// Render returns HAProxy's configuration file. Equal configurations give equal text.
func (c Config) Render() (string, error) {
	t, err := template.New("haproxy.cfg").Parse(templateText)
	if err != nil {
		return "", fmt.Errorf("parse HAProxy's configuration template: %w", err)
	}
	var out strings.Builder
	if err := t.Execute(&out, c.view()); err != nil {
		return "", fmt.Errorf("write HAProxy's configuration: %w", err)
	}
	return out.String(), nil
}

// view is what the template reads.
type view struct {
	Config
	Balance  string
	Fall     int
	Sections []section
}

// section is a listening port and the servers behind it.
type section struct {
	Name, Bind string
	Allow      string // source prefixes, space-separated
	Servers    []server
}

type server struct{ Name, Address string }

func (c Config) view() view {
	v := view{Config: c, Balance: "roundrobin", Fall: 2}
	if c.Sticky {
		v.Balance = "source"
	}
	if c.Check.Quick {
		v.Fall = 1
	}
	for _, p := range c.Ports {
		if c.IPv4 {
			v.Sections = append(v.Sections, c.section(p, "ipv4", "0.0.0.0:%d", netip.Addr.Is4))
		}
		if c.IPv6 {
			v.Sections = append(v.Sections, c.section(p, "ipv6", "[::]:%d v6only", netip.Addr.Is6))
		}
	}
	return v
}

func (c Config) section(p Port, family, bind string, in func(netip.Addr) bool) section {
	s := section{Name: fmt.Sprintf("tcp-%d-%s", p.Port, family), Bind: fmt.Sprintf(bind, p.Port)}
	for _, n := range c.Nodes {
		if in(n.Address) {
			address := netip.AddrPortFrom(n.Address, uint16(p.NodePort))
			s.Servers = append(s.Servers, server{Name: n.Name, Address: address.String()})
		}
	}
	var allow []string
	for _, prefix := range c.Sources {
		allow = append(allow, prefix.String())
	}
	s.Allow = strings.Join(allow, " ")
	return s
}
