// Package throttle limits guessing: it says from the failures so far whether an answer may be judged
// now, and counts one failure more. It is pure: it keeps nothing and reads no clock.
//
// Passwords (Decide, Failed) are counted in a row. Codes are counted by source, and for the user over all
// sources: see Codes.
//
// Always true: a wait is never longer than Limits.LongestWait; zero Limits lock everybody out.
//
// With the defaults (3 free, 5 s doubling to 900 s, locked at 100) a guesser who knows the password
// has 50 guesses at 3 codes in a million each, from whatever number of addresses, and needs half a day for
// them; after that, none from where the owner never was.
package throttle

import (
	"math"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

// Limits are the settings of a throttle.
type Limits struct {
	Free        int           // so many failures in a row may follow each other without a wait
	FirstWait   time.Duration // after failure number Free; each further one doubles it
	LongestWait time.Duration
	Lock        int // so many failures in a row lock until root helps
}

// Kind says whether an answer may be judged. The zero value is none of them and allows nothing.
type Kind int

// The kinds.
const (
	Allowed Kind = iota + 1
	Wait
	Locked
)

// Verdict is the decision about one attempt.
type Verdict struct {
	Kind  Kind
	Until time.Time // of a Wait: when the next answer may be judged
	// Elsewhere says of Locked that codes are still judged from sources that are known.
	Elsewhere bool
}

// agreeing is how far two clocks, or two readings of one, may differ without one having been set.
const agreeing = time.Second

// Decide says whether an answer given now may be judged.
//
// A last failure that lies in the future shows that the clock was set back since: how much of the wait
// has passed can't be known, so the wait is over rather than longer than it was meant to be. That
// gives a guesser one guess for each time root sets the clock back; the count towards the lock goes on.
func Decide(l Limits, a account.Attempts, now time.Time) Verdict {
	if a.Failures >= l.Lock {
		return Verdict{Kind: Locked}
	}
	return l.pause(a, now)
}

// pause is Decide without a lock.
func (l Limits) pause(a account.Attempts, now time.Time) Verdict {
	wait := l.wait(a.Failures)
	since := now.Sub(a.Last)
	if wait == 0 || since >= wait || since < -agreeing {
		return Verdict{Kind: Allowed}
	}
	return Verdict{Kind: Wait, Until: now.Add(wait - max(since, 0))}
}

// Failed counts a failure at the time now.
func Failed(_ Limits, a account.Attempts, now time.Time) account.Attempts {
	if a.Failures < math.MaxInt32 {
		a.Failures++
	}
	a.Last = now.Round(0).UTC()
	return a
}

// wait is how long to wait after so many failures in a row.
func (l Limits) wait(failures int) time.Duration {
	if failures < l.Free || failures <= 0 {
		return 0
	}
	wait := min(l.FirstWait, l.LongestWait)
	for range failures - max(l.Free, 1) {
		if wait >= l.LongestWait/2 {
			return l.LongestWait
		}
		wait *= 2
	}
	return wait
}

// Seconds tells a wait in whole seconds, rounded up: whoever waits as long as told has waited long
// enough.
func Seconds(wait time.Duration) int {
	return max(1, int((wait+time.Second-1)/time.Second))
}
