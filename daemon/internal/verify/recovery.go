package verify

import (
	"crypto/subtle"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// shortDigits is how many digits a short recovery code has.
const shortDigits = 8

func hasStrong(acc account.Account) bool {
	return slices.ContainsFunc(acc.Recovery, func(r account.Recovery) bool { return !r.Short })
}

func hasShort(acc account.Account) bool {
	return slices.ContainsFunc(acc.Recovery, func(r account.Recovery) bool { return r.Short })
}

func hasBypass(acc account.Account, now time.Time) bool {
	return slices.ContainsFunc(acc.Bypass, func(b account.Bypass) bool { return b.Live(now) })
}

// recovery judges a recovery code of 60 bits. No number of guesses finds it, so it is judged during a wait or
// a lock of codes too, and doesn't count towards the lock.
func (a attempt) recovery() (account.Account, Outcome) {
	if out, ok := a.unguessable(); !ok {
		return a.acc, out
	}
	if acc, out := a.spend(false); out.Kind != Wrong {
		return acc, out
	}
	return a.wrongRecovery(RecoveryCode)
}

// bypass judges a bypass code, of 50 bits: see recovery. It touches no device.
func (a attempt) bypass() (account.Account, Outcome) {
	if out, ok := a.unguessable(); !ok {
		return a.acc, out
	}
	hash, found := a.Hash(account.PurposeBypass, a.text), -1
	for i, b := range a.acc.Bypass {
		if subtle.ConstantTimeCompare(hash, b.Hash) == 1 && b.Live(a.now) {
			found = i
		}
	}
	if found < 0 {
		return a.wrongRecovery(BypassCode)
	}
	id := a.acc.Bypass[found].ID
	acc := a.succeeded(true)
	found = slices.IndexFunc(acc.Bypass, func(b account.Bypass) bool { return b.ID == id })
	if acc.Bypass[found].Uses--; acc.Bypass[found].Uses == 0 {
		acc.Bypass = slices.Delete(acc.Bypass, found, found+1)
	}
	return acc, Outcome{Kind: Accepted, Way: BypassCode}
}

// unguessable is what stands before the comparison of a recovery or bypass code.
func (a attempt) unguessable() (Outcome, bool) {
	if v := a.codes(a.acc, a.login, a.now).DecideRecovery(a.acc, a.now); v.Kind != throttle.Allowed {
		return Outcome{Kind: Waiting, Until: v.Until}, false
	}
	return Outcome{}, true
}

// spend takes the recovery code away that the text is, if it is one, with every grant of not being asked:
// whoever had to use it may have lost what was trusted. Each hash is compared, so that the time taken doesn't
// show which one it was.
func (a attempt) spend(short bool) (account.Account, Outcome) {
	hash, found := a.Hash(account.PurposeRecovery, a.text), -1
	for i, r := range a.acc.Recovery {
		if subtle.ConstantTimeCompare(hash, r.Hash) == 1 && r.Short == short {
			found = i
		}
	}
	if found < 0 {
		return a.acc, Outcome{Kind: Wrong}
	}
	acc := a.succeeded(true)
	acc.Recovery = slices.Delete(slices.Clone(acc.Recovery), found, found+1)
	acc.Remembered, acc.Grace = nil, nil
	return acc, Outcome{Kind: Accepted, Way: RecoveryCode, Left: len(acc.Recovery)}
}

func (a attempt) wrongRecovery(way Way) (account.Account, Outcome) {
	limit := a.codes(a.acc, a.login, a.now)
	acc := limit.FailedRecovery(pruned(a.acc, a.now), a.now)
	out := Outcome{Kind: Wrong, Way: way}
	if v := limit.DecideRecovery(acc, a.now); v.Kind == throttle.Wait {
		out.Until = v.Until
	}
	return acc, out
}
