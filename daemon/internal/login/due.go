package login

import (
	"context"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/source"
)

// source is where the login comes from. What others than root say of that counts for nothing.
func (d *Dialogue) source() source.Source {
	if !d.caller.Root {
		return source.Of(d.user, "", "")
	}
	return source.Of(d.user, d.open.RHost, d.open.RUser)
}

// due asks the rules what is asked of the account's user. The name service is asked only where they
// depend on it, and when it fails, so does this: a rule is never passed over.
func (d *Dialogue) due(ctx context.Context, acc account.Account, now time.Time) (policy.Decision, error) {
	s := d.service
	q := policy.Question{User: d.user, Service: d.open.Service, Source: d.source(), MustEnrol: acc.MustEnrol, Now: now}
	if groups := s.cfg.Rules.Groups(q); len(groups) > 0 {
		var err error
		if q.Groups, err = s.groups(ctx, d.user, groups); err != nil {
			return policy.Decision{}, err
		}
	}
	return s.decide(s.cfg.Rules, q), nil
}
