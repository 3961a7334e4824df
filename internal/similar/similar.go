// Package similar finds submissions that share what hardly anybody else has. Every correct
// solution is alike by nature, so that says nothing of how it came about: it is where to look.
package similar

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Submission is what one student handed in.
type Submission struct {
	Student string
	Objects []*unstructured.Unstructured // as submission.Submission.Unstructured gives them; read only
	// Comments are the lines of comment in the files, which decoding drops; nil where nobody
	// has them.
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
	Similarity float64 // 0 to 1: the share of what both have in what either has, by rarity
	// Shared says in words what both have and few others do, the rarest first; at most 12
	// lines of at most 200 characters, without control characters.
	Shared []string
}

// Compare returns the pairs, the most similar first. Where there is too little to go on, as in
// a class of fewer than ten, there are none.
func Compare(_ []Submission, _ Options) []Pair { return nil }
