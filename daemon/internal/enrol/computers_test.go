package enrol

import (
	"bytes"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// remember gives alice three computers and a grace.
func (w *world) remember() {
	w.t.Helper()
	one := func(i byte, from string, expires time.Duration) account.Remembered {
		return account.Remembered{Hash: bytes.Repeat([]byte{i}, account.HashSize), From: from, Name: "sshd", Since: noon, Expires: noon.Add(expires)}
	}
	err := w.store.Update(ctx, "alice", func(a account.Account) (account.Account, error) {
		a.Remembered = []account.Remembered{one(1, "192.0.2.7", time.Hour), one(2, "2001:db8::/64", time.Hour), one(3, "192.0.2.9", time.Second)}
		a.Grace = []account.Grace{{Hash: bytes.Repeat([]byte{4}, account.HashSize), Since: noon, Expires: noon.Add(time.Minute)}}
		return a, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestRemembered(t *testing.T) {
	w := newWorld(t)
	w.remember()
	w.pass(time.Second)
	list, err := w.Remembered(ctx, "alice")
	if err != nil || len(list.Computers) != 2 || list.Computers[0].ID != "01010101" || list.Computers[1].From != "2001:db8::/64" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err = w.Remembered(ctx, "bob"); err != nil || list.User != "bob" || list.Computers == nil || len(list.Computers) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestForget(t *testing.T) {
	for name, c := range map[string]struct {
		which     control.ForgetRequest
		forgotten int
		code      control.ErrorCode
		reason    string
		grace     int
	}{
		"all":               {control.ForgetRequest{All: true}, 3, "", "", 0},
		"one":               {control.ForgetRequest{ID: "01010101"}, 1, "", "", 1},
		"an address":        {control.ForgetRequest{From: "192.0.2.7"}, 1, "", "", 1},
		"a mapped address":  {control.ForgetRequest{From: "::ffff:192.0.2.7"}, 1, "", "", 1},
		"a network of IPv6": {control.ForgetRequest{From: "2001:db8::17"}, 1, "", "", 1},
		"another one":       {control.ForgetRequest{ID: "01"}, 0, control.ErrNoComputer, "no_computer", 1},
		"another address":   {control.ForgetRequest{From: "192.0.2.8"}, 0, control.ErrNoComputer, "no_computer", 1},
		"a name":            {control.ForgetRequest{From: "pc.example.org"}, 0, control.ErrBadRequest, "bad_forget", 1},
		"none":              {control.ForgetRequest{}, 0, control.ErrBadRequest, "bad_forget", 1},
		"two":               {control.ForgetRequest{ID: "01010101", From: "192.0.2.7"}, 0, control.ErrBadRequest, "bad_forget", 1},
		"all and one":       {control.ForgetRequest{All: true, ID: "01010101"}, 0, control.ErrBadRequest, "bad_forget", 1},
	} {
		w := newWorld(t)
		w.remember()
		gone, err := w.Forget(ctx, "alice", c.which)
		if c.code != "" {
			w.refused(err, c.code, c.reason)
		} else if event := w.last(); err != nil || len(gone.Computers) != c.forgotten || event.Kind != audit.Forget || event.Result != audit.Done || event.Caller != "1000" {
			t.Errorf("%s: %+v, %v, %+v", name, gone, err, event)
		}
		if acc := w.account(); len(acc.Remembered) != 3-c.forgotten || len(acc.Grace) != c.grace {
			t.Errorf("%s: left %d computers and %d terminals", name, len(acc.Remembered), len(acc.Grace))
		}
	}
	w := newWorld(t)
	if _, err := w.Forget(ctx, "bob", control.ForgetRequest{All: true}); err != nil {
		t.Error(err)
	}
}

// What makes an account's devices others, or none, ends what was granted on the strength of the old ones.
func TestWhatForgets(t *testing.T) {
	w := newWorld(t)
	e := w.enrolled()
	w.remember()
	if err := w.DisableWithCode(ctx, "alice", w.code(e, 0)); err != nil || len(w.account().Remembered)+len(w.account().Grace) != 0 {
		t.Errorf("disable: %v, %+v", err, w.account())
	}
	w.remember()
	w.enrolled()
	if acc := w.account(); len(acc.Remembered)+len(acc.Grace) != 0 {
		t.Errorf("a new enrolment: %+v", acc)
	}
}

// An offer is an enrolment of which nothing is stored before its first code.
func TestOffer(t *testing.T) {
	w := newWorld(t)
	o, err := w.Offer(ctx, "alice", "192.0.2.7")
	if event := w.last(); err != nil || event.Result != audit.Started || o.Name != "phone" || !o.Expires.Equal(noon.Add(10*time.Minute)) {
		t.Fatalf("%v, %+v", err, event)
	}
	if acc := w.account(); !acc.Empty() {
		t.Errorf("%+v", acc)
	}
	if c, err := w.Take(ctx, o, "000000"); err != nil || c.Outcome != control.CodeWrong || !w.account().Empty() {
		t.Errorf("%+v, %v", c, err)
	}
	w.events = nil
	w.start() // of totpctl, in the meantime
	w.events = nil
	c, err := w.Take(ctx, o, w.code(o.Enrolment, 0))
	if err != nil || c.Outcome != control.Confirmed || len(c.RecoveryCodes) != 10 {
		t.Fatalf("%+v, %v", c, err)
	}
	if acc := w.account(); len(acc.Devices) != 1 || acc.Pending != nil {
		t.Errorf("%+v", acc)
	}
	w.events = nil
	_, err = w.Take(ctx, o, w.code(o.Enrolment, 30*time.Second))
	w.refused(err, control.ErrAlreadyEnrolled, "already_enrolled")

	w = newWorld(t)
	o, _ = w.Offer(ctx, "alice", "192.0.2.7")
	w.pass(10 * time.Minute)
	w.events = nil
	w.start() // of totpctl: it doesn't end with that of the login
	w.events = nil
	_, err = w.Take(ctx, o, w.code(o.Enrolment, 0))
	w.refused(err, control.ErrNoPending, "pending_over")
	if w.account().Pending == nil {
		t.Error("an offer that was too late took another enrolment along")
	}
}
