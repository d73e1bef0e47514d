// Package verify judges a code (RFC 6238): account, answer and time in, verdict and changed account
// out. It is pure: it reads no clock, keeps nothing and prints nothing.
//
// Always true: a code lets in at most one login for each device, whatever the clock does, as long as
// its use is remembered (account.UsedMax uses, oldest dropped first); nothing is judged during a wait
// or a lock; an answer that is not 6 or 8 ASCII digits is never accepted; only Accepted and Wrong
// change the account, which the caller has durable before it tells the outcome.
package verify

import (
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// Kind is how an answer was judged. The zero value is none of them; whoever meets it refuses.
type Kind int

// The kinds. Accepted clears the failures. Wrong counts one. A Replayed code is right and used up, so
// it can't be a guess and a person who is too quick is not made to wait: it counts nothing. Neither
// does a Malformed answer, which can't be a code of this user.
const (
	Accepted     Kind = iota + 1
	Wrong             // no code of the user's near this time
	Replayed          // was accepted before
	Repeated          // was accepted before, in this very login, which lost the verdict: let in again
	Malformed         // not as many digits as any of the user's devices shows
	Waiting           // not judged: too early after the last failure
	Locked            // not judged: too many failures in a row
	BrokenSecret      // not judged: a secret of the user's can't be opened
	NotEnrolled       // not judged: there is nothing to compare with
)

// Outcome is a judgement. It holds no code.
type Outcome struct {
	Kind   Kind
	Device string    // of Accepted, Replayed and Repeated: the device's name
	Step   int64     // of Accepted, Replayed and Repeated: the step of the code (RFC 6238 §4.2)
	Until  time.Time // of Waiting; of Wrong when a wait begins with it
	Locks  bool      // of Wrong: it was one too many
	Err    error     // of BrokenSecret: what secrets returned
}

// repeatTime is for how long a login may repeat the code that it used. The PAM module waits no longer
// for any answer of the daemon (its argument timeout).
const repeatTime = 30 * time.Second

// Login is the login that answers, as far as it may repeat its answer. The zero value can't.
//
// A daemon that is killed when a use is on the disk and the verdict isn't sent leaves a login that has
// used up its code and doesn't know it. It asks the next daemon with the same id, which nobody else
// knows, and is let in.
type Login struct {
	Mark  []byte    // of account.MarkSize bytes: a hash of its id
	Since time.Time // when this daemon began: what it has accepted itself, it has also told
}

// SkewMax is the largest skew that is honoured: the whole window must stay below account.UsedMax.
const SkewMax = 10

// Answer judges answer at the time now against the account's devices, whose secrets it gets from
// secrets, with the codes of skew steps before and after the present one. It returns the account as
// it is to be stored; acc itself and what it points to stay as they are.
//
// One secret that can't be opened is enough for BrokenSecret: the store is damaged or belongs to
// another key, so nobody gets in on the strength of the rest.
func Answer(acc account.Account, answer string, secrets func(account.Device) ([]byte, error), skew int, limits throttle.Limits, login Login, now time.Time) (account.Account, Outcome) {
	if !acc.Enrolled() {
		return acc, Outcome{Kind: NotEnrolled}
	}
	if out, allowed := Allowed(acc, limits, now); !allowed {
		return acc, out
	}
	code, ok := digits(answer)
	if !ok || !slices.ContainsFunc(acc.Devices, func(d account.Device) bool { return d.Digits == len(code) }) {
		return acc, Outcome{Kind: Malformed}
	}
	keys := make([][]byte, len(acc.Devices))
	for i, d := range acc.Devices {
		key, err := secrets(d)
		if err == nil && len(key) == 0 {
			err = errors.New("the secret is empty")
		}
		if err != nil {
			return acc, Outcome{Kind: BrokenSecret, Device: d.Name, Err: err}
		}
		keys[i] = key
	}
	out := Outcome{Kind: Wrong}
	for i, d := range acc.Devices {
		candidates := window(d, -skew, skew, now)
		last, own := usedBy(d, login, now)
		if own && !slices.Contains(candidates, last) {
			candidates = append(candidates, last)
		}
		for _, step := range matches(d, keys[i], code, candidates) {
			switch {
			case own && step == last:
				return acc, Outcome{Kind: Repeated, Device: d.Name, Step: step}
			case !slices.Contains(d.Used, step):
				return accepted(acc, i, step, login, now), Outcome{Kind: Accepted, Device: d.Name, Step: step}
			}
			out = Outcome{Kind: Replayed, Device: d.Name, Step: step}
		}
	}
	if out.Kind == Replayed {
		return acc, out
	}
	acc.Codes = throttle.Failed(limits, acc.Codes, now)
	switch v := throttle.Decide(limits, acc.Codes, now); v.Kind {
	case throttle.Allowed:
	case throttle.Wait:
		out.Until = v.Until
	default:
		out.Locks = true
	}
	return acc, out
}

// Allowed says whether an answer of this account may be judged now; if not, the outcome is Waiting or
// Locked.
func Allowed(acc account.Account, limits throttle.Limits, now time.Time) (Outcome, bool) {
	switch v := throttle.Decide(limits, acc.Codes, now); v.Kind {
	case throttle.Allowed:
		return Outcome{}, true
	case throttle.Wait:
		return Outcome{Kind: Waiting, Until: v.Until}, false
	}
	return Outcome{Kind: Locked}, false
}

// accepted returns a copy of acc in which the step of device i is used up by login.
func accepted(acc account.Account, i int, step int64, login Login, now time.Time) account.Account {
	acc.Devices = slices.Clone(acc.Devices)
	acc.Devices[i] = Use(acc.Devices[i], step, now)
	if len(login.Mark) > 0 {
		d := &acc.Devices[i]
		d.Recent = append(d.Recent, account.Recent{Step: step, Mark: slices.Clone(login.Mark), At: d.LastUsed})
		d.Recent = d.Recent[max(0, len(d.Recent)-account.RecentMax):]
	}
	acc.Codes = account.Attempts{}
	return acc
}

// usedBy returns the step that login used just now, with a daemon before this one, and whether it did.
func usedBy(d account.Device, login Login, now time.Time) (step int64, own bool) {
	for _, r := range d.Recent {
		if isRecent(r, now) && r.At.Before(login.Since) && subtle.ConstantTimeCompare(login.Mark, r.Mark) == 1 {
			return r.Step, true
		}
	}
	return 0, false
}

func isRecent(r account.Recent, now time.Time) bool {
	ago := now.Sub(r.At)
	return ago >= 0 && ago <= repeatTime
}

// Use returns a copy of the device in which the code of step is used up, by no login. Of more than
// account.UsedMax used steps the oldest use is forgotten, not the lowest step: after a clock was wrong, the
// steps of the right time may be the lower ones.
func Use(d account.Device, step int64, now time.Time) account.Device {
	used := append(slices.Clone(d.Used), step)
	if n := len(used) - account.UsedMax; n > 0 {
		used = slices.Delete(used, 0, n)
	}
	d.Used = used
	d.Recent = slices.DeleteFunc(slices.Clone(d.Recent), func(r account.Recent) bool {
		return !isRecent(r, now) || !slices.Contains(used, r.Step)
	})
	d.LastUsed = now.Round(0).UTC()
	return d
}

// digits returns the code that a person typed: spaces and hyphens between digits are dropped, as
// authenticators show "123 456". Anything else than 6 or 8 ASCII digits is no code.
func digits(typed string) (code []byte, ok bool) {
	if len(typed) > 64 {
		return nil, false
	}
	for _, b := range []byte(typed) {
		switch {
		case b >= '0' && b <= '9':
			code = append(code, b)
		case b == ' ' || b == '-' || b == '\t':
		default:
			return nil, false
		}
	}
	return code, len(code) == 6 || len(code) == 8
}

// matches returns the steps among candidates whose code is code. Each candidate is computed and
// compared, so that the time taken doesn't show which one it was.
func matches(d account.Device, secret, code []byte, candidates []int64) []int64 {
	var found []int64
	for _, step := range candidates {
		want, err := codeAt(d, secret, step)
		if err == nil && len(want) == len(code) && subtle.ConstantTimeCompare([]byte(want), code) == 1 {
			found = append(found, step)
		}
	}
	return found
}
