package server

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/policy"
)

// TestPolicy asks about accounts of every kind, under rules of every kind.
func TestPolicy(t *testing.T) {
	lan, err := policy.ParsePlace("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	names := NewNames()
	names.groupsOf = func(user string, among []string) (in, unknown []string, err error) {
		return nil, nil, errors.New("no directory")
	}
	var rules policy.Rules
	a := serveControl(t, func(p *Parts) {
		p.Names = names
		p.Rules = func() policy.Rules { return rules }
	})
	a.now = time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC)
	newYear := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	give := func(acc account.Account) {
		t.Helper()
		acc.User = "nobody"
		if err := a.store.Update(t.Context(), "nobody", func(account.Account) (account.Account, error) { return acc, nil }); err != nil {
			t.Fatal(err)
		}
	}
	device := []account.Device{{ID: "p", Name: "phone", Digits: 6, Period: 30, Algorithm: account.SHA1, Sealed: []byte("x")}}
	elsewhere := policy.Rule{Line: 1, Users: []string{"alice"}, Services: []string{"su"}, From: []policy.Place{lan}, Require: policy.Exempt}
	passedOver := control.PolicyRule{Line: 1, Unmet: []string{"users", "services", "from"}}
	for name, tt := range map[string]struct {
		rule    policy.Rule
		account account.Account
		want    control.Policy
	}{
		"exempt":               {policy.Rule{Require: policy.Exempt}, account.Account{Devices: device}, control.Policy{Require: "exempt", Asks: control.AsksNothing, EnrolHere: true}},
		"optional":             {policy.Rule{Require: policy.Optional}, account.Account{}, control.Policy{Require: "optional", Asks: control.AsksNothing, EnrolHere: true}},
		"optional, enrolled":   {policy.Rule{Require: policy.Optional}, account.Account{Devices: device}, control.Policy{Require: "optional", Asks: control.AsksCode, EnrolHere: true}},
		"required":             {policy.Rule{Require: policy.Required}, account.Account{}, control.Policy{Require: "required", Asks: control.AsksToEnrol, EnrolHere: true}},
		"required, enrolled":   {policy.Rule{Require: policy.Required, Remember: 72 * time.Hour, Grace: time.Minute}, account.Account{Devices: device}, control.Policy{Require: "required", Asks: control.AsksCode, EnrolHere: true, Remember: 3, Grace: 1}},
		"required, not here":   {policy.Rule{Require: policy.Required, NoEnrolAtLogin: true}, account.Account{}, control.Policy{Require: "required", Asks: control.AsksTooMuch}},
		"required, but later":  {policy.Rule{Require: policy.Required, EnrolBy: newYear}, account.Account{}, control.Policy{Require: "required", Asks: control.AsksNothing, EnrolHere: true, EnrolBy: newYear, DaysLeft: 1}},
		"required, and before": {policy.Rule{Require: policy.Required, EnrolBy: newYear}, account.Account{Devices: device}, control.Policy{Require: "required", Asks: control.AsksCode, EnrolHere: true, EnrolBy: newYear, DaysLeft: 1}},
		"required, and helped": {policy.Rule{Require: policy.Required}, account.Account{Bypass: []account.Bypass{{
			ID: "b", Hash: make([]byte, account.HashSize), By: "0", Made: newYear, Expires: newYear, Uses: 1,
		}}}, control.Policy{Require: "required", Asks: control.AsksCode, EnrolHere: true}},
		"reset": {policy.Rule{Require: policy.Required, EnrolBy: newYear}, account.Account{MustEnrol: true}, control.Policy{Require: "required", Asks: control.AsksToEnrol, EnrolHere: true}},
	} {
		tt.rule.Line = 5
		rules = policy.Rules{elsewhere, tt.rule, {Line: 9, Groups: []string{"never looked at"}}}
		give(tt.account)
		tt.want.User, tt.want.Service, tt.want.From = "nobody", "sshd", "local"
		tt.want.Enrolled, tt.want.MustEnrol = tt.account.Enrolled(), tt.account.MustEnrol
		tt.want.Rules = []control.PolicyRule{passedOver, {Line: 5, Unmet: []string{}}}
		var got control.Policy
		if _, e := a.post(t, 0, control.VerbPolicy, control.PolicyRequest{User: "nobody"}, &got); e != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, e, got, tt.want)
		}
	}

	rules = nil
	give(account.Account{})
	var got control.Policy
	if _, e := a.post(t, 0, control.VerbPolicy, control.PolicyRequest{User: "nobody", Service: "su", From: "10.1.1.1"}, &got); e != nil || got.Require != "optional" || len(got.Rules) != 0 || got.Service != "su" || got.From != "10.1.1.1" {
		t.Errorf("without rules: %+v, %v", got, e)
	}
	got = control.Policy{}
	rules = policy.Rules{{Line: 1, From: []policy.Place{lan}, Require: policy.Required}}
	if _, e := a.post(t, 0, control.VerbPolicy, control.PolicyRequest{User: "nobody", Reach: true}, &got); e != nil || !got.Enrols ||
		!slices.Equal(got.Addresses, []string{"10.0.0.0", "10.255.255.255", "192.0.2.1"}) {
		t.Errorf("how far the rules reach: %+v, %v", got, e)
	}
	rules = policy.Rules{{Line: 1, Groups: []string{"staff"}, Require: policy.Required}}
	_, e := a.post(t, 0, control.VerbPolicy, control.PolicyRequest{User: "nobody"}, nil)
	a.expect(t, "groups that nobody knows", control.ErrUnavailable, e)
}
