package throttle

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/source"
)

// OddsMax is what the wrong codes of one account may win in a year at the most, in hundred-millionths: 3
// in 10,000. That is 100 guesses at the three codes that one device of 6 digits may show.
const OddsMax = 30_000

const (
	knownWait = 30 * time.Second     // the longest from a known source
	rowEnds   = 24 * time.Hour       // without a failure of a stranger's, their next one is the first of a row
	period    = 365 * 24 * time.Hour // failures are kept for one at least, and for two at the most
)

// recoveryLimits are those of recovery and bypass codes. They can't be guessed; what is limited is the work
// that the attempts make.
var recoveryLimits = Limits{Free: 3, FirstWait: 5 * time.Second, LongestWait: time.Minute}

// Codes limits the guessing of one account's codes, from one source. A source is known when a login from
// there has succeeded; all others are strangers.
//
// Two budgets. What all failures together could have won is counted for the user alone, from anywhere, and a
// success doesn't clear it: it forgives what the very login that succeeds has failed before, no more. Else a
// guesser could begin anew after each of the owner's logins. At OddsMax, or at Limits.Lock failures, the
// account is locked until somebody unlocks it; for strangers at half of that, so that they can't use up what
// the owner's own mistakes of a year or two need (make attack-sim). Waits are for source and user: a known source waits for its own failures in a row
// alone, knownWait at the most; strangers wait for one another's, so that many addresses are no faster than
// one.
type Codes struct {
	Limits Limits
	Source string // source.Key
	Odds   int    // of one guess, in hundred-millionths
	Usual  int    // the same without what is only now accepted: what a failure is forgiven with
}

// Decide says whether a code given now may be judged.
func (c Codes) Decide(a account.Account, now time.Time) Verdict {
	i := known(a, c.Source)
	locks, odds := c.Limits.Lock, OddsMax
	if i < 0 {
		locks, odds = forStrangers(locks), min(OddsMax/2, OddsMax-c.Odds)
	}
	if n := Failures(a); n >= locks || n > 0 && c.spent(a).total()+c.Odds > odds {
		v := Verdict{Kind: Locked}
		if i < 0 && len(a.Sources) > 0 {
			v.Elsewhere = Codes{c.Limits, a.Sources[0].Key, c.Odds, c.Usual}.Decide(a, now).Kind != Locked
		}
		return v
	}
	return c.pause(a, i, now)
}

// Failed counts a wrong code at the time now.
func (c Codes) Failed(a account.Account, now time.Time) account.Account {
	s := c.spent(a)
	if s.Since.IsZero() {
		s.Since = now.Round(0).UTC()
	}
	s.Odds = min(s.Odds+max(c.Odds, 1), math.MaxInt32)
	strangers := strangersOf(a, now)
	a.Spent = account.Spent(s)
	a.Codes = Failed(c.Limits, a.Codes, now)
	if i := known(a, c.Source); i >= 0 {
		return rowGrows(a, i, now)
	}
	a.Strangers = Failed(c.Limits, strangers, now)
	return a
}

// Succeeded makes the source known and forgives failed failures: those of the login that succeeds. It also
// drops what has been kept for longer than a year.
func (c Codes) Succeeded(a account.Account, failed int, now time.Time) account.Account {
	s := c.spent(a)
	failed = max(0, min(failed, a.Codes.Failures))
	a.Codes.Failures -= failed
	s.Odds = max(0, s.Odds-failed*c.Usual)
	if a.Codes.Failures == 0 {
		s.Odds = 0
	}
	switch age := now.Sub(s.Since); {
	case s.Since.IsZero(), age < -agreeing: // of before it was kept, or of a clock that was wrong
		s.Since = now.Round(0).UTC()
	case age >= period:
		s = spent{Since: now.Round(0).UTC(), Earlier: a.Codes.Failures, EarlierOdds: s.Odds}
		a.Codes.Failures = 0
	}
	if a.Codes.Failures == 0 {
		a.Codes = account.Attempts{}
		if s.Earlier == 0 {
			s = spent{}
		}
	}
	a.Spent = account.Spent(s)
	if known(a, c.Source) < 0 {
		if a.Strangers.Failures -= failed; a.Strangers.Failures <= 0 {
			a.Strangers = account.Attempts{}
		}
	}
	a.WrongRecovery = account.Attempts{}
	return Know(a, c.Source, now)
}

