package verify

import (
	"encoding/base32"
	"errors"
	"slices"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/totpd/totpd/daemon/internal/account"
)

// Hash returns pquerna's name for the algorithm, and false when there is none.
func Hash(a account.Algorithm) (otp.Algorithm, bool) {
	switch a {
	case account.SHA1:
		return otp.AlgorithmSHA1, true
	case account.SHA256:
		return otp.AlgorithmSHA256, true
	case account.SHA512:
		return otp.AlgorithmSHA512, true
	}
	return 0, false
}

var unpadded = base32.StdEncoding.WithPadding(base32.NoPadding)

// codeAt is the device's code of a step.
func codeAt(d account.Device, secret []byte, step int64) (string, error) {
	hash, ok := Hash(d.Algorithm)
	if !ok || d.Digits != 6 && d.Digits != 8 {
		return "", errors.New("a device of an unknown kind")
	}
	return hotp.GenerateCodeCustom(unpadded.EncodeToString(secret), uint64(step), hotp.ValidateOpts{
		Digits:    otp.Digits(d.Digits),
		Algorithm: hash,
	})
}

// stepAt is the device's step at the time t (RFC 6238 §4.2, T0 = 0), or -1 when there is none.
func stepAt(d account.Device, t time.Time) int64 {
	if d.Period <= 0 || t.Unix() < 0 {
		return -1
	}
	return t.Unix() / int64(d.Period)
}

// window returns the device's steps from the first to the last offset around the present one, at most
// SkewMax to each side, the nearest first.
func window(d account.Device, first, last int, now time.Time) []int64 {
	return steps(d, max(first, -SkewMax), min(last, SkewMax), now)
}

// steps returns the device's steps from the first to the last offset around the present one, the
// nearest first.
func steps(d account.Device, first, last int, now time.Time) []int64 {
	present := stepAt(d, now)
	if present < 0 {
		return nil
	}
	var all []int64
	for offset := first; offset <= last; offset++ {
		if step := present + int64(offset); step >= 0 {
			all = append(all, step)
		}
	}
	slices.SortStableFunc(all, func(a, b int64) int { return int(abs(a-present) - abs(b-present)) })
	return all
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
