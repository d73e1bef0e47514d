package bus

import (
	"strings"
	"unicode"

	"github.com/totpd/totpd/daemon/internal/audit"
)

// told is a signal before it is known who hears it.
type told struct {
	name  string
	user  string // whose account it is about
	owner bool   // the owner hears it too, not only root
	body  []any
}

// signalsOf returns what is told of an event: most are nobody's concern but the journal's.
func signalsOf(e audit.Event) []told {
	user := clean(e.User)
	switch {
	case e.Kind == audit.Login && failed(e):
		// Whoever asks for a login that isn't theirs, without being a login program, chooses all the words
		// in it: nothing to put before the eyes of somebody else.
		owner := e.Reason != "not_own_login"
		all := []told{{"Refused", user, owner, []any{user, clean(e.Service), clean(e.Source), clean(e.Reason), clean(e.Reference)}}}
		return append(all, locked(e, user)...)
	case e.Kind == audit.Setup && e.Result == audit.Lost:
		return []told{{"Lost", "", false, []any{clean(e.Detail), clean(e.Reference)}}}
	case e.Kind == audit.Setup && e.Result == audit.Done:
		return []told{{"Restored", "", false, []any{clean(e.Reference)}}}
	case e.Result == audit.Refused:
		return locked(e, user)
	case e.Kind == audit.Enrol && e.Result == audit.Done:
		return []told{{"Enrolled", user, true, []any{user, clean(e.Device)}}}
	case (e.Kind == audit.Disable || e.Kind == audit.Reset) && e.Result == audit.Done:
		return []told{{"Disabled", user, true, []any{user}}}
	}
	return nil
}

// failed says whether a login ended without its user being let in. Broken off at the question for the
// code counts: somebody had the password.
func failed(e audit.Event) bool {
	return e.Result == audit.Refused || e.Result == audit.Unavailable ||
		e.Result == audit.Abandoned && e.Reason == "before_answer"
}

func locked(e audit.Event, user string) []told {
	if e.Reason != "wrong_code_locks" {
		return nil
	}
	return []told{{"Locked", user, true, []any{user, clean(e.Reference)}}}
}

// clean returns s as a string of D-Bus, UTF-8 without NUL, in which nothing steers a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, s)
}
