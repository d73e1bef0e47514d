package enrol

import (
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

func TestDisable(t *testing.T) {
	w := newWorld(t)
	w.refused(w.Disable(ctx, "alice"), control.ErrNotEnrolled, "not_enrolled")
	w.refused(w.DisableWithCode(ctx, "alice", "123456"), control.ErrNotEnrolled, "not_enrolled")
	locked := account.Attempts{Failures: 100, Last: noon}
	for name, spoil := range map[string]func(*account.Account){
		"enrolled":        func(*account.Account) {},
		"locked":          func(a *account.Account) { a.Codes = locked },
		"password locked": func(a *account.Account) { a.Devices, a.Password = nil, locked },
		"pending": func(a *account.Account) {
			a.Pending, a.Devices = &account.Pending{Device: a.Devices[0], Expires: noon}, nil
		},
	} {
		w.enrolled()
		err := w.store.Update(ctx, "alice", func(a account.Account) (account.Account, error) { spoil(&a); return a, nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Disable(ctx, "alice"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if e := w.last(); e.Kind != audit.Disable || e.Result != audit.Done {
			t.Errorf("%s: %+v", name, e)
		}
		if _, stored, _ := w.store.Get(ctx, "alice"); stored {
			t.Errorf("%s: still stored", name)
		}
	}
}

func TestDisableWithCode(t *testing.T) {
	w := newWorld(t)
	e := w.enrolled()
	for range 3 {
		w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 5*time.Hour)), control.ErrWrongCode, "wrong_code")
	}
	w.refused(w.DisableWithCode(ctx, "alice", ""), control.ErrWait, "wait")
	err := w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 0)), control.ErrWait, "wait")
	if err.RetryAfter != 5 {
		t.Errorf("retry after %d s, want 5", err.RetryAfter)
	}
	if told, _ := w.Status(ctx, "alice"); told.Failures != 3 || !told.WaitUntil.Equal(w.now.Add(5*time.Second)) || told.Locked {
		t.Errorf("%+v", told)
	}
	w.pass(5 * time.Second)
	w.refused(w.DisableWithCode(ctx, "alice", "12 34"), control.ErrWrongCode, "malformed")
	w.key.lost = true
	w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 0)), control.ErrBroken, "broken_secret")
	w.key.lost = false
	if acc := w.account(); acc.Codes.Failures != 3 {
		t.Errorf("%+v", acc)
	}
	if err := w.DisableWithCode(ctx, "alice", w.code(e, 0)); err != nil {
		t.Fatal(err)
	}
	if event := w.last(); event.Result != audit.Done || event.Device != "phone" {
		t.Errorf("%+v", event)
	}
	if _, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Error("still stored")
	}

	e = w.enrolled()
	if err := w.store.Update(ctx, "alice", func(a account.Account) (account.Account, error) {
		a.Codes = account.Attempts{Failures: 49, Last: w.now} // the other half is for sources of earlier logins
		return a, nil
	}); err != nil {
		t.Fatal(err)
	}
	w.pass(24 * time.Hour)
	w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 5*time.Hour)), control.ErrWrongCode, "wrong_code_locks")
	w.pass(24 * time.Hour)
	w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 0)), control.ErrLocked, "locked")
	if told, _ := w.Status(ctx, "alice"); !told.Locked {
		t.Errorf("%+v", told)
	}
}
