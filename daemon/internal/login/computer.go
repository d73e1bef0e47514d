package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/wire"
)

// clocksAgree is how far two readings of a clock may differ without its having been set back.
const clocksAgree = time.Second

// counts says whether what was granted at since until expires still counts under a rule of now. A clock that
// was set back to before it was granted, or last used, shows that nothing can be said of its age.
func counts(since, expires time.Time, rule time.Duration, now time.Time) bool {
	return rule > 0 && !now.Before(since.Add(-clocksAgree)) && now.Before(expires) && now.Before(since.Add(rule))
}

// computer is what makes out the one that a login comes from.
type computer struct {
	from string // source.Source.Key
	name string // for people
	hash []byte
}

// computer returns the one that this login comes from: the ssh keys that sshd has verified with the source
// address or, without a key, that address and the service. Root's word alone counts for either. A name that
// a resolver gave, or a terminal of this host, is no address.
func (d *Dialogue) computer() (computer, bool) {
	if !d.caller.Root || !d.source().Addr.IsValid() {
		return computer{}, false
	}
	c := computer{from: d.source().Key()}
	var text string
	if keys := verifiedKeys(d.open.AuthInfo); len(keys) > 0 {
		text = fmt.Sprintf("key %q %q", c.from, keys)
		c.name = "ssh key " + fingerprint(keys[0])
	} else {
		text = fmt.Sprintf("service %q %q", c.from, d.open.Service)
		c.name = d.open.Service
	}
	c.hash = d.service.key.Hash(d.user, account.PurposeComputer, text)
	return c, true
}

// verifiedKeys returns the keys of SSH_AUTH_INFO_0 (sshd_config(5), ExposeAuthInfo): type and blob each.
func verifiedKeys(authInfo string) []string {
	var keys []string
	for line := range strings.Lines(authInfo) {
		if key, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "publickey "); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// fingerprint begins as that of ssh-keygen -l does. It is for people to tell their keys apart.
func fingerprint(key string) string {
	kind, blob, _ := strings.Cut(key, " ")
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		return kind
	}
	sum := sha256.Sum256(raw)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])[:16]
}

// needless returns the decision for a computer that is remembered, and for a terminal session in which a
// code was right a moment ago. Wrong codes that others type don't matter to either.
func (d *Dialogue) needless(ctx context.Context, acc account.Account, now time.Time) (decision, bool) {
	if d.inGrace(acc, now) {
		return decision{result: audit.NotDue, reason: "grace", detail: d.rule.Reason}, true
	}
	c, ok := d.computer()
	if !ok {
		return decision{}, false
	}
	i := d.recognised(acc, c, now)
	if i < 0 {
		return decision{}, false
	}
	if used := acc.Remembered[i].LastUsed; !sameDay(used, now) {
		err := d.service.store.Update(ctx, d.user, func(acc account.Account) (account.Account, error) {
			if i = d.recognised(acc, c, now); i < 0 { // forgotten in between
				return acc, errUnchanged
			}
			acc.Remembered = slices.Clone(acc.Remembered)
			acc.Remembered[i].LastUsed = day(now)
			return acc, nil
		})
		switch {
		case errors.Is(err, errUnchanged):
			return decision{}, false
		case err != nil:
			return d.unavailable("store", err), true
		}
	}
	return decision{result: audit.NotDue, reason: "remembered", detail: c.from + ", " + c.name}, true
}

// recognised returns which of the remembered computers this one is, or -1.
func (d *Dialogue) recognised(acc account.Account, c computer, now time.Time) int {
	return slices.IndexFunc(acc.Remembered, func(r account.Remembered) bool {
		last := r.Since
		if r.LastUsed.After(last) {
			last = r.LastUsed
		}
		return slices.Equal(r.Hash, c.hash) && !now.Before(last.Add(-clocksAgree)) && counts(r.Since, r.Expires, d.rule.Remember, now)
	})
}

// mayRemember says whether the person is asked to have the computer remembered. The code is used up by then,
// so only a module that takes a conversation that fails for a no may be told to ask.
func (d *Dialogue) mayRemember() bool {
	_, known := d.computer()
	return known && !d.open.Combined && d.rule.Remember > 0 && d.open.Version > wire.Oldest
}

// groundsOf are what a computer is remembered on the strength of. Whoever loses some of it while the question
// waits (disable, reset, a used recovery code) wants no computer remembered that passed before.
func groundsOf(acc account.Account) string {
	var b strings.Builder
	for _, d := range acc.Devices {
		fmt.Fprintf(&b, "device %q\n", d.ID)
	}
	for _, r := range acc.Recovery {
		fmt.Fprintf(&b, "recovery %x\n", r.Hash)
	}
	return b.String()
}

var errGrounds = errors.New("the account has changed meanwhile")

// remembered ends a login that waited for the answer, which must not cost it: a computer that can't be
// stored is not remembered, and the person gets in.
func (d *Dialogue) remembered(ctx context.Context, text []byte) decision {
	dec := d.passed
	c, known := d.computer()
	if a := strings.ToLower(strings.TrimSpace(string(text))); !known || a != "y" && a != "yes" {
		return dec
	}
	now := d.service.clock().Round(0).UTC()
	err := d.service.store.Update(ctx, d.user, func(acc account.Account) (account.Account, error) {
		if groundsOf(acc) != d.grounds {
			return acc, errGrounds
		}
		others := slices.DeleteFunc(slices.Clone(acc.Remembered), func(r account.Remembered) bool {
			return slices.Equal(r.Hash, c.hash) || !now.Before(r.Expires)
		})
		others = others[max(0, len(others)-account.RememberedMax+1):]
		acc.Remembered = append(others, account.Remembered{
			Hash: c.hash, From: c.from, Name: c.name, Since: now, Expires: now.Add(d.rule.Remember), LastUsed: day(now),
		})
		return acc, nil
	})
	if err != nil {
		dec.detail, dec.say = "computer not remembered: "+err.Error(), sayNotRemembered()
		return dec
	}
	d.granted = append(d.granted, c.hash)
	dec.detail = "computer remembered: " + c.from + ", " + c.name
	return dec
}

// day is the day of a time, as far as it is anybody's business.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func sameDay(a, b time.Time) bool { return day(a).Equal(day(b)) }
