package audit

import (
	"sync"
	"time"
)

// What one uid, or the logins as one user, may add to the history: so many events at once, and then one at
// a time.
const (
	fairAtOnce = 500
	fairEvery  = 2 * time.Minute
	fairMax    = 4096 // of whom this is known
)

// Fair keeps a few from filling the history, and driving out what others did: whoever may connect, or try
// to log in, can cause any number of refusals, and an owner of some changes. What was changed otherwise, and who
// got in, always counts.
type Fair struct {
	mu   sync.Mutex
	left map[string]allowance
}

// allowance is what is left, at a time.
type allowance struct {
	events float64
	at     time.Time
}

// costless are the changes that an owner can make without end: they take neither password nor code.
var costless = map[Kind]bool{Devices: true, Forget: true}

// Keeps says whether the event is to be kept, and counts it.
func (f *Fair) Keeps(e Event) bool {
	if e.Result == Done && !costless[e.Kind] || e.Result == Accepted && e.Kind == Login {
		return true
	}
	who := "uid " + e.Caller
	switch {
	case e.Caller != "0":
	case e.Reason == "unknown_user":
		who = "unknown users"
	default:
		who = "user " + e.User
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a, known := f.left[who]
	switch {
	case known:
		a.events = min(fairAtOnce, a.events+max(0, e.At.Sub(a.at).Seconds()/fairEvery.Seconds()))
	default:
		if f.left == nil || len(f.left) >= fairMax {
			f.left = map[string]allowance{}
		}
		a.events = fairAtOnce
	}
	keeps := a.events >= 1
	if keeps {
		a.events--
	}
	a.at = e.At
	f.left[who] = a
	return keeps
}
