package lab

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Outcomes returns what may come of a request that is to be predicted.
func Outcomes() []string { return []string{"answers", "TIMEOUT", "REFUSED", "DNS", "RESET"} }

// Options returns what a student chooses from or puts in order. What the lab lists is
// shuffled, the same for everybody, and never as it is right.
func (c Check) Options() []string {
	q := c.Question
	switch {
	case q == nil:
		return nil
	case q.Predict != nil:
		return Outcomes()
	case len(q.Choose) > 0:
		return shuffled(c.ID, q.Choose)
	}
	options := shuffled(c.ID, q.Order)
	if len(options) > 1 && slices.Equal(options, q.Order) {
		options = append(options[1:], options[0])
	}
	return options
}

// shuffled sorts by a sum of each text, which the text's place in lab.yaml is no part of.
func shuffled(seed string, texts []string) []string {
	sum := func(text string) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(seed + "\x00" + text)) // a hash takes every write
		// The last bytes hardly reach the upper half of the sum: stir once more.
		v := h.Sum64()
		v ^= v >> 33
		v *= 0xff51afd7ed558ccd
		return v ^ v>>33
	}
	all := slices.Clone(texts)
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(sum(a), sum(b)) })
	return all
}
