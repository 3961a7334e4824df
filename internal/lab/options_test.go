package lab_test

import (
	"fmt"
	"slices"
	"testing"

	"labctl.dev/labctl/internal/lab"
)

func TestOptions(t *testing.T) {
	order := []string{"client", "node", "service", "pod"}
	moved := 0
	for i := range 50 {
		c := lab.Check{ID: fmt.Sprintf("q%d", i), Question: &lab.Question{Order: order}}
		got := c.Options()
		if slices.Equal(got, order) {
			t.Errorf("%s shows the right order", c.ID)
		}
		if !slices.Equal(got, c.Options()) {
			t.Errorf("%s is shown in another order each time", c.ID)
		}
		slices.Sort(got)
		if want := slices.Sorted(slices.Values(order)); !slices.Equal(got, want) {
			t.Errorf("%s has %v", c.ID, got)
		}
		choice := lab.Check{ID: c.ID, Question: &lab.Question{Choose: order, Answer: "client"}}
		if choice.Options()[0] != "client" {
			moved++
		}
	}
	if moved < 20 {
		t.Errorf("the right answer comes first %d times of 50", 50-moved)
	}
	if got := (lab.Check{Question: &lab.Question{Predict: &lab.Predict{}}}).Options(); !slices.Equal(got, lab.Outcomes()) {
		t.Errorf("a prediction: %v", got)
	}
	if got := (lab.Check{}).Options(); got != nil {
		t.Errorf("no question: %v", got)
	}
}
