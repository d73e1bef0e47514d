package doctor

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/cli/internal/program"
	"github.com/totpd/totpd/cli/internal/stack"
)

// programFaults are the findings of the faults of programs.
var programFaults = map[program.Kind]string{
	program.NotRoot: "stack-not-root", program.NoSocket: "stack-no-socket",
	program.Space: "stack-space", program.Capset: "stack-capset", program.Around: "stack-around",
}

// faults are the reasons why the program behind a service can't ask for a code.
func (s *stacks) faults(service string) []program.Fault {
	root := cmp.Or(s.Root, "/")
	return program.Look(root, service).Faults(program.SpeakersOf(root))
}

// lookProgram: whether the program behind a service can ask for the code that a line wants.
func (s *stacks) lookProgram(service string, line stack.Entry) {
	for _, f := range s.faults(service) {
		s.spot(service, programFaults[f.Kind], line.Place.String(), f.Hint, "%s", f.Why)
	}
	if program.OnePrompt(service) && line.Role() == stack.Code {
		s.spot(service, "stack-one-prompt", line.Place.String(), "totpctl setup --one-prompt --service "+shell(service),
			"the program has one prompt, and answers the question for a code with the password: whoever has a second factor is refused")
	}
}

// lookCopies tells which copies of files, made by totpctl setup, are not what they would be now.
func (s *stacks) lookCopies(names []string) {
	for _, name := range names {
		of, made := "", plan.Plain
		again := ""
		if plain, is := strings.CutPrefix(name, plan.PlainPrefix); is {
			of, again = plain, plain
		} else if derived, is := strings.CutPrefix(name, "totpd-"); is {
			of, made, again = derived, plan.Derived, strings.Join(s.including(name, names), ",")
		}
		users := s.including(name, names)
		f, err := s.tree.Read(name)
		if of == "" || len(users) == 0 || err != nil {
			continue // nobody uses it, or its lines can't be read, which is told of those that include it
		}
		want, err := made(s.tree, of)
		if err != nil || sameLines(f.Lines, stack.Parse(f.Path, name, want).Lines) {
			continue
		}
		if strings.HasPrefix(again, "common-") {
			again = plan.All
		}
		s.found("stack-copy", f.Path, "totpctl setup --service "+again,
			"%s was made from %s, which has changed since: %s go by what it was", path.Base(f.Path), of, few(users))
	}
}

// including are the services whose files include another one.
func (s *stacks) including(name string, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(other string) bool {
		f, err := s.tree.Read(other)
		return err != nil || !slices.ContainsFunc(f.Lines, func(l stack.Line) bool { return l.Includes() && path.Base(l.Module) == name })
	})
}

func sameLines(a, b []stack.Line) bool {
	return slices.EqualFunc(a, b, func(a, b stack.Line) bool { return a.String() == b.String() })
}
