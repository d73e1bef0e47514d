package login

import (
	"context"
	"slices"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// A verdict that nobody hears is no login. The module hangs up when it has waited long enough, and the daemon may
// find the messages of such logins when it goes on after a stop, or comes back to the socket that systemd held. So
// it looks whether anybody is there before it decides, before a change of the account, and before it records a
// decision that changed nothing. What happens between that look and the verdict is told by Undelivered.

func (d *Dialogue) gone() bool { return d.caller.Gone != nil && d.caller.Gone() }

// undelivered is the decision where nobody is there to hear one.
func (d *Dialogue) undelivered() decision {
	return decision{result: audit.Abandoned, reason: "not_delivered", device: d.passed.device}
}

// Undelivered records that what the last step said has not reached the module, and takes back what later logins
// would be spared a code for. A code that was accepted stays used.
func (d *Dialogue) Undelivered(ctx context.Context) {
	d.state = ended
	dec := d.undelivered()
	if err := d.withdraw(ctx); err != nil {
		dec.detail = "not taken back: " + err.Error()
	}
	d.record(dec)
}

func (d *Dialogue) withdraw(ctx context.Context) error {
	if len(d.granted) == 0 {
		return nil
	}
	ours := func(hash []byte) bool {
		return slices.ContainsFunc(d.granted, func(g []byte) bool { return slices.Equal(g, hash) })
	}
	return d.service.store.Update(ctx, d.user, func(acc account.Account) (account.Account, error) {
		acc.Grace = slices.DeleteFunc(slices.Clone(acc.Grace), func(g account.Grace) bool { return ours(g.Hash) })
		acc.Remembered = slices.DeleteFunc(slices.Clone(acc.Remembered), func(r account.Remembered) bool { return ours(r.Hash) })
		return acc, nil
	})
}
