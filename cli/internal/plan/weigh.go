package plan

import (
	"fmt"

	"github.com/totpd/totpd/cli/internal/stack"
)

// weigh says what a finding means for turning the code on: a note about what stays as it is, or why it
// can't be done so.
func weigh(entries []stack.Entry, f stack.Finding) (note, bad string) {
	var e stack.Entry
	module := ""
	if f.Entry >= 0 {
		e = entries[f.Entry]
		module = e.Name() + ".so (" + e.Where() + ")"
	}
	switch f.Kind {
	case stack.Trust:
		if e.Name() == "pam_rootok" {
			return "root is let in without password and code, as before", ""
		}
		return module + " lets in without password and code whom it trusts, as before", ""
	case stack.Bypass:
		if e.Role() == stack.Has {
			return module + " lets in without a code, as before", ""
		}
		return "", fmt.Sprintf("%s lets in who has the right password without a code", e.Name())
	case stack.NoProof:
		if e.Role() == stack.Neutral || e.Role() == stack.Unknown {
			return module + " may let in without password and code, as before", ""
		}
		return "", "it lets in without a password"
	case stack.Early:
		return "", "the code would be asked for after a wrong password too, so that strangers could use up somebody's attempts"
	case stack.Twice:
		return "", "the code would be asked for twice"
	case stack.Behind:
		return "", "password and code would be asked for together after the password"
	case stack.Again:
		return "", module + " would ask for the password again"
	case stack.Overruled:
		return "", "it lets in although the code was wrong"
	case stack.Closed:
		return "", "it lets nobody in"
	case stack.Mute:
		return "", "whoever needs no code would be refused, for nothing else says yes: a line \"auth required pam_permit.so\" is missing after it"
	case stack.Broken:
		return "", e.Problem
	}
	return "", "it asks for no code"
}

// whereOf is the place that a refusal names.
func whereOf(service string, entries []stack.Entry, f stack.Finding) string {
	if f.Entry < 0 {
		return service
	}
	return entries[f.Entry].Where()
}
