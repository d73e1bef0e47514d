package login

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

func from(t *testing.T, text string) []policy.Place {
	t.Helper()
	p, err := policy.ParsePlace(text)
	if err != nil {
		t.Fatal(err)
	}
	return []policy.Place{p}
}

// Rules reach the login with all they may depend on. alice has enrolled: asked is 0.
func TestRulesOfALogin(t *testing.T) {
	self := Caller{UID: 1000, User: "alice"}
	exempt := func(r policy.Rule) policy.Rules {
		r.Require = policy.Exempt
		return policy.Rules{r}
	}
	open := wire.Open{User: "alice", Service: "sshd", RHost: "192.0.2.7"}
	for name, c := range map[string]struct {
		rules  policy.Rules
		caller Caller
		open   wire.Open
		want   wire.Outcome
	}{
		"everybody":           {exempt(policy.Rule{}), root, open, wire.NotDue},
		"user":                {exempt(policy.Rule{Users: []string{"alice"}}), root, open, wire.NotDue},
		"another user":        {exempt(policy.Rule{Users: []string{"bob"}}), root, open, 0},
		"group":               {exempt(policy.Rule{Groups: []string{"robots", "alices"}}), root, open, wire.NotDue},
		"another group":       {exempt(policy.Rule{Groups: []string{"robots"}}), root, open, 0},
		"service":             {exempt(policy.Rule{Services: []string{"sshd"}}), root, open, wire.NotDue},
		"another service":     {exempt(policy.Rule{Services: []string{"su"}}), root, open, 0},
		"network":             {exempt(policy.Rule{From: from(t, "192.0.2.0/24")}), root, open, wire.NotDue},
		"another network":     {exempt(policy.Rule{From: from(t, "192.0.3.0/24")}), root, open, 0},
		"terminal, from afar": {exempt(policy.Rule{From: from(t, "local")}), root, open, 0},
		"terminal":            {exempt(policy.Rule{From: from(t, "local")}), root, wire.Open{User: "alice", Service: "login", TTY: "tty1"}, wire.NotDue},
		"network of IPv6": {exempt(policy.Rule{From: from(t, "2001:db8::/32")}), root,
			wire.Open{User: "alice", Service: "sshd", RHost: "2001:db8::7"}, wire.NotDue},
		"a name isn't an address": {exempt(policy.Rule{From: from(t, "0.0.0.0/0")}), root,
			wire.Open{User: "alice", Service: "sshd", RHost: "192.0.2.7.example.org"}, 0},
		"nothing says that it is here": {exempt(policy.Rule{From: from(t, "local")}), root,
			wire.Open{User: "alice", Service: "sshd", TTY: "ssh"}, 0},
		"who asks says so": {exempt(policy.Rule{From: from(t, "local")}), root,
			wire.Open{User: "alice", Service: "su-like", RUser: "bob"}, wire.NotDue},
		"the user's own program": {exempt(policy.Rule{From: from(t, "local")}), self,
			wire.Open{User: "alice", Service: "locker"}, wire.NotDue},
		"a group that isn't there":          {exempt(policy.Rule{Groups: []string{"no-such-group"}}), root, open, 0},
		"an address that isn't root's word": {exempt(policy.Rule{From: from(t, "192.0.2.0/24")}), self, open, 0},
		"required":                          {policy.Rules{{Require: policy.Required}}, root, open, 0},
	} {
		w := newWorld()
		w.cfg.Rules = c.rules
		got := read(t, w.Begin(c.caller, c.open).Open(context.Background()))
		if got.verdict != c.want || (c.want == 0) != (len(got.asks) == 1) {
			t.Errorf("%s: %+v", name, got)
		}
		if c.want != 0 {
			if e := w.last(t, 1); e.Reason != "exempt" || !strings.HasPrefix(e.Detail, "rule 1 ") {
				t.Errorf("%s: event %+v", name, e)
			}
		}
	}
}

