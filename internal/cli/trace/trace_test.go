package trace

import (
	"regexp"
	"strings"
	"testing"

	"labctl.dev/labctl/grader/trace"
	"labctl.dev/labctl/internal/lab"
)

// half is a trace of which one path is answered and one is not.
func half() *trace.Trace {
	client := trace.Hop{Kind: trace.KindClient, Name: "outside"}
	service := trace.Hop{Kind: trace.KindService, Name: "service/web", Address: "10.96.0.1:80"}
	pod := trace.Hop{Kind: trace.KindPod, Name: "pod/web-1", Address: "10.244.0.9:8080", Node: "worker"}
	node := func(name, address string) trace.Hop {
		return trace.Hop{Kind: trace.KindNode, Name: "node/" + name, Address: address}
	}
	return &trace.Trace{
		Namespace: "shop", Service: "web", Type: "NodePort", Selector: "app=web",
		Endpoints: []trace.Endpoint{{Pod: "pod/web-1", Node: "worker", Address: "10.244.0.9:8080", Ready: true, Direct: "answers"}},
		Paths: []trace.Path{
			{Via: trace.ViaNodePort, Port: 80, Node: "worker", Hops: []trace.Hop{client, node("worker", "172.18.0.3:30080"), service, pod}, OK: true, Answered: "pod/web-1", Seconds: 0.002},
			{
				Via: trace.ViaNodePort, Port: 80, Node: "worker2", Hops: []trace.Hop{client, node("worker2", "172.18.0.4:30080"), service, pod}, Class: "TIMEOUT", Got: "TIMEOUT after 2000 ms",
				Break: &trace.Break{Hop: 1, Why: `externalTrafficPolicy is "Local"` + "\x1b[2J", Facts: []string{"its ready pods run on: worker"}, Hint: "set it to Cluster"},
			},
		},
		Notes: []string{"port 53 is UDP"},
	}
}

func TestText(t *testing.T) {
	var pipe, screen strings.Builder
	if err := write(&pipe, 0, half()); err != nil {
		t.Fatal(err)
	}
	if err := write(&screen, 80, half()); err != nil {
		t.Fatal(err)
	}
	want := `service	shop	web	NodePort	app=web
path	nodePort	80	worker	ok	pod/web-1 answered after 2 ms
	hop	client	outside			ok
	hop	node	node/worker	172.18.0.3:30080		ok
	hop	service	service/web	10.96.0.1:80		ok
	hop	pod	pod/web-1	10.244.0.9:8080	worker	ok
path	nodePort	80	worker2	broken	TIMEOUT after 2000 ms
	hop	client	outside			ok
	hop	node	node/worker2	172.18.0.4:30080		broken
	hop	service	service/web	10.96.0.1:80		unreached
	hop	pod	pod/web-1	10.244.0.9:8080	worker	unreached
	why	externalTrafficPolicy is "Local"\u001b[2J
	seen	its ready pods run on: worker
	hint	set it to Cluster
endpoint	pod/web-1	10.244.0.9:8080	worker	ready	answers
	note	port 53 is UDP
`
	if pipe.String() != want {
		t.Errorf("in a pipe:\n%s\nwant:\n%s", pipe.String(), want)
	}
	plain := regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(screen.String(), "")
	for _, want := range []string{
		"✓ NodePort on worker, port 80  pod/web-1 answered after 2 ms",
		"  → node/worker2 172.18.0.4:30080  ✗ breaks here",
		"service/web 10.96.0.1:80  (not reached)",
	} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q on a terminal:\n%s", want, plain)
		}
	}
	if strings.ContainsRune(plain, '\x1b') {
		t.Errorf("an escape reaches the terminal: %q", plain)
	}
}

// Every line of the graph is a statement of the DOT language, whatever the names are.
func TestDot(t *testing.T) {
	tr := half()
	tr.Service = `we"b\`
	tr.Paths[0].Hops[2].Name = "a \"quoted\"\nname\\"
	var out strings.Builder
	if err := writeDot(&out, tr); err != nil {
		t.Fatal(err)
	}
	id := `"(?:[^"\\]|\\.)*"`
	attributes := `\[(?:\w+=(?:` + id + `|\w+)(?:, )?)+\]`
	statement := regexp.MustCompile(`^(digraph ` + id + ` \{|  rankdir=LR;|  (?:node|edge) ` + attributes + `;|  ` + id + ` ` + attributes + `;|  ` + id + ` -> ` + id + ` ` + attributes + `;|\})$`)
	for line := range strings.Lines(out.String()) {
		if !statement.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("no statement: %q", line)
		}
	}
	for _, want := range []string{`color=red, tooltip="externalTrafficPolicy is \"Local\"`, `172.18.0.4:30080`, `style=dashed`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q:\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), `"client outside " [label`); n != 1 {
		t.Errorf("the client is drawn %d times:\n%s", n, out.String())
	}
}

func TestNext(t *testing.T) {
	if got := next(half()); got != "labctl kubectl -n shop describe service web" {
		t.Errorf("next %q", got)
	}
	gone := &trace.Trace{Namespace: "shop", Service: "wbe", Paths: []trace.Path{{Hops: []trace.Hop{{Kind: trace.KindClient}, {Kind: trace.KindService}}, Break: &trace.Break{Hop: 1}}}}
	if got := next(gone); got != "labctl kubectl -n shop get services" {
		t.Errorf("next %q", got)
	}
	fine := half()
	fine.Paths = fine.Paths[:1]
	if got := next(fine); got != "" {
		t.Errorf("next %q where nothing is broken", got)
	}
}

func TestTiersAreTakenFromAllLabs(t *testing.T) {
	web, db := lab.Tier{Name: "web", Image: "labctl/frontend:v1"}, lab.Tier{Name: "db", Image: "labctl/db:v1", Protocol: "postgresql"}
	got := tiers(&lab.Catalog{Labs: []*lab.Lab{{Tiers: []lab.Tier{web}}, {Tiers: []lab.Tier{web, db}}}})
	if len(got) != 2 || got[0] != web || got[1] != db {
		t.Errorf("got %+v", got)
	}
}
