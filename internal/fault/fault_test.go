package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestRemedyOf(t *testing.T) {
	bare := Environmentf("delete it")
	tests := map[string]struct {
		err  error
		want string
	}{
		"none":                      {errors.New("x"), ""},
		"nil":                       {nil, ""},
		"its own":                   {bare.WithRemedy("labctl up"), "labctl up"},
		"the outer goes first":      {Environmentf("a: %w", bare.WithRemedy("in")).WithRemedy("out"), "out"},
		"the inner where none is":   {Environmentf("a: %w", fmt.Errorf("b: %w", bare.WithRemedy("in"))), "in"},
		"of the second of two":      {errors.Join(bare, fmt.Errorf("b: %w", bare.WithRemedy("second"))), "second"},
		"of the first that has one": {errors.Join(bare.WithRemedy("first"), bare.WithRemedy("second")), "first"},
	}
	for name, tt := range tests {
		if got := RemedyOf(tt.err); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestKindOf(t *testing.T) {
	tests := map[string]struct {
		err  error
		want Kind
	}{
		"unclassified":      {errors.New("x"), Environment},
		"input":             {fmt.Errorf("a: %w", Inputf("b")), Input},
		"the outer decides": {Environmentf("a: %w", Inputf("b")), Environment},
	}
	for name, tt := range tests {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
