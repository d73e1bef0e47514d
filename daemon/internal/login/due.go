package login

import (
	"context"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/source"
)

// source is where the login comes from. What others than root say of that counts for nothing.
func (d *Dialogue) source() source.Source {
	if d.speaker {
		return source.Through(d.caller.User)
	}
	if !d.caller.Root {
		return source.Of(d.user, "", "")
	}
	return source.Told(source.Login{
		User: d.user, Service: d.open.Service, RHost: d.open.RHost, RUser: d.open.RUser, TTY: d.open.TTY,
	})
}

// notDue lets in who is asked for nothing, and tells who will be.
func (d *Dialogue) notDue(now time.Time) decision {
	dec := decision{result: audit.NotDue, reason: "not_enrolled", detail: d.rule.Reason}
	switch {
	case d.rule.Kind == policy.Exempt:
		dec.reason = "exempt"
	case d.rule.Kind == policy.Required:
		dec.say = sayEnrolBy(d.rule, now)
	}
	return dec
}

// due asks the rules what is asked of the account's user.
func (d *Dialogue) due(ctx context.Context, acc account.Account, now time.Time) (policy.Decision, error) {
	s := d.service
	q := policy.Question{User: d.user, Service: d.open.Service, Source: d.source(), MustEnrol: acc.MustEnrol, Now: now}
	q, err := s.cfg.Rules.WithGroups(q, func(among []string) (in, unknown []string, err error) { return s.groups(ctx, d.user, among) })
	if err != nil {
		return policy.Decision{}, err
	}
	return s.decide(s.cfg.Rules, q), nil
}
