package export

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/result"
)

func TestJUnit(t *testing.T) {
	for name, class := range map[string]*Class{"everybody": everybody(), "hostile": hostiles()} {
		out := run(t, class, "junit", Options{})
		var all junitSuites
		if err := xml.Unmarshal(out.Files[0].Data, &all); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var sum junitSuite
		for i, s := range all.Suites {
			r := &class.Reports[i]
			var cases junitSuite
			for _, c := range s.Cases {
				cases.Tests++
				for _, e := range []struct {
					ended *junitEnded
					n     *int
				}{{c.Failure, &cases.Failures}, {c.Error, &cases.Errors}, {c.Skipped, &cases.Skipped}} {
					if e.ended != nil {
						*e.n++
					}
				}
			}
			if cases.Tests != s.Tests || cases.Failures != s.Failures || cases.Errors != s.Errors || cases.Skipped != s.Skipped {
				t.Errorf("%s: suite %.40q counts wrong: %+v", name, s.Name, s)
			}
			if r.Status == result.Errored && (s.Errors != 1 || s.Tests != 1 || !strings.Contains(s.Cases[0].Error.Message, "no marks were given or taken")) {
				t.Errorf("%s: %+v", name, s)
			}
			has := map[string]string{}
			for _, p := range s.Properties {
				has[p.Name] = p.Value
			}
			if want, ok := score(r); ok && (has["score"] != result.Points(want)) || !ok && has["score"] != "" {
				t.Errorf("%s: %.40q has %v", name, s.Name, has)
			}
			sum.Tests += s.Tests
			sum.Failures += s.Failures
			sum.Errors += s.Errors
			sum.Skipped += s.Skipped
		}
		if sum.Tests != all.Tests || sum.Failures != all.Failures || sum.Errors != all.Errors || sum.Skipped != all.Skipped {
			t.Errorf("%s: the sums are wrong", name)
		}
		if name == "everybody" {
			golden(t, "junit.xml", out.Files[0].Data)
		}
	}
}

func TestMarkdown(t *testing.T) {
	golden(t, "class.md", run(t, everybody(), "markdown", Options{}).Files[0].Data)
	golden(t, "student.md", []byte(one(t, late(graded("anna")), "markdown")))
	for _, class := range []*Class{hostiles(), classOf(hostiles().Reports[0]), classOf(hostiles().Reports[1])} {
		text := string(run(t, class, "markdown", Options{}).Files[0].Data)
		_, body, _ := strings.Cut(text, "\n\n")
		for row := range strings.Lines(body) {
			if n := strings.Count(row, "|"); n != 0 && n != 5 {
				t.Errorf("a row of %d bars: %.200q", n, row)
			}
		}
	}
	for _, text := range hostile() {
		bare := regexp.MustCompile(`&#[0-9]+;`).ReplaceAllString(markdown(text, textLimit), "")
		for _, bad := range []string{"[!#$&*+<>@\\[\\]\\\\^_`{|}~=\n]", `://`, `(?i)www\.`, `^[-.:)]`, `^[0-9]+[.)]`, `:[^ 0-9]`} {
			if regexp.MustCompile(bad).MatchString(bare) {
				t.Errorf("%q leaves %s in %q", text, bad, bare)
			}
		}
	}
	for in, want := range map[string]string{
		"backend-reaches-db":       "backend-reaches-db",
		"db at 10.96.3.4:5432, 3%": "db at 10.96.3.4:5432, 3%",
		"passed. Why (so)?":        "passed. Why (so)?",
		"1. x":                     "1&#46; x",
		"1) x":                     "1&#41; x",
		"- x":                      "&#45; x",
		"--- --":                   "&#45;&#45;&#45; &#45;&#45;",
		"http://x.y":               "http&#58;//x.y",
		"WWW.x.y":                  "WWW&#46;x.y",
		":smile:":                  "&#58;smile&#58;",
		"a|b":                      "a&#124;b",
		"@team":                    "&#64;&#8288;team",
	} {
		if got := markdown(in, textLimit); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// page is a page that was read again.
type page struct {
	elements []xml.StartElement
	text     string
	style    string
}

// parse reads a page that is written as XML would have it, which browsers take, too.
func parse(t *testing.T, data []byte) page {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(data)))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var p page
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		switch token := token.(type) {
		case xml.StartElement:
			p.elements = append(p.elements, token.Copy())
			open = append(open, token.Name.Local)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != token.Name.Local {
				t.Fatalf("%s ends in %v", token.Name.Local, open)
			}
			open = open[:len(open)-1]
			if slices.Contains([]string{"td", "th", "li", "p"}, token.Name.Local) {
				p.text += " "
			}
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1] == "style" {
				p.style += string(token)
			} else {
				p.text += string(token)
			}
		}
	}
	return p
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func TestPages(t *testing.T) {
	pages := map[string]page{}
	for name, class := range map[string]*Class{"everybody": everybody(), "hostile": hostiles()} {
		class.Pairs = []Pair{{"anna", `<script>"`, 0.934, []string{"a comment: <!-- x -->"}}}
		pages[name+": overview"] = parse(t, run(t, class, "overview", Options{Pages: "../pages"}).Files[0].Data)
		for _, f := range run(t, class, "html", Options{}).Files {
			pages[name+": "+f.Name] = parse(t, f.Data)
			if len(f.Data) > 400_000 {
				t.Errorf("%s: %d bytes", f.Name, len(f.Data))
			}
		}
	}
	t.Run("are inert", func(t *testing.T) { testInert(t, pages) })
	t.Run("are accessible", func(t *testing.T) { testAccessible(t, pages) })
}

