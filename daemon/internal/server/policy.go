package server

import (
	"context"
	"net/netip"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/source"
)

// policy tells what the rules say about a login of the call's user.
func (c *call) policy(ctx context.Context, r control.PolicyRequest) (control.Policy, error) {
	told := control.Policy{User: c.user, Service: r.Service, From: r.From, Rules: []control.PolicyRule{}}
	if told.Service == "" {
		told.Service = "sshd"
	}
	q := policy.Question{User: c.user, Service: told.Service, Now: c.control.Clock()}
	switch _, err := netip.ParseAddr(r.From); {
	case r.From == "" || r.From == "local":
		told.From = "local"
	case err != nil:
		return control.Policy{}, c.malformed("from is an address, or local")
	default:
		q.Source = source.Of(c.user, r.From, "")
	}
	acc, _, err := c.control.Accounts.Get(ctx, c.user)
	if err != nil {
		return control.Policy{}, c.unreadable(err)
	}
	rules := c.control.Rules()
	q, err = rules.WithGroups(q, func(among []string) ([]string, error) { return c.control.Names.GroupsOf(ctx, c.user, among) })
	if err != nil {
		return control.Policy{}, c.unavailable("user_lookup", err)
	}
	q.MustEnrol = acc.MustEnrol
	for _, rule := range rules {
		unmet := rule.Unmet(q)
		told.Rules = append(told.Rules, control.PolicyRule{Line: rule.Line, Unmet: append([]string{}, unmet...)})
		if unmet == nil {
			break
		}
	}
	d := policy.Decide(rules, q)
	told.Require, told.EnrolBy, told.DaysLeft, told.EnrolHere = d.Kind.String(), d.EnrolBy, d.DaysLeft(q.Now), d.EnrolHere
	told.Remember, told.Grace = int(d.Remember/(24*time.Hour)), int(d.Grace/time.Minute)
	told.Enrolled, told.MustEnrol, told.Asks = acc.Enrolled(), acc.MustEnrol, asks(d, acc, q.Now)
	if r.Reach {
		told.Enrols = rules.Enrols(told.Service)
		for _, addr := range rules.Addresses() {
			told.Addresses = append(told.Addresses, addr.String())
		}
	}
	return told, nil
}

// asks is what a login that is decided so asks for.
func asks(d policy.Decision, acc account.Account, now time.Time) control.PolicyAsks {
	switch due := d.Due(acc.Enrolled(), acc.CanAnswer(now)); {
	case due == policy.Nothing:
		return control.AsksNothing
	case due == policy.Code:
		return control.AsksCode
	case due == policy.Enrolment && d.EnrolHere:
		return control.AsksToEnrol
	}
	return control.AsksTooMuch
}
