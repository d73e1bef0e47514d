package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/stack"
)

// Other programs that ask for a code have lines of their own. Ours takes their place: they go, and the jumps
// that counted them count one less. What is included stays as it is, for others include it too.

// replaceOthers works out the edits that take such lines out of the service's own file. Each line makes room for
// one remark, so that all others keep their numbers.
func (s *serviceEdit) replaceOthers() *Refusal {
	entries, err := s.tree.Stack(s.name, stack.Auth)
	if err != nil {
		return nil // work says so
	}
	gone := map[int]bool{} // entries
	for i, e := range entries {
		if e.Sub || !e.AsksOtherCode() {
			continue
		}
		if len(e.Via) > 0 {
			return &Refusal{e.Where(), e.Module + " asks for a code too, so people would be asked for two: and other services include that file",
				"take that line out, and with it what counts it in a jump ([success=N]); where pam-auth-update or authselect made the file, by that: pam-auth-update; authselect disable-feature"}
		}
		gone[i] = true
		s.tellReplaced(e)
		for _, n := range refusals(entries, i) {
			gone[n] = true
		}
	}
	if len(gone) == 0 {
		return nil
	}
	edits, r := takeOut(s.base, entries, gone, s.onePrompt, func(e stack.Entry) {
		if e.Role() != stack.Knows {
			s.plan.note("%s: %s (%s) let some in without the other program's code; totpd asks them too, unless a [[rule]] exempts them (from, groups, users)", s.name, e.Name(), e.Place)
		}
	})
	if r != nil {
		return r
	}
	s.instead = edits
	text, err := change.Apply(s.base, s.instead)
	if err != nil {
		return &Refusal{s.path, err.Error(), "nothing was changed"}
	}
	s.text = text
	s.with[s.path] = text
	s.tree = s.host.Tree.With(s.with)
	return nil
}

// takeOut is what takes entries of a file out of it: each makes room for a remark, and jumps over it count less.
// corrected is told of each line whose jump it is.
func takeOut(text []byte, entries []stack.Entry, gone map[int]bool, onePrompt bool, corrected func(stack.Entry)) ([]change.Edit, *Refusal) {
	var edits []change.Edit
	lines := strings.Split(string(text), "\n")
	for i, e := range entries {
		if gone[i] {
			edits = append(edits, replaced(e.Line, lines))
			continue
		}
		control, changed := stack.Without(entries, i, gone)
		drop := !onePrompt && leansOn(entries, i, gone)
		switch {
		case e.Sub, !changed && !drop:
			continue
		case len(e.Via) > 0:
			return nil, &Refusal{e.Where(), "it counts a line of another program that asks for a code, and stands in a file that other services include",
				"take the other program's line out by hand, and correct the jump"}
		}
		l := e.Line
		l.Control = control
		if drop {
			l.Args = slices.DeleteFunc(slices.Clone(l.Args), func(arg string) bool { return arg == "use_first_pass" })
		}
		edits = append(edits, rewritten(e.Line, l, lines))
		if changed {
			corrected(e)
		}
	}
	return edits, nil
}

// tellReplaced says what becomes of a line.
func (s *serviceEdit) tellReplaced(e stack.Entry) {
	s.plan.note("%s: pam_totpd.so takes the place of %s (%s); totpctl import takes its users over", s.name, e.Module, e.Place)
	if e.Name() == "pam_google_authenticator" && !slices.Contains(e.Args, "nullok") {
		s.plan.note("%s: %s let nobody in without a code; totpd lets users in who have not enrolled, unless a [[rule]] says require = \"required\"", s.name, e.Module)
	}
}

// refusals are the entries of the file that a line jumps over when it is content, and that refuse: they belong to
// it.
func refusals(entries []stack.Entry, at int) []int {
	over := entries[at].Control.Action("success")
	if over <= 0 {
		return nil
	}
	to, whole := stack.Lands(entries, at, over)
	var all []int
	for i := at + 1; whole && i < to; i++ {
		if entries[i].Role() != stack.Denies || len(entries[i].Via) > 0 {
			return nil
		}
		all = append(all, i)
	}
	return all
}

// leansOn tells whether a line takes the password that a line which goes has asked for, and no other does.
func leansOn(entries []stack.Entry, at int, gone map[int]bool) bool {
	if entries[at].Role() != stack.Knows || !slices.Contains(entries[at].Args, "use_first_pass") {
		return false
	}
	asked := false
	for i, e := range entries[:at] {
		if !e.Sub && !gone[i] && (e.Role() == stack.Knows || e.Role() == stack.Combined) {
			return false
		}
		asked = asked || gone[i]
	}
	return asked
}

// replaced is the edit that has remarks in place of a line.
func replaced(l stack.Line, lines []string) change.Edit {
	return rewriting(l, lines, fmt.Sprintf("# totpd: in place of line %d, %q", l.Place.Line, l.String()))
}

// rewritten is the edit that has another line in place of one.
func rewritten(l, by stack.Line, lines []string) change.Edit {
	return rewriting(l, lines, by.String()+fmt.Sprintf("  # totpd: for %q", l.String()))
}

// rewriting keeps the number of lines.
func rewriting(l stack.Line, lines []string, text string) change.Edit {
	e := change.Edit{Line: l.Place.Line, Remove: slices.Clone(lines[l.Place.Line-1 : l.Last]), Add: []string{text}}
	for n := l.Place.Line + 1; n <= l.Last; n++ {
		e.Add = append(e.Add, fmt.Sprintf("# totpd: line %d of it", n))
	}
	return e
}
