package audit

import (
	"strings"
	"time"
)

// Fair keeps a few from filling the history, and driving out what others did: whoever may connect, or try
// to log in, can cause any number of refusals, and an owner of some changes. What was judged, and what was changed
// otherwise, always counts.
type Fair struct {
	each   Allowances // of one uid, or of the logins as one user
	others Allowances // of all callers together that aren't root's
}

// NewFair returns a Fair that leaves most of the history to root's callers: sshd, login, su and the like.
func NewFair() *Fair {
	return &Fair{
		each:   Allowances{AtOnce: 500, Every: 2 * time.Minute, Most: 4096},
		others: Allowances{AtOnce: 5000, Every: 20 * time.Second, Most: 1},
	}
}

// costless are the changes that an owner can make without end: they take neither password nor code.
var costless = map[Kind]bool{Devices: true, Forget: true}

// guesses begin the reasons of refusals of which there can't be many: each makes wait, or locks.
var guesses = []string{"wrong_code", "wrong_recovery_code", "wrong_bypass_code", "wrong_password"}

// Judged says whether the event is the answer to something that cost its author an attempt, a code or a password.
// Nothing keeps it out of the journal or the history.
func (e *Event) Judged() bool {
	if e.Result == Done && !costless[e.Kind] || e.Result == Accepted && e.Kind == Login {
		return true
	}
	for _, reason := range guesses {
		if strings.HasPrefix(e.Reason, reason) {
			return true
		}
	}
	return false
}

// Keeps says whether the event is to be kept, and counts it.
func (f *Fair) Keeps(e Event) bool {
	if e.Judged() {
		return true
	}
	return f.each.Take(e.author(), e.At) && (e.Caller == "0" || f.others.Take("", e.At))
}

// author is who an event counts for: a uid, or where root's programs ask, the user. Names that are nobody's are
// one, and so are uids without a name, of which a user can have many.
func (e *Event) author() string {
	switch {
	case e.Nameless:
		return "uids without a name"
	case e.Caller != "0":
		return "uid " + e.Caller
	case e.Reason == "unknown_user":
		return "unknown users"
	}
	return "user " + e.User
}
