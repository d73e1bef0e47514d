package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/stack"
)

// Files such as Fedora's password-auth end with success as soon as a password is right ("sufficient"), and
// go on after a wrong one: nothing that follows them in a service can tell the one from the other. So the
// code must go inside, in a copy, with success as a jump to it and failure as the end.

// derivedHead stands at the beginning of a copy.
const derivedHead = `# Made by "totpctl setup" from %[1]s: the same checks, and then a one-time code, which must not be asked
# for after a wrong password. When %[1]s changes, run "totpctl setup" again; "totpctl doctor" tells.
# "totpctl setup --undo" removes this file.
`

// Derived returns what the copy of an included file should be now: for whoever compares.
func Derived(t *stack.Tree, name string) ([]byte, error) {
	entries, err := t.Stack(name, stack.Auth)
	if err != nil {
		return nil, err
	}
	text, r := derive(name, entries)
	if r != nil {
		return nil, r
	}
	return text, nil
}

// within are the entries that a line takes in.
func within(entries []stack.Entry, l stack.Line) []stack.Entry {
	var all []stack.Entry
	for _, e := range entries {
		if len(e.Via) > 0 && e.Via[0] == l.Place {
			all = append(all, e)
		}
	}
	return all
}

// derive writes the copy of an included file.
func derive(name string, entries []stack.Entry) ([]byte, *Refusal) {
	var b strings.Builder
	fmt.Fprintf(&b, derivedHead, path.Base(name))
	last := -1
	for i, e := range entries {
		if e.Sub || e.Problem != "" {
			return nil, &Refusal{e.Where(), "a substack can't be copied", "nothing was changed"}
		}
		if e.Role() == stack.Denies && e.Control.Kind == stack.Required {
			last = i
		}
	}
	for i, e := range entries {
		l := e.Line
		switch {
		case i == last:
			l.Control = stack.Control{Kind: stack.Requisite}
		case ends(l.Control):
			over := stack.Action(len(entries) - 1 - i)
			if over == 0 {
				over = stack.OK
			}
			l.Control = l.Control.With(over, stack.Done)
		}
		fmt.Fprintln(&b, l)
	}
	fmt.Fprintf(&b, "auth required pam_permit.so\n%s\n", strings.Join(strings.Fields(codeLine), " "))
	return []byte(b.String()), nil
}

// ends tells whether an answer ends the stack with success.
func ends(c stack.Control) bool {
	return slices.ContainsFunc([]string{"success", "new_authtok_reqd", "default"}, func(value string) bool {
		return c.Names(value) && c.Action(value) == stack.Done
	})
}