// DecideRecovery says whether a recovery or bypass code given now may be judged. It is never locked.
func (c Codes) DecideRecovery(a account.Account, now time.Time) Verdict {
	if i := known(a, c.Source); i >= 0 {
		return c.pause(a, i, now)
	}
	return recoveryLimits.pause(a.WrongRecovery, now)
}

// FailedRecovery counts a wrong recovery or bypass code: it makes wait, and locks nothing.
func (c Codes) FailedRecovery(a account.Account, now time.Time) account.Account {
	if i := known(a, c.Source); i >= 0 {
		return rowGrows(a, i, now)
	}
	a.WrongRecovery = Failed(recoveryLimits, a.WrongRecovery, now)
	return a
}

// pause is the wait of the source i, or of strangers where it is below 0.
func (c Codes) pause(a account.Account, i int, now time.Time) Verdict {
	if i < 0 {
		return c.Limits.pause(strangersOf(a, now), now)
	}
	l, s := c.Limits, a.Sources[i]
	l.LongestWait = min(l.LongestWait, knownWait)
	return l.pause(account.Attempts{Failures: s.Failures, Last: s.Last}, now)
}

// Know makes the source known, as a login from there does, unless it is vague.
func Know(a account.Account, from string, now time.Time) account.Account {
	if source.Vague(from) {
		return a
	}
	sources := slices.DeleteFunc(slices.Clone(a.Sources), func(s account.Source) bool { return s.Key == key(from) })
	sources = append(sources, account.Source{Key: key(from), Used: now.UTC().Truncate(time.Second)})
	a.Sources = sources[max(0, len(sources)-account.SourcesMax):]
	return a
}

// Unlock takes back all failures with codes. The sources stay known.
func Unlock(a account.Account) account.Account {
	a.Codes, a.Strangers, a.WrongRecovery = account.Attempts{}, account.Attempts{}, account.Attempts{}
	a.Spent = account.Spent{}
	a.Sources = slices.Clone(a.Sources)
	for i := range a.Sources {
		a.Sources[i].Failures, a.Sources[i].Last = 0, time.Time{}
	}
	return a
}

// Failures is how many wrong codes count towards the lock.
func Failures(a account.Account) int { return a.Codes.Failures + a.Spent.Earlier }

// rowGrows counts a failure of the source i.
func rowGrows(a account.Account, i int, now time.Time) account.Account {
	a.Sources = slices.Clone(a.Sources)
	s := &a.Sources[i]
	row := Failed(Limits{}, account.Attempts{Failures: s.Failures}, now)
	s.Failures, s.Last = row.Failures, row.Last
	return a
}

// forStrangers is after how many failures strangers are locked.
func forStrangers(lock int) int {
	if lock <= 1 {
		return lock
	}
	return lock / 2
}

// strangersOf is the row of strangers' failures. Where no source is known, and in an account from before
// sources were told apart, all failures are theirs.
func strangersOf(a account.Account, now time.Time) account.Attempts {
	row := a.Strangers
	if row == (account.Attempts{}) && len(a.Sources) == 0 {
		row = a.Codes
	}
	if now.Sub(row.Last) >= rowEnds {
		row.Failures = 0
	}
	return row
}

type spent account.Spent

func (s spent) total() int { return s.Odds + s.EarlierOdds }

// spent is what the failures could have won. Those from before it was kept count as one guess of now each.
func (c Codes) spent(a account.Account) spent {
	s := spent(a.Spent)
	if s.Since.IsZero() {
		s.Odds = min(a.Codes.Failures, math.MaxInt32/max(c.Odds, 1)) * c.Odds
	}
	return s
}

// known is where the source is in the account, or -1.
func known(a account.Account, source string) int {
	k := key(source)
	return slices.IndexFunc(a.Sources, func(s account.Source) bool { return s.Key == k })
}

// key is the source as an account keeps it: what is long, or would look different in JSON, is hashed.
func key(source string) string {
	plain := source != "" && len(source) <= account.SourceMax
	for i := range len(source) {
		plain = plain && source[i] >= ' ' && source[i] <= '~'
	}
	if plain {
		return source
	}
	sum := sha256.Sum256([]byte(source))
	return "#" + hex.EncodeToString(sum[:16])
}
