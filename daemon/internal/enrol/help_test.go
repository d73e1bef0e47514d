package enrol

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// Whoever is locked is unlocked by one word of root's, and has everything else as before.
func TestUnlock(t *testing.T) {
	w := newWorld(t)
	w.enrolled()
	before := w.account()
	codes := throttle.Codes{Limits: w.cfg.Limits, Source: "192.0.2.7", Odds: 300, Usual: 300}
	w.change(func(a *account.Account) {
		for range 100 {
			*a = codes.FailedRecovery(codes.Failed(*a, noon), noon)
			a.Password = throttle.Failed(w.cfg.Limits, a.Password, noon)
		}
	})
	if told, err := w.Status(ctx, "alice"); err != nil || !told.Locked {
		t.Fatalf("%+v, %v", told, err)
	}
	unlocked, err := w.Unlock(ctx, "alice")
	if want := (control.Unlocked{User: "alice", Failures: 200, Passwords: 100}); err != nil || unlocked != want {
		t.Errorf("%+v, %v", unlocked, err)
	}
	if e := w.last(); e.Kind != audit.Unlock || e.Result != audit.Done || e.User != "alice" || e.Caller != "1000" {
		t.Errorf("%+v", e)
	}
	if got := w.account(); !reflect.DeepEqual(got, before) {
		t.Errorf("left is %+v, was %+v", got, before)
	}
	// Again, there is nothing to forget. Nobody has an account by it.
	if unlocked, err := w.Unlock(ctx, "alice"); err != nil || unlocked.Failures+unlocked.Passwords != 0 {
		t.Errorf("%+v, %v", unlocked, err)
	}
	if _, err := w.Unlock(ctx, "bob"); err != nil {
		t.Error(err)
	}
	if _, stored, err := w.store.Get(ctx, "bob"); stored || err != nil {
		t.Error(stored, err)
	}
}

// full gives alice one of each way in.
func (w *world) full() {
	w.t.Helper()
	hash := func(c string) []byte { return []byte(strings.Repeat(c, account.HashSize)) }
	w.change(func(a *account.Account) {
		a.Bypass = []account.Bypass{{ID: "x", Hash: hash("b"), Made: noon, Expires: noon.Add(time.Hour), Uses: 1}}
		a.Remembered = []account.Remembered{
			{Hash: hash("c"), From: "192.0.2.7", Name: "laptop", Since: noon, Expires: noon.Add(time.Hour)},
			{Hash: hash("d"), From: "192.0.2.8", Name: "gone", Since: noon, Expires: noon},
		}
		*a = throttle.Know(*a, "192.0.2.7", noon)
		a.Grace = []account.Grace{{Hash: hash("g"), Expires: noon.Add(time.Hour)}}
		a.Codes, a.Password = account.Attempts{Failures: 2, Last: noon}, account.Attempts{Failures: 3, Last: noon}
	})
}

// A reset leaves nothing but that the next login enrols; an enrolment ends that, and so does a disable.
func TestReset(t *testing.T) {
	w := newWorld(t)
	w.enrolled()
	w.full()
	told, err := w.Reset(ctx, "alice")
	if err != nil || !told.MustEnrol || told.Enrolled {
		t.Errorf("%+v, %v", told, err)
	}
	if e := w.last(); e.Kind != audit.Reset || e.Result != audit.Done || e.User != "alice" {
		t.Errorf("%+v", e)
	}
	must := account.Account{User: "alice", MustEnrol: true}
	if got := w.account(); !reflect.DeepEqual(got, must) {
		t.Errorf("left is %+v", got)
	}
	if _, err := w.Reset(ctx, "alice"); err != nil { // again
		t.Error(err)
	}
	w.enrolled()
	if got := w.account(); got.MustEnrol || !got.Enrolled() {
		t.Errorf("enrolled again: %+v", got)
	}
	if _, err := w.Reset(ctx, "alice"); err != nil {
		t.Error(err)
	}
	if err := w.Disable(ctx, "alice"); err != nil {
		t.Error(err)
	}
	if _, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Error("something is left after a disable")
	}
}

func TestShow(t *testing.T) {
	w := newWorld(t)
	w.enrolled()
	w.full()
	shown, err := w.Show(ctx, "alice")
	if err != nil || shown.Failures != 2 || shown.Passwords != 3 || len(shown.Bypass) != 1 || shown.RecoveryLeft != 10 ||
		len(shown.Sources) != 1 || shown.Sources[0].From != "192.0.2.7" || len(shown.Computers) != 1 || shown.Computers[0].Name != "laptop" || len(shown.Devices) != 1 {
		t.Errorf("%+v, %v", shown, err)
	}
}
