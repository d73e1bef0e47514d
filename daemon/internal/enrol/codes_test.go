package enrol

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

func TestRecoveryCodes(t *testing.T) {
	w := newWorld(t)
	_, err := w.NewRecoveryCodes(ctx, "alice", Consent{Admin: true})
	w.refused(err, control.ErrNotEnrolled, "not_enrolled")
	e := w.start()
	c, err := w.Confirm(ctx, "alice", w.code(e, 0))
	if err != nil || len(c.RecoveryCodes) != 10 || c.Account.RecoveryLeft != 10 {
		t.Fatalf("%+v, %v", c, err)
	}
	if printed := fmt.Sprintf("%v %+v %#v %s %x", c, c, c, c.RecoveryCodes, c.RecoveryCodes); strings.Contains(printed, string(c.RecoveryCodes[0])) ||
		strings.Contains(printed, fmt.Sprintf("%x", string(c.RecoveryCodes[0]))) {
		t.Error("a recovery code prints:", printed)
	}
	old := w.account().Recovery
	for i, code := range c.RecoveryCodes {
		hash := w.key.Hash("alice", account.PurposeRecovery, strings.ReplaceAll(string(code), "-", ""))
		if len(code) != 14 || string(old[i].Hash) != string(hash) || old[i].Short {
			t.Errorf("code %d is kept as something else", i+1)
		}
	}
	w.events = nil
	w.pass(time.Minute)
	_, err = w.NewRecoveryCodes(ctx, "alice", Consent{Code: w.code(e, 5*time.Hour)})
	w.refused(err, control.ErrWrongCode, "wrong_code")
	fresh, err := w.NewRecoveryCodes(ctx, "alice", Consent{Code: w.code(e, 0)})
	if err != nil || len(fresh.Codes) != 10 || fresh.User != "alice" {
		t.Fatalf("%+v, %v", fresh, err)
	}
	if event := w.last(); event.Kind != audit.Recovery || event.Result != audit.Done || event.Device != "phone" {
		t.Errorf("%+v", event)
	}
	now := w.account().Recovery
	if len(now) != 10 || slices.ContainsFunc(now, func(r account.Recovery) bool {
		return slices.ContainsFunc(old, func(o account.Recovery) bool { return string(o.Hash) == string(r.Hash) })
	}) {
		t.Error("an old recovery code is still good")
	}
	if err := w.Disable(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if told, _ := w.Status(ctx, "alice"); told.RecoveryLeft != 0 {
		t.Errorf("%+v", told)
	}
}

// A recovery code consents as a device's code does, once, and is used up with what it allows.
func TestRecoveryCodeConsents(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	c, err := w.Confirm(ctx, "alice", w.code(e, 0))
	if err != nil {
		t.Fatal(err)
	}
	w.events = nil
	code := Consent{Code: strings.ToLower(string(c.RecoveryCodes[3]))}
	if _, err := w.Remove(ctx, "alice", "phone", code); err == nil || w.account().Recovery == nil || len(w.account().Recovery) != 10 {
		t.Fatalf("%v: a refusal uses the code up", err)
	}
	w.events = nil
	if _, err := w.Start(ctx, "alice", Wanted{}, code); err != nil {
		t.Fatal(err)
	}
	if told, _ := w.Status(ctx, "alice"); told.RecoveryLeft != 9 || told.PendingUntil.IsZero() {
		t.Errorf("%+v", told)
	}
	w.events = nil
	_, err = w.Start(ctx, "alice", Wanted{}, code)
	w.refused(err, control.ErrWrongCode, "wrong_code")
	_, err = w.NewRecoveryCodes(ctx, "alice", code)
	w.refused(err, control.ErrWrongCode, "wrong_code")
	all, err := w.NewRecoveryCodes(ctx, "alice", Consent{Code: string(c.RecoveryCodes[0])})
	if err != nil || len(all.Codes) != 10 || len(w.account().Recovery) != 10 {
		t.Fatalf("%v, %v", all, err)
	}
	w.events = nil
	// Those before are void, and a new one disables.
	w.refused(w.DisableWithCode(ctx, "alice", string(c.RecoveryCodes[1])), control.ErrWrongCode, "wrong_code")
	w.pass(time.Minute)
	if err := w.DisableWithCode(ctx, "alice", string(all.Codes[9])); err != nil {
		t.Fatal(err)
	}
}

func TestBypass(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		lasts time.Duration
		uses  int
	}{{59 * time.Second, 1}, {7*24*time.Hour + time.Second, 1}, {time.Hour, 0}, {time.Hour, 21}, {-time.Hour, 1}} {
		_, err := w.Bypass(ctx, "alice", c.lasts, c.uses)
		w.refused(err, control.ErrBadRequest, "bad_bypass")
	}
	// A user without a device may be helped too.
	made, err := w.Bypass(ctx, "alice", time.Hour, 2)
	if err != nil || len(made.Code) != 11 || made.Uses != 2 || made.By != "1000" || !made.Expires.Equal(noon.Add(time.Hour)) {
		t.Fatalf("%+v, %v", made, err)
	}
	event := w.last()
	if event.Kind != audit.Bypass || event.Result != audit.Done || event.Caller != "1000" || event.Detail != "made "+made.ID+": until 2026-03-01T13:00:00Z, uses 2" {
		t.Errorf("%+v", event)
	}
	if printed := fmt.Sprintf("%v %+v %#v %+v", made, made, made, event); strings.Contains(printed, string(made.Code)) {
		t.Error("a bypass code prints:", printed)
	}
	acc := w.account()
	if !acc.CanAnswer(w.now) || acc.Enrolled() || string(acc.Bypass[0].Hash) != string(w.key.Hash("alice", account.PurposeBypass, strings.ReplaceAll(string(made.Code), "-", ""))) {
		t.Errorf("%+v", acc)
	}
	for range 7 {
		if _, err := w.Bypass(ctx, "alice", 2*time.Hour, 1); err != nil {
			t.Fatal(err)
		}
	}
	w.events = nil
	_, err = w.Bypass(ctx, "alice", time.Hour, 1)
	w.refused(err, control.ErrTooMany, "too_many")
	if told, _ := w.Status(ctx, "alice"); len(told.Bypass) != 8 || told.Bypass[0] != made.Bypass {
		t.Errorf("%+v", told)
	}

	// Whose time is over counts no more.
	w.pass(time.Hour)
	if told, _ := w.Status(ctx, "alice"); len(told.Bypass) != 7 {
		t.Errorf("%+v", told)
	}
	_, err = w.Revoke(ctx, "alice", made.ID)
	w.refused(err, control.ErrNoBypass, "no_bypass")
	last, err := w.Bypass(ctx, "alice", time.Hour, 1)
	if err != nil || len(w.account().Bypass) != 8 {
		t.Fatalf("%v; %+v", err, w.account())
	}
	w.events = nil
	if r, err := w.Revoke(ctx, "alice", last.ID); err != nil || r.Revoked != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if event := w.last(); event.Kind != audit.Bypass || event.Detail != "revoked "+last.ID || event.Caller != "1000" {
		t.Errorf("%+v", event)
	}
	if r, err := w.Revoke(ctx, "alice", ""); err != nil || r.Revoked != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	if event := w.last(); event.Detail != "revoked 7" {
		t.Errorf("%+v", event)
	}
	if r, err := w.Revoke(ctx, "alice", ""); err != nil || r.Revoked != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Error("an account with nothing in it is kept")
	}
}
