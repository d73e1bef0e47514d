package server

import (
	"context"
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
	switch {
	case r.From == "" || r.From == "local":
		told.From = "local"
	case !source.CanBe(r.From):
		return control.Policy{}, c.malformed("from is an address, the name of a host, or local")
	default:
		q.Source = source.Of(c.user, r.From, "")
	}
	acc, _, err := c.control.Accounts.Get(ctx, c.user)
	if err != nil {
		return control.Policy{}, c.unreadable(err)
	}
	rules := c.control.Rules()
	q, err = rules.WithGroups(q, func(among []string) (in, unknown []string, err error) {
		return c.control.Names.GroupsOf(ctx, c.user, among)
	})
	if err != nil {
		return control.Policy{}, c.unavailable("user_lookup", err)
	}
	q.MustEnrol = acc.MustEnrol
	for _, rule := range rules {
		unmet, unknown := rule.Conditions(q)
		told.Rules = append(told.Rules, control.PolicyRule{Line: rule.Line, Unmet: append([]string{}, unmet...), Unknown: unknown})
		if rule.Match(q) == policy.Yes {
			break
		}
	}
	d := policy.Decide(rules, q)
	told.Require, told.EnrolBy, told.DaysLeft, told.EnrolHere = d.Kind.String(), d.EnrolBy, d.DaysLeft(q.Now), d.EnrolHere
	told.Doubt = d.Doubt
	told.Remember, told.Grace = int(d.Remember/(24*time.Hour)), int(d.Grace/time.Minute)
	told.Enrolled, told.MustEnrol, told.Asks = acc.Enrolled(), acc.MustEnrol, asks(d, acc, q.Now)
	if r.Reach {
		told.Enrols, told.ByNetwork = rules.Enrols(told.Service), rules.ByNetwork()
		if told.NoGroups, err = c.noGroups(ctx, rules); err != nil {
			return control.Policy{}, c.unavailable("user_lookup", err)
		}
		for _, addr := range rules.Addresses() {
			told.Addresses = append(told.Addresses, addr.String())
		}
	}
	return told, nil
}

// noGroups returns the groups of the rules that this host doesn't know.
func (c *call) noGroups(ctx context.Context, rules policy.Rules) (none []string, err error) {
	for _, name := range rules.AllGroups() {
		has, err := c.control.Names.HasGroup(ctx, name)
		if err != nil {
			return nil, err
		}
		if !has {
			none = append(none, name)
		}
	}
	return none, nil
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
