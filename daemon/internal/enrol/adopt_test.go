package enrol

import (
	"bytes"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// The account of a former name becomes that of the new one: the device's secret, the codes that were used and the wrong
// ones go along; what is bound to the former name doesn't.
func TestAdoptFormerName(t *testing.T) {
	w := newWorld(t)
	e := w.enrolled()
	w.events = nil
	uid := uint32(1000)
	err := w.store.Update(ctx, "alice", func(acc account.Account) (account.Account, error) {
		acc.UID, acc.Codes.Failures, acc.Codes.Last = &uid, 2, noon
		return acc, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := w.account()
	w.pass(time.Minute)
	told, err := w.Adopt(ctx, account.Identity{Name: "alicia", UID: uid}, "alice")
	if err != nil || told.User != "alicia" || !told.Enrolled || told.Broken != "" || told.RecoveryLeft != 0 || *told.UID != uid {
		t.Fatalf("%+v, %v", told, err)
	}
	if e := w.last(); e.Kind != audit.Enrol || e.Result != audit.Done || e.Reason != "adopted" || e.User != "alicia" || e.Detail != "the account of alice" {
		t.Errorf("%+v", e)
	}
	after, _, err := w.store.Get(ctx, "alicia")
	if err != nil || len(after.Devices) != 1 || after.Codes.Failures != 2 || len(after.Recovery) != 0 || bytes.Equal(after.Devices[0].Sealed, before.Devices[0].Sealed) {
		t.Fatalf("%+v, %v", after, err)
	}
	if _, stored, err := w.store.Get(ctx, "alice"); stored || err != nil {
		t.Errorf("the former account is there: %v", err)
	}
	judge := verify.By(w.key, "alicia", 1, w.cfg.Limits)
	if _, out := judge.Answer(after, w.code(e, 0), verify.Login{}, w.now); out.Kind != verify.Accepted {
		t.Errorf("a new code: %+v", out)
	}
	used := after.Devices[0].Used
	if len(used) == 0 || len(used) != len(before.Devices[0].Used) {
		t.Errorf("used steps %v, were %v", used, before.Devices[0].Used)
	}
}

func TestAdopt(t *testing.T) {
	w := newWorld(t)
	w.enrolled()
	w.events = nil
	other := account.Identity{Name: "alice", UID: 7}
	if told, err := w.Adopt(ctx, other, "alice"); err != nil || *told.UID != 7 || told.RecoveryLeft == 0 {
		t.Fatalf("%+v, %v", told, err)
	}
	if acc := w.account(); *acc.UID != 7 || !acc.Enrolled() {
		t.Errorf("%+v", acc)
	}
	w.events = nil
	for what, tt := range map[string]struct {
		is     account.Identity
		from   string
		code   control.ErrorCode
		reason string
	}{
		"not enrolled":                {account.Identity{Name: "bob", UID: 2}, "bob", control.ErrNotEnrolled, "not_enrolled"},
		"a former name of nobody":     {account.Identity{Name: "bob", UID: 2}, "bobby", control.ErrNotEnrolled, "not_enrolled"},
		"the account of another uid":  {account.Identity{Name: "bob", UID: 2}, "alice", control.ErrForeign, "other_uid"},
		"who has an account, another": {account.Identity{Name: "alice", UID: 7}, "alicia", control.ErrAlreadyEnrolled, "already_enrolled"},
	} {
		if what == "who has an account, another" {
			err := w.store.Update(ctx, "alicia", func(acc account.Account) (account.Account, error) {
				d := w.account().Devices[0]
				secret, err := w.key.Open("alice", d.ID, d.Sealed)
				d.Sealed = w.key.Seal("alicia", d.ID, secret)
				acc.Devices = []account.Device{d}
				return acc, err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.Adopt(ctx, tt.is, tt.from)
		w.refused(err, tt.code, tt.reason)
	}
	// A secret that doesn't open moves nowhere, and nothing is lost.
	w.key.lost = true
	err := w.store.Delete(ctx, "alicia")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Adopt(ctx, account.Identity{Name: "alicia", UID: 7}, "alice")
	w.refused(err, control.ErrBroken, "broken_secret")
	if !w.account().Enrolled() {
		t.Error("the account is gone")
	}
}
