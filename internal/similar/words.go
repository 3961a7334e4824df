package similar

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// The bounds of what is said of a pair.
const (
	maxShared = 12
	maxLine   = 200 // characters
)

// words says what two submissions share, the rarest first.
func (x *corpus) words(shared []int32, class int) []string {
	slices.SortFunc(shared, func(a, b int32) int {
		return cmp.Or(cmp.Compare(x.features[a].n, x.features[b].n), strings.Compare(x.features[a].text, x.features[b].text))
	})
	lines := make([]string, 0, maxShared)
	for i, n := range shared {
		if i == maxShared-1 && len(shared) > maxShared {
			lines = append(lines, fmt.Sprintf("and %d more", len(shared)-i))
			break
		}
		f := x.features[n]
		have := fmt.Sprintf(" (%d of %d have it)", f.n, class)
		lines = append(lines, shorten(visible(f.text), maxLine-len(have))+have)
	}
	return lines
}

// visible replaces what nobody sees, and what would turn or break the line.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
