package verify

import (
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
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
	typed, ok := digits(code)
	if !ok || len(typed) != d.Digits {
		return First{Kind: FirstMalformed}
	}
	if len(secret) == 0 || d.Period <= 0 {
		return First{Kind: FirstWrong}
	}
	if found := matches(d, secret, typed, window(d, -skew, skew, now)); len(found) > 0 {
		return First{Kind: FirstConfirmed, Step: found[0]}
	}
	period := time.Duration(d.Period) * time.Second
	around := int(clockWithin / period)
	found := matches(d, secret, typed, steps(d, -around, around, now))
	if len(found) == 0 {
		return First{Kind: FirstWrong}
	}
	off := time.Duration(found[0]-stepAt(d, now)) * period
	if off < 0 && off >= -expiredWithin {
		return First{Kind: FirstExpired}
	}
	return First{Kind: FirstClock, ClockOff: off}
}