// Reverse DNS doesn't turn the code off: a name is in no network for sure, nor is it in none. The line says why.
func TestNamesDontLoosenRules(t *testing.T) {
	rules := policy.Rules{
		{Line: 3, From: append(from(t, "0.0.0.0/0"), from(t, "::/0")...), Require: policy.Required, NoEnrolAtLogin: true},
		{Line: 7, Services: []string{"sshd"}, Require: policy.Exempt},
	}
	for _, host := range []string{"client.example.org", "localhost", "192.0.2.300", ""} {
		w := newWorld()
		w.cfg.Rules = rules
		open := wire.Open{User: "alice", Service: "sshd", RHost: host, TTY: "ssh"}
		d := w.Begin(root, open)
		if got := read(t, d.Open(context.Background())); len(got.asks) != 1 {
			t.Errorf("alice from %q: %+v", host, got)
		}
		d.Answer(context.Background(), []byte("000000"))
		if e := w.events.all[len(w.events.all)-1]; !strings.Contains(e.Detail, "nobody can tell whether rule 1 (totpd.toml line 3) matches: from: ") {
			t.Errorf("alice from %q: %+v", host, e)
		}
		open.User = "bob"
		if got := read(t, w.Begin(root, open).Open(context.Background())); got.verdict != wire.Refused {
			t.Errorf("bob from %q: %+v", host, got)
		}
		if e := w.events.all[len(w.events.all)-1]; !strings.Contains(e.Detail, "the strictest of rule 1 (totpd.toml line 3), rule 2 (totpd.toml line 7); nobody can tell") {
			t.Errorf("bob from %q: %+v", host, e)
		}
	}
}

// Who is in which group isn't known: nobody gets in by the rules after. Where groups don't matter, nobody
// is asked.
func TestGroupsCannotBeFoundOut(t *testing.T) {
	w := newWorld()
	w.cfg.Rules = policy.Rules{
		{Users: []string{"root"}, Require: policy.Optional},
		{Groups: []string{"admins"}, Require: policy.Required},
		{Require: policy.Exempt},
	}
	if got := w.login(t, "carol"); got.verdict != wire.Unavailable || len(got.tells) != 1 {
		t.Errorf("%+v", got)
	}
	if e := w.last(t, 1); e.Reason != "user_lookup" || e.Detail == "" {
		t.Errorf("%+v", e)
	}
	if got := w.login(t, "bob"); got.verdict != wire.NotDue {
		t.Errorf("bob: %+v", got)
	}
	asked := w.groupsAsked
	if got := w.login(t, "root"); got.verdict != wire.NotDue || w.groupsAsked != asked {
		t.Errorf("root: %+v, asked %d times", got, w.groupsAsked-asked)
	}
}

// Until the date, who hasn't enrolled gets in and is told so; then no more. Who has, is asked all along.
func TestRequiredFromADateOn(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		told string // "": not in
	}{
		{72 * time.Hour, "a second factor is required from 2026-03-04 on, in 3 days: type totpctl enrol"},
		{time.Minute, "in 1 day: type totpctl enrol"},
		{0, ""},
		{-time.Hour, ""},
	} {
		w := newWorld()
		by := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
		w.cfg.Rules = policy.Rules{{Line: 3, Require: policy.Required, EnrolBy: by, NoEnrolAtLogin: true}}
		w.now = by.Add(-c.left)
		d := w.begin("bob")
		step := d.Open(context.Background())
		got := read(t, step)
		e := w.last(t, 1)
		if c.told == "" {
			if got.verdict != wire.Refused || len(got.tells) != 1 || !strings.Contains(got.tells[0], d.reference) {
				t.Errorf("%v left: %+v", c.left, got)
			}
			continue
		}
		if got.verdict != wire.NotDue || len(got.tells) != 1 || !strings.Contains(got.tells[0], c.told) {
			t.Errorf("%v left: %+v", c.left, got)
		}
		if f, _, err := wire.Decode(step.Frames); err != nil || f.Style != wire.Info {
			t.Errorf("%v left: told in style %d, %v", c.left, f.Style, err)
		}
		if e.Result != audit.NotDue || e.Reason != "not_enrolled" || e.Detail != "rule 1 (totpd.toml line 3)" {
			t.Errorf("%v left: %+v", c.left, e)
		}
		if got := w.login(t, "alice"); len(got.asks) != 1 || len(got.tells) != 0 {
			t.Errorf("%v left, alice: %+v", c.left, got)
		}
		// A reset takes the time away.
		w.store.accounts["bob"] = account.Account{User: "bob", MustEnrol: true}
		if got := w.login(t, "bob"); got.verdict != wire.Refused {
			t.Errorf("%v left, after a reset: %+v", c.left, got)
		}
	}
}

func TestResetWithoutARule(t *testing.T) {
	w := newWorld()
	w.store.accounts["bob"] = account.Account{User: "bob", MustEnrol: true}
	if got := w.login(t, "bob"); got.done || got.asks[0] != askChoice {
		t.Errorf("%+v", got)
	}
}