// Pages have nothing in them that runs or is fetched, and say so to the browser.
func testInert(t *testing.T, pages map[string]page) {
	for name, p := range pages {
		sum := sha256.Sum256([]byte(p.style))
		want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
		found := false
		for i, e := range p.elements {
			if e.Name.Local == "meta" && attr(e, "http-equiv") == "Content-Security-Policy" {
				if found = attr(e, "content") == want; !found {
					t.Errorf("%s: policy %q, want %q", name, attr(e, "content"), want)
				}
				if slices.ContainsFunc(p.elements[:i], func(e xml.StartElement) bool { return e.Name.Local == "style" }) {
					t.Errorf("%s: the style is before the policy", name)
				}
			}
			if slices.Contains([]string{"script", "img", "iframe", "object", "embed", "link", "form", "input", "base", "video", "audio", "b2"}, e.Name.Local) {
				t.Errorf("%s: has an element %s", name, e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "src" || a.Name.Local == "style" || a.Name.Local == "srcset" {
					t.Errorf("%s: %s has an attribute %s", name, e.Name.Local, a.Name.Local)
				}
				if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#check-") && !strings.HasPrefix(a.Value, "../pages/") {
					t.Errorf("%s: leads to %q", name, a.Value)
				}
			}
		}
		if !found {
			t.Errorf("%s: no policy", name)
		}
		if strings.Contains(p.style, "url(") || strings.Contains(p.style, "@import") {
			t.Errorf("%s: the style fetches something", name)
		}
	}
}

// Who does not see a page can find the way in it.
func testAccessible(t *testing.T, pages map[string]page) {
	for name, p := range pages {
		level, h1 := 0, 0
		ids := map[string]int{}
		for _, e := range p.elements {
			if m := regexp.MustCompile(`^h([1-6])$`).FindStringSubmatch(e.Name.Local); m != nil {
				n := int(m[1][0] - '0')
				if n > level+1 {
					t.Errorf("%s: h%d follows h%d", name, n, level)
				}
				level = n
				if n == 1 {
					h1++
				}
			}
			if id := attr(e, "id"); id != "" {
				ids[id]++
			}
			if e.Name.Local == "th" && attr(e, "scope") == "" {
				t.Errorf("%s: a header without a scope", name)
			}
			if e.Name.Local == "svg" && attr(e, "aria-hidden") == "" && attr(e, "role") != "img" {
				t.Errorf("%s: a drawing that nobody is told of", name)
			}
			if e.Name.Local == "html" && attr(e, "lang") != "en" {
				t.Errorf("%s: in no language", name)
			}
		}
		if h1 != 1 {
			t.Errorf("%s: %d times h1", name, h1)
		}
		for _, e := range p.elements {
			for _, ref := range []string{attr(e, "aria-labelledby"), strings.TrimPrefix(attr(e, "href"), "#")} {
				if ref != "" && !strings.HasPrefix(ref, "../") && ids[ref] != 1 {
					t.Errorf("%s: refers to %q, which is there %d times", name, ref, ids[ref])
				}
			}
		}
	}
}

// The colours of the style stand out from what they are on, by WCAG's measure for text.
func TestContrast(t *testing.T) {
	style, err := pages.ReadFile("style.css")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range regexp.MustCompile(`:root \{[^}]*--ground: #[0-9a-f]{6}[^}]*\}`).FindAllString(string(style), -1) {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
			colours[m[1]] = m[2]
		}
		for _, ground := range []string{"ground", "panel", "mark"} {
			for _, text := range []string{"text", "faint", "good", "bad", "ours", "link"} {
				if c := contrast(colours[text], colours[ground]); c < 4.5 {
					t.Errorf("theme %d: %s on %s is %.2f", i, text, ground, c)
				}
			}
		}
	}
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(colour string) float64 {
	var rgb [3]int
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		return -1
	}
	l := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb[i]) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}

func TestStudentPageSays(t *testing.T) {
	for name, tt := range map[string]struct {
		report   result.Report
		say, not []string
	}{
		"graded":   {graded("anna"), []string{"40 of 80 points", "1 of 3 checks passed", "Compare the Service's selector", "REFUSED, connection refused", "3 ms", "depends on another check"}, []string{"late", "Not graded"}},
		"late":     {late(graded("anna")), []string{"32 of 80 points", "Handed in 1 day 1 hour late", "Lost for being late: 20 %", "−8", "10%/day,max 50%"}, nil},
		"rejected": {rejected("anna"), []string{"0 points", "Why it was refused", "app.yaml, document 2, spec.template.spec.hostNetwork", "must not use the node's network", "no-host"}, []string{"checks passed"}},
		"missing":  {missing("anna"), []string{"Nothing was handed in"}, []string{" points"}},
		"error":    {errored("anna"), []string{"Not graded", "our fault and not yours", "no marks were given or taken"}, []string{" points", "checks passed"}},
		"secretly": {secretlyErrored("anna"), []string{"40 of 80 points"}, []string{"Not graded"}},
	} {
		said := strings.Join(strings.Fields(parse(t, []byte(one(t, tt.report, "html"))).text), " ")
		for _, want := range tt.say {
			if !strings.Contains(said, want) {
				t.Errorf("%s: does not say %q:\n%s", name, want, said)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(said, not) {
				t.Errorf("%s: says %q", name, not)
			}
		}
	}
}
