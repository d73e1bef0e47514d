package verify

import (
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/recovery"
)

// FirstKind is how the first code of a new device was judged. The zero value is none of them.
type FirstKind int

// The kinds.
const (
	FirstConfirmed FirstKind = iota + 1
	FirstWrong               // no code of this secret within clockWithin
	FirstExpired             // was right until at most expiredWithin ago
	FirstClock               // right at another time within clockWithin
	FirstMalformed           // not as many digits as the device shows
)

// First is the judgement of a first code.
type First struct {
	Kind     FirstKind
	Step     int64         // of FirstConfirmed: to be recorded as used
	ClockOff time.Duration // of FirstClock: by how much the device is ahead; behind: negative
}

// How far from now a wrong first code is looked for, to tell the person what is the matter.
const (
	expiredWithin = 2 * time.Minute
	clockWithin   = 20 * time.Minute
)

// FirstCode judges the first code of a device that waits for its confirmation. Whoever types it has
// just been shown the secret: unlike Answer it may say how a code is wrong.
func FirstCode(d account.Device, secret []byte, code string, skew int, now time.Time) First {
	typed, kind := recovery.Normal(code)
	if kind != recovery.Digits || len(typed) != d.Digits {
		return First{Kind: FirstMalformed}
	}
	if len(secret) == 0 || d.Period <= 0 {
		return First{Kind: FirstWrong}
	}
	if found := matching(d, secret, typed, steps(d, 0, min(skew, SkewMax), now)); len(found) > 0 {
		return First{Kind: FirstConfirmed, Step: found[0]}
	}
	found := matching(d, secret, typed, steps(d, 0, around(d, clockWithin), now))
	if len(found) == 0 {
		return First{Kind: FirstWrong}
	}
	off := offset(d, found[0], now)
	if expired(off) {
		return First{Kind: FirstExpired}
	}
	return First{Kind: FirstClock, ClockOff: off}
}

// offset is by how much a step is ahead of the present one; behind: negative.
func offset(d account.Device, step int64, now time.Time) time.Duration {
	return time.Duration(step-stepAt(d, now)) * time.Duration(d.Period) * time.Second
}

// expired says whether a code that is so far ahead was right a moment ago, without a clock being wrong.
func expired(off time.Duration) bool { return off < 0 && off >= -expiredWithin }

// around is how many steps of the device there are in a time.
func around(d account.Device, t time.Duration) int {
	return int(t / (time.Duration(d.Period) * time.Second))
}
