// Package similar finds submissions that share what hardly anybody else has. Every correct
// solution is alike by nature, so that says nothing of how it came about: it is where to look.
package similar

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Submission is what one student handed in.
type Submission struct {
	Student string
	Objects []*unstructured.Unstructured // as submission.Submission.Unstructured gives them; read only
	// Comments are the lines of comment in the files, which decoding drops; see CommentLines.
	// Nil is none.
	Comments []string
}

// Options say what to compare with. The zero value is of use.
type Options struct {
	Starter   Submission // of the lab: what it holds does not count
	Threshold float64    // the least Similarity of a Pair, 0 to 1; default 0.6
	Pairs     int        // the most to return; default 500
}

// Pair is two submissions that share what is rare in the class.
type Pair struct {
	A, B       string  // the students, in order
	Similarity float64 // 0 to 1: the share of what each has that both have, by rarity
	// Shared says in words what both have and few others do, the rarest first; at most 12
	// lines of at most 200 characters, without control characters.
	Shared []string
}

const (
	// rareShare is the share of the class that may have something rare.
	rareShare = 0.2
	// mostRare bounds what is rare in a large class, and with it the work: so many submissions
	// that have the same are compared with each other.
	mostRare = 100
	// places is in how many places two submissions have at least to share something rare; see
	// suffices.
	places = 3
	// margin is how much less likely than one in the whole class a pair has to be, in bits, if
	// everybody chose on their own.
	margin = 2
)

// Compare returns the pairs, the most similar first. Where there is too little to go on, as in
// a class of fewer than ten, there are none.
func Compare(class []Submission, o Options) []Pair {
	o.Threshold = cmp.Or(o.Threshold, 0.6)
	o.Pairs = cmp.Or(o.Pairs, 500)
	x := index(class, o.Starter)
	var pairs []Pair
	for i := range class {
		for _, j := range x.candidates(i) {
			if class[i].Student == class[j].Student {
				continue
			}
			if p, ok := x.pair(class, i, j, o.Threshold); ok {
				pairs = append(pairs, p)
			}
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.Similarity, a.Similarity), strings.Compare(a.A, b.A), strings.Compare(a.B, b.B))
	})
	return pairs[:min(len(pairs), o.Pairs)]
}

// corpus is a class by its features.
type corpus struct {
	features []counted
	have     [][]int32 // by submission: the features that count, in order
	having   [][]int32 // by feature: the submissions that have it, in order; nil where it is not rare
	enough   float64   // bits of evidence that a pair needs
	tally    []int32   // by submission: the rare features that it shares with the one at hand
}

// counted is a feature with how many submissions have it.
type counted struct {
	feature
	n      int
	weight float64 // bits: how much it says that two have it; 0 does not count
	rare   bool
}

// index counts the features of the class.
func index(class []Submission, starter Submission) *corpus {
	x := &corpus{have: make([][]int32, len(class)), tally: make([]int32, len(class))}
	given := features(starter)
	numbers := map[string]int32{}
	for i, s := range class {
		found := features(s)
		for _, text := range slices.Sorted(maps.Keys(found)) { // sums come out the same each time
			f := found[text]
			if _, ok := given[text]; ok {
				continue
			}
			n, ok := numbers[text]
			if !ok {
				n = int32(len(x.features)) // bounded by maxFeatures and the class
				numbers[text] = n
				x.features = append(x.features, counted{feature: f})
			}
			x.features[n].n++
			x.have[i] = append(x.have[i], n)
		}
	}
	x.weigh(len(class), numbers)
	x.invert()
	pairs := float64(len(class)) * float64(len(class)-1) / 2
	x.enough = margin + math.Log2(max(pairs, 1))
	return x
}

// weigh says what each feature counts: nothing where most of the class has it.
func (x *corpus) weigh(class int, numbers map[string]int32) {
	most := min(mostRare, int(rareShare*float64(class)))
	for i := range x.features {
		f := &x.features[i]
		if 2*f.n <= class {
			f.weight = math.Log2(float64(class) / float64(f.n))
			f.rare = f.n <= most
		}
	}
	// A combination counts only by what it adds: not where a part of it is rare already.
	for i := range x.features {
		f := &x.features[i]
		for _, part := range f.parts {
			if n, ok := numbers[part]; ok && x.features[n].rare {
				f.weight, f.rare = 0, false
			}
		}
	}
}

// invert finds who has what is rare, and drops what does not count.
func (x *corpus) invert() {
	x.having = make([][]int32, len(x.features))
	for i, have := range x.have {
		have = slices.DeleteFunc(have, func(n int32) bool { return x.features[n].weight == 0 })
		slices.Sort(have)
		x.have[i] = have
		for _, n := range have {
			if x.features[n].rare {
				x.having[n] = append(x.having[n], int32(i))
			}
		}
	}
}

// candidates returns the submissions after i that share enough rare features with it to be
// worth comparing.
func (x *corpus) candidates(i int) []int {
	var touched []int
	for _, n := range x.have[i] {
		for _, j := range x.having[n] {
			if int(j) <= i {
				continue
			}
			if x.tally[j]++; x.tally[j] == 1 {
				touched = append(touched, int(j))
			}
		}
	}
	found := touched[:0]
	for _, j := range touched {
		if x.tally[j] >= places {
			found = append(found, j)
		}
		x.tally[j] = 0
	}
	return found
}

// pair compares two submissions.
func (x *corpus) pair(class []Submission, i, j int, threshold float64) (Pair, bool) {
	var both, single float64
	var shared []int32
	a, b := x.have[i], x.have[j]
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			single += x.features[a[0]].weight
			a = a[1:]
		case len(a) == 0 || b[0] < a[0]:
			single += x.features[b[0]].weight
			b = b[1:]
		default:
			both += x.features[a[0]].weight
			if x.features[a[0]].rare {
				shared = append(shared, a[0])
			}
			a, b = a[1:], b[1:]
		}
	}
	if both == 0 || !x.suffices(shared) {
		return Pair{}, false
	}
	similarity := 2 * both / (2*both + single) // Dice's, with weights
	if similarity < threshold {
		return Pair{}, false
	}
	p := Pair{A: class[i].Student, B: class[j].Student, Similarity: math.Round(1000*similarity) / 1000}
	if p.B < p.A {
		p.A, p.B = p.B, p.A
	}
	p.Shared = x.words(shared, len(class))
	return p, true
}

// suffices tells whether what two share is more than chance would have somewhere in the class.
// What is in one place goes together, and counts once. No two places are enough for it.
func (x *corpus) suffices(shared []int32) bool {
	best := map[string]float64{}
	for _, n := range shared {
		f := x.features[n]
		best[f.place] = max(best[f.place], f.weight)
	}
	bits := 0.0
	for _, weight := range best {
		bits += weight
	}
	return bits >= x.enough
}
