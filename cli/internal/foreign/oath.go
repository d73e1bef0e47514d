package foreign

import (
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
)

// oathTypes are the types of a UsersFile, by the period of their devices: 0 is event-based.
var oathTypes = map[string]int{"HOTP": 0, "HOTP/E": 0, "HOTP/T30": 30, "HOTP/T60": 60}

// oathTime is how a UsersFile spells the time of the last login, in the host's time zone.
const oathTime = "2006-01-02T15:04:05L"

// OATH reads a UsersFile of the OATH Toolkit (pam_oath), whose times are of the zone. A user may be in
// several lines. dropPINs takes over those too who had to type a PIN before the code.
//
// The moving factor is that of the last code accepted, if one is recorded, else that of the first to come.
// Of a time-based device only the last code is recorded: that one, and those before it, count as used.
func OATH(place, text string, zone *time.Location, dropPINs bool) []Found {
	var all []Found
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		f := Found{Places: []string{fmt.Sprintf("%s:%d", place, number)}}
		oathLine(&f, fields, zone, dropPINs)
		all = append(all, f)
	}
	return Merge(all)
}

// oathLine reads: TYPE USER PIN SECRET [MOVING-FACTOR [LAST-CODE [TIME]]].
func oathLine(f *Found, fields []string, zone *time.Location, dropPINs bool) {
	kind, digits := fields[0], "6"
	if base, n, ok := cutLast(kind, "/"); ok && len(n) == 1 && n[0] >= '0' && n[0] <= '9' {
		kind, digits = base, n
	}
	period, known := oathTypes[kind]
	if !known || kind == "HOTP" && fields[0] != "HOTP" || len(fields) > 7 {
		f.refuse("not a line of a UsersFile: TYPE USER PIN SECRET, with HOTP, HOTP/E, HOTP/T30 or HOTP/T60 as TYPE, and at most 3 words more")
		return // and no user: what stands there may be a password
	}
	if len(fields) > 1 {
		f.User = fields[1]
	}
	switch {
	case len(fields) < 4:
		f.refuse("the line has no secret")
	case !otpauth.Digits(int(digits[0] - '0')):
		f.refuse("its codes have %s digits, not %s", digits, otpauth.DigitsText)
	}
	if f.Refused != nil {
		return
	}
	if pin := fields[2]; pin != "-" && pin != "+" {
		if !dropPINs {
			f.refuse("a PIN stands before its codes, and totpd has none: --ignore-pin takes the user over without it")
			return
		}
		f.note("the PIN is not taken over")
	}
	secret, err := hex.DecodeString(fields[3])
	if err != nil {
		f.refuse("the secret is not hexadecimal")
		return
	}
	if err := otpauth.Sized(secret); err != nil {
		f.refuse("%v", err)
		return
	}
	d := newDevice(token, secret)
	d.Digits = int(digits[0] - '0')
	factor := int64(0)
	if len(fields) > 4 {
		if factor, err = strconv.ParseInt(fields[4], 10, 64); err != nil || factor < 0 || factor >= otpauth.CounterMax {
			f.refuse("the moving factor is no number that a counter can have")
			return
		}
	}
	last := ""
	if len(fields) > 5 {
		last = fields[5]
	}
	if d.Period = period; period == 0 {
		if last != "" {
			factor++
		}
		eventBased(&d, factor)
	} else if last != "" {
		oathUsed(f, &d, secret, last, fields[6:], zone)
	}
	f.Devices = []control.ImportDevice{d}
}

// oathUsed finds the step of the last code accepted, near the time at which it was.
func oathUsed(f *Found, d *control.ImportDevice, secret []byte, last string, at []string, zone *time.Location) {
	if len(at) == 0 {
		f.refuse("the last code has no time, so that it can't be told from one that is still to come")
		return
	}
	then, err := time.ParseInLocation(oathTime, at[0], zone)
	if err != nil || then.Unix() < 0 {
		f.refuse("the time of the last code is not like 2026-01-31T23:59:59L")
		return
	}
	// In the hour that comes twice in autumn, the time may be the other one's.
	for _, hour := range []time.Duration{0, time.Hour, -time.Hour} {
		present := then.Add(hour).Unix() / int64(d.Period)
		for off := int64(0); off <= searched; off++ {
			for _, step := range []int64{present - off, present + off} {
				if step >= 0 && isCode(secret, step, d.Digits, last) {
					d.Used = steps(step, skewMax+1)
					return
				}
			}
		}
	}
	f.note("the last code is none of this secret at that time: all codes of that time count as used")
	d.Used = append(steps(then.Unix()/int64(d.Period), skewMax+1), steps(then.Unix()/int64(d.Period)+skewMax, skewMax)...)
}

// searched is how far from the time of its use a code is looked for, in steps: farther than any window that
// people set.
const searched = 60

func isCode(secret []byte, step int64, digits int, code string) bool {
	want, err := hotp.GenerateCodeCustom(otpauth.Encode(secret), uint64(step),
		hotp.ValidateOpts{Digits: otp.Digits(digits), Algorithm: otp.AlgorithmSHA1})
	return err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1
}

// cutLast cuts s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
