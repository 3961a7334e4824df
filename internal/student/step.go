package student

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"labctl.dev/labctl/internal/lab"
)

// Solution is what the solution changes in a file of the starter.
type Solution struct {
	Name    string // slash-separated
	Starter []byte // nil where the starter has no such file
	Solved  []byte // nil where the solution has none
}

// Solutions returns the files that differ between the lab's starter and its solution, by name.
func Solutions(l *lab.Lab) ([]Solution, error) {
	starter, err := labFiles(l, lab.StarterDir)
	if err != nil {
		return nil, err
	}
	solved, err := labFiles(l, lab.SolutionDir)
	if err != nil {
		return nil, err
	}
	var all []Solution
	for name, data := range starter {
		if after, ok := solved[name]; !ok || !bytes.Equal(data, after) {
			all = append(all, Solution{Name: name, Starter: data, Solved: after})
		}
	}
	for name, data := range solved {
		if _, ok := starter[name]; !ok {
			all = append(all, Solution{Name: name, Solved: data})
		}
	}
	slices.SortFunc(all, func(a, b Solution) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return all, nil
}

// StepFiles returns the names of the files in which the work of a step is done; a step may
// have none. Which they are is known where the comments of any file name steps
// ("# Step 2: …"), or where the lab has one step only.
func StepFiles(l *lab.Lab, number int) (names []string, known bool, err error) {
	all, err := Solutions(l)
	if err != nil {
		return nil, false, err
	}
	known = len(l.Steps) == 1
	for _, s := range all {
		named := stepsNamed(s)
		known = known || len(named) > 0
		if slices.Contains(named, number) || len(l.Steps) == 1 {
			names = append(names, s.Name)
		}
	}
	return names, known, nil
}

// stepsNamed returns the numbers of the steps that the file's comments name.
func stepsNamed(s Solution) []int {
	var numbers []int
	for _, m := range regexp.MustCompile(`(?m)#.*\bStep (\d+)\b`).FindAllSubmatch(slices.Concat(s.Starter, []byte("\n"), s.Solved), -1) {
		if n, err := strconv.Atoi(string(m[1])); err == nil && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// Place writes a file into a working folder, in one step.
func Place(path string, data []byte) error {
	if err := place(path, data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
