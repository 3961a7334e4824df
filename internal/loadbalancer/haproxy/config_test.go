package haproxy

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what comes out to the golden files")
	flag.Parse()
	os.Exit(m.Run())
}

// example is a Service with one port on a cluster of two nodes.
func example() Config {
	return Config{
		Owner: Owner{Cluster: "labctl", Namespace: "shop", Service: "frontend", UID: "0123456789ab"},
		IPv4:  true,
		Ports: []Port{{Port: 80, NodePort: 30080}},
		Nodes: []Node{
			{Name: "labctl-worker", Address: netip.MustParseAddr("172.18.0.3")},
			{Name: "labctl-worker2", Address: netip.MustParseAddr("172.18.0.4")},
		},
		Check: Check{Port: 10256, Path: "/healthz"},
	}
}

func TestRender(t *testing.T) {
	tests := map[string]func(*Config){
		"one-port": func(*Config) {},
		"two-ports": func(c *Config) {
			c.Ports = append(c.Ports, Port{Port: 443, NodePort: 30443})
		},
		"source-ranges": func(c *Config) {
			c.Sources = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")}
		},
		"local-policy": func(c *Config) {
			c.Check = Check{Port: 31234, Path: "/healthz", Quick: true}
		},
		"no-nodes": func(c *Config) { c.Nodes = nil },
		"sticky":   func(c *Config) { c.Sticky = true },
		"dual-stack": func(c *Config) {
			c.IPv6 = true
			c.Nodes = append(c.Nodes, Node{Name: "labctl-worker", Address: netip.MustParseAddr("fc00::3")})
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			c := example()
			change(&c)
			got, err := c.Render()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".cfg", got)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("not what %s says\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestRenderTellsApart guards the goldens: an -update that loses a difference fails here.
func TestRenderTellsApart(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		has    string // that the example alone must not have
	}{
		"second port":   {func(c *Config) { c.Ports = []Port{{443, 30443}} }, "172.18.0.4:30443\n"},
		"source ranges": {func(c *Config) { c.Sources = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, "reject unless { src 10.0.0.0/8 }\n"},
		"quick check":   {func(c *Config) { c.Check.Quick = true }, " fall 1 "},
		"check port":    {func(c *Config) { c.Check.Port = 31234 }, "check port 31234 "},
		"check path":    {func(c *Config) { c.Check.Path = "/ready" }, "httpchk GET /ready\n"},
		"sticky":        {func(c *Config) { c.Sticky = true }, "balance source\n"},
		"IPv6":          {func(c *Config) { c.IPv6 = true }, "bind [::]:80 v6only\n"},
	}
	plain, err := example().Render()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := example()
			tt.change(&c)
			got, err := c.Render()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got, tt.has) {
				t.Errorf("no %q in:\n%s", tt.has, got)
			}
			if strings.Contains(plain, tt.has) {
				t.Errorf("%q is in the plain configuration too", tt.has)
			}
		})
	}
}

func TestName(t *testing.T) {
	long := strings.Repeat("s", 200)
	tests := map[string]struct {
		owner Owner
		want  string
	}{
		"short":     {Owner{"c", "n", "s", "u"}, "labctl-lb-c-n-s-u"},
		"UID cut":   {Owner{"c", "n", "s", "0123456789"}, "labctl-lb-c-n-s-01234567"},
		"name cut":  {Owner{"c", "n", long, "0123456789"}, ("labctl-lb-c-n-" + long)[:100] + "-01234567"},
		"other UID": {Owner{"c", "n", long, "9876543210"}, ("labctl-lb-c-n-" + long)[:100] + "-98765432"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Name(tt.owner); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
