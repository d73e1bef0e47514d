package login

import (
	"cmp"
	"slices"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/wire"
)

// A combined login (wire.Open.Combined) asks before anybody has looked at the password. The module answers
// only once that is right, where it can tell. So what would refuse such a login before the answer waits for
// it, and is told to nobody who doesn't know the password; nor does a name that is nobody's look different
// from somebody's. A login is one answer: what is typed for another one has a password in it again.

// later keeps back a refusal of the Open in a combined login, for the answer. A trial has none.
func (d *Dialogue) later(m message, dec decision) decision {
	if !d.open.Combined || d.open.Trial || m != openMessage || dec.result != audit.Refused || dec.reason == "not_own_login" {
		return dec // what is the caller's fault, whoever the user is, needn't be kept from it
	}
	d.refusal = dec
	if d.tails == nil {
		d.tails = tails(account.Account{}) // of nobody
	}
	return decision{next: asked}
}

// appendQuestion appends the question of the state that the dialogue is in: in a combined login for password
// and code.
func (d *Dialogue) appendQuestion(frames []byte) ([]byte, error) {
	if d.state == asked && d.open.Combined {
		return wire.AppendCombined(frames, d.tails, askCombined)
	}
	style, text := d.question(d.state)
	return wire.AppendAsk(frames, style, text)
}

// usualDigits stand in for those of a user who has no device.
const usualDigits = 6

// tails are the numbers of digits that a code of the account may have, those of the device used last first.
func tails(acc account.Account) []byte {
	devices := slices.Clone(acc.Devices)
	slices.SortStableFunc(devices, func(a, b account.Device) int {
		return cmp.Or(b.LastUsed.Compare(a.LastUsed), b.Added.Compare(a.Added))
	})
	var all []byte
	for _, dev := range devices {
		if n := byte(dev.Digits); !slices.Contains(all, n) && len(all) < wire.TailsMax {
			all = append(all, n)
		}
	}
	if all == nil {
		all = []byte{usualDigits}
	}
	return all
}
