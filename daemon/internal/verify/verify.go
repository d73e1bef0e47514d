// Package verify judges an answer: account, answer and time in, verdict and changed account out. An answer
// is a code of a device (RFC 6238, RFC 4226), a recovery code or a bypass code; its shape says which. It is
// pure: it reads no clock, keeps nothing and prints nothing.
//
// Always true: a code lets in at most one login for each device, whatever the clock does, as long as
// its use is remembered (account.UsedMax uses, oldest dropped first), a recovery code one login, a bypass
// code as many as it was made for; no code of a device is judged during a wait or a lock; only Accepted and
// Wrong change the account, which the caller has durable before it tells the outcome.
package verify

import (
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/recovery"
	"github.com/totpd/totpd/daemon/internal/source"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// Kind is how an answer was judged. The zero value is none of them; whoever meets it refuses.
type Kind int

// The kinds. Wrong counts a failure, which Accepted forgives in the same login. A Replayed code is right and
// used up, so it can't be a guess and a person who is too quick is not made to wait: it counts nothing.
// Neither does a Malformed answer, which can't be a code of this user.
const (
	Accepted     Kind = iota + 1
	Wrong             // no code of the user's, or one that isn't due
	Replayed          // was accepted before
	Repeated          // was accepted before, in this very login, which lost the verdict: let in again
	Malformed         // of no shape that a code of the user's has
	Waiting           // not judged: too early after the last failure
	Locked            // not judged: too many failures
	BrokenSecret      // not judged: a secret of the user's can't be opened
	NotEnrolled       // not judged: there is nothing to compare with
)

// Way is what an answer was, or was taken for. The zero value: nothing of the user's.
type Way int

// The ways.
const (
	Code         Way = iota + 1 // of a device
	RecoveryCode                // a short one of another program's too
	BypassCode
)

// ways are what a text of each shape is taken for.
var ways = map[recovery.Kind]Way{recovery.Digits: Code, recovery.Recovery: RecoveryCode, recovery.Bypass: BypassCode}

// Outcome is a judgement. It holds no code.
type Outcome struct {
	Kind    Kind
	Way     Way       // of Accepted, Wrong, Replayed and Repeated
	Device  string    // of Code: the device's name
	Step    int64     // of Code: the step (RFC 6238 §4.2) or the counter (RFC 4226 §5.1) of the code
	Left    int       // of RecoveryCode: how many are left
	Until   time.Time // of Waiting; of Wrong when a wait begins with it
	Locks   bool      // of Wrong: it was one too many
	Counted int       // of Wrong: by how much Login.Failed grows
	// ClockOff, of Wrong, is not 0 when the code was right at another time: the device is ahead by so much, or
	// behind (negative). The device's next code is accepted.
	ClockOff time.Duration
	// Elsewhere, of Locked and of Wrong that locks: codes are still judged from where the user has logged in.
	Elsewhere bool
	// RecoveryOnly, of Waiting and Locked, and of Wrong after which that is so: it is long, and a recovery or
	// bypass code is judged nonetheless.
	RecoveryOnly bool
	Err          error // of BrokenSecret: what Open returned
}

// Judge is what answers are judged by.
type Judge struct {
	Open   func(account.Device) ([]byte, error) // a device's secret
	Hash   func(purpose, text string) []byte    // seal's, for this user
	Skew   int                                  // steps before and after the due one whose codes are accepted
	Limits throttle.Limits
}

// Key opens secrets and hashes what is only recognised, for one user each.
type Key interface {
	Open(user, device string, sealed []byte) ([]byte, error)
	Hash(user, purpose, text string) []byte
}

// By returns what the answers of a user are judged by.
func By(key Key, user string, skew int, limits throttle.Limits) Judge {
	return Judge{
		Open:   func(d account.Device) ([]byte, error) { return key.Open(user, d.ID, d.Sealed) },
		Hash:   func(purpose, text string) []byte { return key.Hash(user, purpose, text) },
		Skew:   skew,
		Limits: limits,
	}
}

// Login is the login that answers. The zero value is one from this host that can't repeat its answer.
//
// A daemon that is killed when a use is on the disk and the verdict isn't sent leaves a login that has
// used up its code and doesn't know it. It asks the next daemon with the same id, which nobody else
// knows, and is let in.
type Login struct {
	Mark   []byte    // of account.MarkSize bytes: a hash of its id
	Since  time.Time // when this daemon began: what it has accepted itself, it has also told
	Source string    // source.Key; empty: this host
	Failed int       // the Counted of its answers so far, which its success takes back
}

// repeatTime is for how long a login may repeat the code that it used. The PAM module waits no longer
// for any answer of the daemon (its argument timeout).
const repeatTime = 30 * time.Second

// longWait is after how long a wait a person is asked for a recovery code instead.
const longWait = time.Minute

// Answer judges answer at the time now. It returns the account as it is to be stored; acc itself and what
// it points to stay as they are.
//
// One secret that can't be opened is enough for BrokenSecret: the store is damaged or belongs to
// another key, so nobody gets in on the strength of the rest.
func (j Judge) Answer(acc account.Account, answer string, login Login, now time.Time) (account.Account, Outcome) {
	text, kind := recovery.Normal(answer)
	a := attempt{j, acc, text, login, now}
	switch {
	case a.repeats():
		return acc, Outcome{Kind: Repeated, Way: ways[kind], Left: len(acc.Recovery)}
	case !acc.Enrolled() && len(acc.Recovery) == 0 && len(acc.Bypass) == 0:
		return acc, Outcome{Kind: NotEnrolled}
	case kind == recovery.Recovery && hasStrong(acc):
		return a.recovery()
	case kind == recovery.Bypass && len(acc.Bypass) > 0:
		return a.bypass()
	case kind == recovery.Digits && (hasDigits(acc, len(text)) || len(text) == shortDigits && hasShort(acc)):
		return a.digits()
	}
	if out, allowed := j.Allowed(acc, login, now); !allowed {
		return acc, out
	}
	return acc, Outcome{Kind: Malformed}
}

// Allowed says whether a code of a device may be judged now; if not, the outcome is Waiting or Locked.
func (j Judge) Allowed(acc account.Account, login Login, now time.Time) (Outcome, bool) {
	limit := j.codes(acc, login, now)
	v := limit.Decide(acc, now)
	if v.Kind == throttle.Allowed {
		return Outcome{}, true
	}
	out := Outcome{Kind: Locked, Elsewhere: v.Elsewhere}
	if v.Kind == throttle.Wait {
		out = Outcome{Kind: Waiting, Until: v.Until}
	}
	if out.Kind == Waiting && v.Until.Sub(now) <= longWait || !hasStrong(acc) && !hasBypass(acc, now) {
		return out, false
	}
	if w := limit.DecideRecovery(acc, now); w.Kind == throttle.Wait {
		return Outcome{Kind: Waiting, Until: w.Until}, false
	}
	out.RecoveryOnly = true
	return out, false
}

// Held says how codes from a source that isn't known are held up now, and how those from one that is, the
// latest: as the others where there is none.
func (j Judge) Held(acc account.Account, now time.Time) (stranger throttle.Verdict, known throttle.Kind) {
	limit := j.codes(acc, Login{Source: "\x00"}, now)
	stranger = limit.Decide(acc, now)
	if n := len(acc.Sources); n > 0 {
		limit.Source = acc.Sources[n-1].Key
	}
	return stranger, limit.Decide(acc, now).Kind
}

// codes is the throttle of one login.
func (j Judge) codes(acc account.Account, login Login, now time.Time) throttle.Codes {
	odds, usual := j.odds(acc, now)
	return throttle.Codes{Limits: j.Limits, Source: sourceOf(login), Odds: odds, Usual: usual}
}

// here is this host.
var here source.Source

func sourceOf(login Login) string {
	if login.Source == "" {
		return here.Key()
	}
	return login.Source
}

// attempt is one answer.
type attempt struct {
	Judge
	acc   account.Account
	text  string // as recovery.Normal returns it
	login Login
	now   time.Time
}

// digits judges a code of a device, or a short recovery code.
func (a attempt) digits() (account.Account, Outcome) {
	if out, allowed := a.Allowed(a.acc, a.login, a.now); !allowed {
		return a.acc, out
	}
	keys, out := a.open()
	if out.Kind != 0 {
		return a.acc, out
	}
	out = Outcome{Kind: Wrong}
	for i, d := range a.acc.Devices {
		if d.Digits != len(a.text) {
			continue
		}
		for _, m := range a.matches(d, keys[i]) {
			m.out.Way, m.out.Device = Code, d.Name
			if m.out.Kind == Accepted {
				return a.accepted(i, m)
			}
			if out = m.out; out.Kind == Repeated {
				return a.acc, out
			}
		}
	}
	if out.Kind == Replayed {
		return a.acc, out
	}
	if len(a.text) == shortDigits && hasShort(a.acc) {
		if acc, out := a.spend(true); out.Kind != Wrong {
			return acc, out
		}
	}
	return a.wrong(keys)
}

// open opens the secrets of all devices.
func (a attempt) open() (keys [][]byte, out Outcome) {
	for _, d := range a.acc.Devices {
		key, err := a.Open(d)
		if err == nil && len(key) == 0 {
			err = errors.New("the secret is empty")
		}
		if err != nil {
			return nil, Outcome{Kind: BrokenSecret, Device: d.Name, Err: err}
		}
		keys = append(keys, key)
	}
	return keys, Outcome{}
}

// accepted returns the account in which the code of device i is used up.
func (a attempt) accepted(i int, m match) (account.Account, Outcome) {
	acc := a.succeeded(m.device.Kind == account.HOTP)
	acc.Devices = slices.Clone(acc.Devices)
	acc.Devices[i] = m.device
	return acc, m.out
}

// succeeded returns the account after a success of the login. remember has the account know the answer, so
// that the login can repeat it; devices with a clock remember their codes themselves.
func (a attempt) succeeded(remember bool) account.Account {
	acc := a.codes(a.acc, a.login, a.now).Succeeded(a.acc, a.login.Failed, a.now)
	acc = pruned(acc, a.now)
	if remember && len(a.login.Mark) > 0 {
		acc.Repeats = append(acc.Repeats, account.Repeat{
			Mark: slices.Clone(a.login.Mark), Hash: a.Hash(account.PurposeRepeat, a.text), At: a.now.Round(0).UTC(),
		})
		acc.Repeats = acc.Repeats[max(0, len(acc.Repeats)-account.RepeatsMax):]
	}
	return acc
}

// repeats says whether this login has used this answer just now, with a daemon before this one. Devices with
// a clock tell by themselves: see usedBy.
func (a attempt) repeats() bool {
	var hash []byte
	for _, r := range a.acc.Repeats {
		if !justNow(r.At, a.now) || !r.At.Before(a.login.Since) || subtle.ConstantTimeCompare(a.login.Mark, r.Mark) != 1 {
			continue
		}
		if hash == nil {
			hash = a.Hash(account.PurposeRepeat, a.text)
		}
		if subtle.ConstantTimeCompare(hash, r.Hash) == 1 {
			return true
		}
	}
	return false
}

// pruned drops what has expired. Its lists are copies.
func pruned(acc account.Account, now time.Time) account.Account {
	acc.Bypass = slices.DeleteFunc(slices.Clone(acc.Bypass), func(b account.Bypass) bool { return !b.Live(now) })
	acc.Repeats = slices.DeleteFunc(slices.Clone(acc.Repeats), func(r account.Repeat) bool { return !justNow(r.At, now) })
	return acc
}

// justNow says whether at is at most repeatTime ago.
func justNow(at, now time.Time) bool {
	ago := now.Sub(at)
	return ago >= 0 && ago <= repeatTime
}

// wrong counts a wrong code, and finds out whether it was right at another time.
func (a attempt) wrong(keys [][]byte) (account.Account, Outcome) {
	out := Outcome{Kind: Wrong, Way: Code, Counted: 1}
	acc := pruned(a.acc, a.now)
	acc.Devices = slices.Clone(acc.Devices)
	for i, d := range acc.Devices {
		if d.Digits != len(a.text) {
			continue
		}
		if mended, off, found := a.elsewhere(d, keys[i]); found {
			acc.Devices[i], out.ClockOff = mended, off
			break
		}
	}
	// What is counted is the odds of this guess, as they were when it was made.
	acc = a.codes(a.acc, a.login, a.now).Failed(acc, a.now)
	switch after, allowed := a.Allowed(acc, a.login, a.now); {
	case allowed:
	case after.Kind == Waiting:
		out.Until, out.RecoveryOnly = after.Until, after.RecoveryOnly
	default:
		out.Locks, out.Elsewhere, out.RecoveryOnly = true, after.Elsewhere, after.RecoveryOnly
	}
	return acc, out
}

// hasDigits says whether a device of the account shows codes of so many digits.
func hasDigits(acc account.Account, digits int) bool {
	return slices.ContainsFunc(acc.Devices, func(d account.Device) bool { return d.Digits == digits })
}
