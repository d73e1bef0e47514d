package verify

import (
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/totpd/totpd/daemon/control/otpauth"
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

// codeAt is the device's code of a step.
func codeAt(d account.Device, secret []byte, step int64) (string, error) {
	hash, ok := Hash(d.Algorithm)
	if !ok || !otpauth.Digits(d.Digits) {
		return "", errors.New("a device of an unknown kind")
	}
	return hotp.GenerateCodeCustom(otpauth.Encode(secret), uint64(step), hotp.ValidateOpts{
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

// steps returns the device's steps up to around steps before and after the center, which is so many after the
// present one; the nearest to the center first.
func steps(d account.Device, center, around int, now time.Time) []int64 {
	present := stepAt(d, now)
	if present < 0 {
		return nil
	}
	middle := present + int64(center)
	var all []int64
	for offset := -around; offset <= around; offset++ {
		if step := middle + int64(offset); step >= 0 {
			all = append(all, step)
		}
	}
	slices.SortStableFunc(all, func(a, b int64) int { return int(abs(a-middle) - abs(b-middle)) })
	return all
}

// matching returns the steps among candidates whose code is code. Each candidate is computed and
// compared, so that the time taken doesn't show which one it was.
func matching(d account.Device, secret []byte, code string, candidates []int64) []int64 {
	var found []int64
	for _, step := range candidates {
		want, err := codeAt(d, secret, step)
		if err == nil && len(want) == len(code) && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = append(found, step)
		}
	}
	return found
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
