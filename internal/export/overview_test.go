package export

import (
	"strings"
	"testing"

	"labctl.dev/labctl/internal/result"
)

func TestNormalised(t *testing.T) {
	for _, same := range [][]string{
		{"backend is not ready: pod/backend-75d7db5759-fjmpp: waits", "backend is not ready: pod/backend-6f4b9c8d7-x2x4z: waits"},
		{"no answer at 10.96.3.4:5432: REFUSED after 3 ms", "no answer at 172.18.0.3:5432: REFUSED after 1212 ms"},
		{"pod/frontend-7c9 does not answer", "pod/frontend-8d2 does not answer"},
		{"pod/db-0 is gone", "pod/db-1 is gone"},
		{"at [fd00:10:244::5]:80", "at [fd00:10:244::1f]:80"},
		{"image sha256:" + strings.Repeat("a1", 32), "image sha256:" + strings.Repeat("b2", 32)},
		{"uid 0f8fad5b-d9cb-469f-a165-70867728950e", "uid 7c9e6679-7425-40de-944b-e07fc1f90ae7"},
		{"waited  12.5s", "waited 3s"},
	} {
		if a, b := normalised(same[0]), normalised(same[1]); a != b {
			t.Errorf("%q is %q, and %q is %q", same[0], a, same[1], b)
		}
	}
	for _, different := range [][]string{
		{"no answer at port 80", "no answer at port 8080"},
		{"the name backend does not resolve", "the name frontend does not resolve"},
		{"got REFUSED", "got TIMEOUT"},
		{"only 1 of 3 pods answered", "only 2 of 3 pods answered"},
		{"service/backend has no endpoints", "service/frontend has no endpoints"},
	} {
		if a := normalised(different[0]); a == normalised(different[1]) {
			t.Errorf("%q and %q are %q", different[0], different[1], a)
		}
	}
}

func TestDistribution(t *testing.T) {
	c := classOf()
	for _, points := range []float64{0, 9.99, 10, 50, 69.9999999999, 70, 99, 100} {
		r := graded("x")
		r.Score = points
		c.Reports = append(c.Reports, r)
	}
	c.Reports = append(c.Reports, rejected("x"), missing("y"), errored("z"))
	c, err := c.prepared(Options{})
	if err != nil {
		t.Fatal(err)
	}
	counts, shares := c.distribution()
	if want := [bins]int{3, 1, 0, 0, 0, 1, 0, 2, 0, 2}; counts != want || len(shares) != 9 {
		t.Errorf("%v of %d, want %v", counts, len(shares), want)
	}
}

func TestChecksOfAClass(t *testing.T) {
	a, b, c, d := graded("a"), graded("b"), graded("c"), graded("d")
	a.Checks[1].Message = "another reason"
	b.Checks[1].Message = "no answer from pod/backend-75d7db5759-fjmpp after 3 ms"
	b.Checks[1].Seconds = 2
	c.Checks[1].Message = "no answer from pod/backend-6f4b9c8d7-x2x4z after 7 ms"
	c.Checks[1].Seconds = 4
	d.Checks[1].Status = result.Passed
	d.Checks[1].Seconds = 1
	all := classOf(a, b, c, d, errored("e"), missing("f"), rejected("g")).checks()
	if len(all) != 4 || all[1].ID != "backend-reaches-db" {
		t.Fatalf("%+v", all)
	}
	s := all[1]
	rate, of := s.rate()
	f := s.commonest()
	if rate != 0.25 || of != 4 || s.errors != 1 || median(s.seconds) != 3 || f.count != 2 || f.student != "b" || f.evidence.Class != "REFUSED" {
		t.Errorf("%g of %d, %+v, %+v", rate, of, s, f)
	}
	if _, of := all[2].rate(); of != 5 || all[2].skipped != 5 || len(all[2].seconds) != 0 {
		t.Errorf("%+v", all[2])
	}
}

func TestOverview(t *testing.T) {
	class := everybody()
	class.Pairs = []Pair{{"anna", "bert", 0.934, []string{"label tier: backnd"}}, {"anna", "zoe", 0.7, nil}}
	data := run(t, class, "overview", Options{Pages: "reports"}).Files[0].Data
	p := parse(t, data)
	said := strings.Join(strings.Fields(p.text), " ")
	for _, want := range []string{
		"6 students", "2 graded", "1 rejected", "1 missing", "2 not graded", "Of the 3 that were handed in and have a score, out of 100 points: mean 36, median 48, from 0 to 60",
		"Nobody may know of this hidden", "For example Anna Arnold (anna): pod/backend-75d7db5759-fjmpp → 10.96.3.4:5432 got REFUSED, connection refused, wanted an answer",
		"1 day 1 hour, −12", "Nothing handed in dora", "fred check secret-check could not be carried out", "Similar submissions", "says nothing of how it came about", "93 %", "label tier: backnd",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("does not say %q:\n%s", want, said)
		}
	}
	links := map[string]bool{}
	for _, e := range p.elements {
		links[attr(e, "href")] = true
	}
	if !links["reports/anna.html"] || !links["reports/dora.html"] || links["reports/zoe.html"] {
		t.Errorf("links %v", links)
	}
	empty := strings.Join(strings.Fields(parse(t, run(t, classOf(missing("a")), "overview", Options{}).Files[0].Data).text), " ")
	if !strings.Contains(empty, "No submission has a score") || strings.Contains(empty, "Similar") {
		t.Error(empty)
	}
}
