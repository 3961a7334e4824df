package course

import (
	"strings"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/cli/target"
	"labctl.dev/labctl/internal/lab"
)

// Names are the kinds of names that a command's argument may be. They add up: Labs|Steps.
type Names int

// What an argument may name.
const (
	Labs      Names = 1 << iota
	Started         // labs that were started
	Steps           // of the lab that the student is in
	Checks          // of that lab
	Questions       // its checks that are questions
)

// Completion is the type of cobra's ValidArgsFunction.
type Completion = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective)

// Complete completes a command's first argument, each name with what it stands for, and
// further words. Completing prints and changes nothing: what cannot be read has no names.
func Complete(flags *target.Flags, names Names, words ...cobra.Completion) Completion {
	return func(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return Matching(append(All(flags, names), words...), typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// Matching returns the completions that begin with what was typed.
func Matching(all []cobra.Completion, typed string) []cobra.Completion {
	var some []cobra.Completion
	for _, c := range all {
		if strings.HasPrefix(c, typed) {
			some = append(some, c)
		}
	}
	return some
}

// All returns every name of the kinds. Hidden checks have none.
func All(flags *target.Flags, names Names) []cobra.Completion {
	c, err := Peek(flags)
	if err != nil {
		return nil
	}
	var all []cobra.Completion
	for _, l := range c.Catalog.Labs {
		if names&Labs != 0 || names&Started != 0 && c.Progress.Labs[l.ID] != nil {
			all = append(all, cobra.CompletionWithDesc(l.ID, l.Title))
		}
	}
	l, _, err := c.Current("")
	if err != nil {
		return all
	}
	return append(all, within(l, names)...)
}

// within returns the names of what is in the lab.
func within(l *lab.Lab, names Names) []cobra.Completion {
	var all []cobra.Completion
	if names&Steps != 0 {
		for _, s := range l.Steps {
			all = append(all, cobra.CompletionWithDesc(s.ID, s.Title))
		}
	}
	for _, c := range l.Visible() {
		if names&Checks != 0 || names&Questions != 0 && c.Question != nil {
			all = append(all, cobra.CompletionWithDesc(c.ID, c.Title))
		}
	}
	return all
}

// Options returns the options of a question of the lab that the student is in.
func Options(flags *target.Flags, question string) []cobra.Completion {
	c, err := Peek(flags)
	if err != nil {
		return nil
	}
	l, _, err := c.Current("")
	if err != nil {
		return nil
	}
	check, err := l.FindCheck(question)
	if err != nil {
		return nil
	}
	return check.Options()
}
