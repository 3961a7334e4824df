package lab

// suggest returns `; did you mean "x"?` for the known name that is nearest to the
// unknown one, or "" where none is near enough to be a slip of the pen.
func suggest(unknown string, known []string) string {
	if name, ok := nearest(unknown, known); ok {
		return `; did you mean "` + name + `"?`
	}
	return ""
}

// nearest finds the known name with the smallest edit distance, at most a third of the
// longer name's length.
func nearest(unknown string, known []string) (string, bool) {
	best, found := 0, ""
	for _, k := range known {
		d := distance(unknown, k)
		if d*3 > max(len(unknown), len(k)) {
			continue
		}
		if found == "" || d < best {
			best, found = d, k
		}
	}
	return found, found != ""
}

// distance counts the bytes to insert, delete, replace or swap with their neighbour that
// turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
