package login

import (
	"fmt"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/source"
)

// session returns the hash of the terminal session that sudo, su or the like asks in, for this user and this
// service, or nil. Who asks, and at which terminal, is root's word.
func (d *Dialogue) session() []byte {
	if !d.caller.Root || d.caller.Session == nil || d.rule.Grace <= 0 || !d.source().Local() || !source.IsTerminal(d.open.TTY) {
		return nil
	}
	name := d.caller.Session()
	if name == "" {
		return nil
	}
	text := fmt.Sprintf("%q %q %q %q", name, d.open.TTY, d.open.RUser, d.open.Service)
	return d.service.key.Hash(d.user, account.PurposeGrace, text)
}

// inGrace says whether a code was right in this session a moment ago.
func (d *Dialogue) inGrace(acc account.Account, now time.Time) bool {
	hash := d.session()
	return hash != nil && slices.ContainsFunc(acc.Grace, func(g account.Grace) bool {
		return slices.Equal(g.Hash, hash) && counts(g.Since, g.Expires, d.rule.Grace, now)
	})
}

// graced returns a copy of acc in which the session has its grace, if it may have one: no hash is none.
func graced(acc account.Account, hash []byte, grace time.Duration, now time.Time) account.Account {
	if hash == nil {
		return acc
	}
	now = now.Round(0).UTC()
	others := slices.DeleteFunc(slices.Clone(acc.Grace), func(g account.Grace) bool {
		return slices.Equal(g.Hash, hash) || !now.Before(g.Expires)
	})
	others = others[max(0, len(others)-account.GraceMax+1):]
	acc.Grace = append(others, account.Grace{Hash: hash, Since: now, Expires: now.Add(grace)})
	return acc
}
